# SPDX-License-Identifier: Apache-2.0
# multiboot: 32-bit code behind a multiboot-1 header, in the style of kvm-unit-tests; status 0 when the magic number and
# the information are as the specification has them.
	.code32
	.globl	_start
	.align	4
header:	.long	0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
	.long	header, header, 0, 0, _start
_start:
	mov	$1, %cl
	cmp	$0x2badb002, %eax
	jne	1f
	mov	$2, %cl
	testl	$0x40, (%ebx)		# a memory map
	jz	1f
	mov	$3, %cl
	cmpl	$0, 44(%ebx)
	je	1f
	xor	%cl, %cl
	mov	$0x3f8, %dx
	mov	$'m', %al
	out	%al, %dx
	mov	$'\n', %al
	out	%al, %dx
1:	mov	%cl, %al
	mov	$0xf4, %dx
	out	%al, %dx
	hlt
