# SPDX-License-Identifier: Apache-2.0
# fault: a guest without an interrupt table that faults: a triple fault, which is a reset.
	.include "tests/vmm/guest.inc"
	.globl	_start
_start:
	print	"fault\n"
	ud2
	leave	1
