# SPDX-License-Identifier: Apache-2.0
# spin: a guest that never leaves by itself.
	.include "tests/vmm/guest.inc"
	.globl	_start
_start:
	print	"spin\n"
1:	jmp	1b
