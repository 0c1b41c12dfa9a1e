# SPDX-License-Identifier: Apache-2.0
# crowd: two processors on the registers and rings of the same devices at once, each with random writes, then interrupts
# from each to the other; the first one says that it is alive. Processors are started as Intel's manual, volume 3, has it.
	.include "tests/vmm/guest.inc"
	.set	TABLES, 0x9000		# the page tables that the monitor made; everything is mapped as it is
	.set	LAPIC, 0xfee00000
	.set	TRAMPOLINE, 0x8000

	.globl	_start
_start:
	lea	first_stack(%rip), %rsp
	mov	$TRAMPOLINE, %edi
	lea	begin16(%rip), %rsi
	mov	$(end16 - begin16), %ecx
	rep movsb
	mov	$LAPIC, %ebx
	movl	$0x1ff, 0xf0(%rbx)
	movl	$0xc4500, 0x300(%rbx)	# INIT to all others
	mov	$1000, %ecx
1:	pause
	dec	%ecx
	jnz	1b
	movl	$0xc4608, 0x300(%rbx)	# and where they start
	mov	$0x4000000, %ecx
2:	cmpl	$0, there(%rip)
	jne	3f
	pause
	dec	%ecx
	jnz	2b
	print	"crowd: alone\n"
	leave	3
3:	mov	$0x9e3779b97f4a7c15, %r15
	mov	$20000, %r14d
	call	play
	movl	$1, over(%rip)
4:	pause
	cmpl	$2, there(%rip)
	jne	4b
	print	"crowd: alive\n"
	leave	0

# r14d random accesses to the pages of eight devices, r15 the seed.
play:
	random
	mov	%r15d, %ecx
	shr	$8, %ecx
	and	$0x7000, %ecx		# the device
	add	$0xd0000000, %ecx
	mov	%r15, %rax
	shr	$40, %rax
	and	$31, %eax
	lea	offsets(%rip), %rdx
	movzwl	(%rdx,%rax,2), %eax
	add	%eax, %ecx
	mov	%r15, %rax
	shr	$24, %rax
	and	$0x0f, %eax		# small numbers are states, sizes, queues, low addresses
	test	$7, %r15b
	jz	1f
	test	$8, %r15b
	jz	2f
	mov	%eax, (%rcx)
	jmp	3f
1:	mov	%r15d, (%rcx)
	jmp	3f
2:	mov	(%rcx), %eax
3:	test	$0x1f0, %r15d
	jnz	4f
	mov	$LAPIC, %ecx		# an interrupt that nobody takes, and the end of one that nobody had
	movl	$0xc0040, 0x300(%rcx)
	movl	$0, 0xb0(%rcx)
4:	dec	%r14d
	jnz	play
	ret

# The second processor, in long mode.
second:
	mov	$0x1234567812345678, %r15
	movl	$1, there(%rip)
5:	mov	$100, %r14d
	lea	second_stack(%rip), %rsp
	call	play
	cmpl	$1, over(%rip)
	jne	5b
	movl	$2, there(%rip)
6:	hlt
	jmp	6b

	.code16
begin16:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	(gdt_pointer - begin16)
	mov	$0x20, %eax		# PAE
	mov	%eax, %cr4
	mov	$TABLES, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	# EFER.LME
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	$0x80000001, %eax	# paging and protection at once
	mov	%eax, %cr0
	ljmpl	$8, $(TRAMPOLINE + long_mode - begin16)
	.code64
long_mode:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$second, %rax
	jmp	*%rax
	.balign	8
gdt:	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word	23
	.long	TRAMPOLINE + gdt - begin16
end16:

	.balign	8
there:	.long	0
over:	.long	0
offsets:
	.word	0x70, 0x70, 0x70, 0x44, 0x44, 0x38, 0x30, 0x20, 0x24, 0x14, 0x10, 0x50, 0x50, 0x60, 0x64, 0x80
	.word	0x84, 0x90, 0x94, 0xa0, 0xa4, 0xfc, 0x100, 0x104, 0x108, 0x120, 0x128, 0x34, 0x70, 0x44, 0x50, 0x08
	.balign	16
	.space	512
first_stack:
	.space	512
second_stack:
