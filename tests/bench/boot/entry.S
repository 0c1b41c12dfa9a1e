/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry: a "kernel" that only says when it was entered: it reads the time stamp counter at its PVH entry
 * point, writes `kihon-mark entry TICKS 0` to the first serial port and resets the machine (triple fault).
 * What a boot spent before the kernel, in firmware, is subtracted by it.
 */
	.section .note.pvh, "a", @note
	.long 4, 4, 18				/* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start

	.code32
	.text
	.globl start
start:
	rdtsc
	movl %eax, %esi				/* the 64-bit count in edi:esi */
	movl %edx, %edi
	movl $stack_end, %esp
	movl $before, %ebx
	call print
	call digits
	movl $after, %ebx
	call print
	lidt no_table				/* an exception without a table: shutdown, which resets */
	int3

/* Writes the string at ebx. */
print:
	movb (%ebx), %al
	testb %al, %al
	jz 1f
	call putc
	incl %ebx
	jmp print
1:	ret

/* Writes al when the transmitter is empty (16550: line status register, bit 5). */
putc:
	movb %al, %ah
	movw $0x3fd, %dx
1:	inb %dx, %al
	testb $0x20, %al
	jz 1b
	movb %ah, %al
	movw $0x3f8, %dx
	outb %al, %dx
	ret

/* Writes edi:esi in decimal: divides by ten, the remainders on the stack. */
digits:
	xorl %ebp, %ebp
	movl $10, %ecx
1:	xorl %edx, %edx
	movl %edi, %eax
	divl %ecx
	movl %eax, %edi
	movl %esi, %eax
	divl %ecx
	movl %eax, %esi
	pushl %edx
	incl %ebp
	movl %esi, %eax
	orl %edi, %eax
	jnz 1b
2:	popl %eax
	addb $'0', %al
	call putc
	decl %ebp
	jnz 2b
	ret

	.data
before:	.asciz "\nkihon-mark entry "
after:	.asciz " 0\n"
no_table:
	.word 0
	.long 0
	.skip 256
stack_end:
	.section .note.GNU-stack, "", @progbits
