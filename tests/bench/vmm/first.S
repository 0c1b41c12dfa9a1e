# SPDX-License-Identifier: Apache-2.0
# first: firmware whose first instructions, at the reset vector, write a byte to the serial port: when a monitor that
# starts at the reset vector has run them is when its guest runs. A 64 KiB image, linked at 0.
	.code16
	.org	0xfff0
	.globl	_start
_start:
	mov	$0x3f8, %dx
	mov	$'!', %al
	out	%al, %dx
1:	hlt
	jmp	1b
	.org	0x10000
