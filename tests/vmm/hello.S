# SPDX-License-Identifier: Apache-2.0
# hello: a 64-bit guest that says what it was told, and ends with status 7.
	.include "tests/vmm/guest.inc"
	.globl	_start
_start:
	mov	%rsi, %rbx
	print	"hello: "
	mov	0x228(%rbx), %esi	# struct boot_params: the command line
	mov	$0x3f8, %edx
1:	lodsb
	test	%al, %al
	jz	2f
	out	%al, %dx
	jmp	1b
2:	print	"\n"
	cmpl	$0x53726448, 0x202(%rbx)	# "HdrS"
	jne	3f
	leave	7
3:	leave	1
