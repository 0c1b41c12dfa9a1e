# SPDX-License-Identifier: Apache-2.0
# flood: a hostile guest. Reads and writes ports and device addresses at random 20,000 times, but for the few that end a
# machine, then says that it is alive.
	.include "tests/vmm/guest.inc"
	.globl	_start
_start:
	mov	$0x9e3779b97f4a7c15, %r15
	mov	$20000, %r14d
1:	random
	mov	%r15d, %edx
	and	$0xffff, %edx
	cmp	$0x3f8, %edx		# not what it says itself
	jb	2f
	cmp	$0x3ff, %edx
	jbe	5f
2:	cmp	$0x60, %edx		# nor reset, exit, sleep
	jb	3f
	cmp	$0x64, %edx
	jbe	5f
3:	cmp	$0xf0, %edx
	jb	4f
	cmp	$0xf7, %edx
	jbe	5f
4:	cmp	$0x5fc, %edx
	jb	6f
	cmp	$0x601, %edx
	ja	6f
5:	mov	$0x505, %edx
6:	mov	%r15, %rax
	shr	$20, %rax
	test	$0x80000000, %r15d
	jz	7f
	out	%eax, %dx
	in	%dx, %al
	out	%al, %dx
	in	%dx, %ax
7:	random				# an address from 3.25 GiB on, 64 KiB: devices and what is behind them
	mov	%r15d, %ebx
	and	$0xfffc, %ebx
	add	$0xd0000000, %ebx
	mov	%r15, %rcx
	shr	$32, %rcx
	test	$1, %cl
	jz	8f
	mov	%ecx, (%rbx)
	movb	%cl, 1(%rbx)
	jmp	9f
8:	mov	(%rbx), %eax
	mov	(%rbx), %rax
9:	dec	%r14d
	jnz	1b
	print	"flood: alive\n"
	leave	0
