# SPDX-License-Identifier: Apache-2.0
# off: a guest that turns the machine off by ACPI's sleep control register.
	.include "tests/vmm/guest.inc"
	.globl	_start
_start:
	mov	$0x600, %edx
	mov	$0x34, %al		# S5, enabled
	out	%al, %dx
	hlt
	leave	1
