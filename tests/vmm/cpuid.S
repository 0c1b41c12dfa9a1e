# SPDX-License-Identifier: Apache-2.0
# cpuid: a guest that tells what its processor is: status 2 for AVX2, 1 for SSE4.2 without AVX, 0 for less.
	.include "tests/vmm/guest.inc"
	.globl	_start
_start:
	xor	%r12d, %r12d
	mov	$1, %eax
	xor	%ecx, %ecx
	cpuid
	bt	$20, %ecx
	jnc	1f
	bt	$28, %ecx
	jc	2f
	mov	$1, %r12d
	jmp	1f
2:	mov	$7, %eax
	xor	%ecx, %ecx
	cpuid
	bt	$16, %ebx		# AVX-512: more than any model has
	jc	1f
	bt	$5, %ebx
	jnc	1f
	mov	$2, %r12d
1:	mov	%r12b, %al
	mov	$0xf4, %edx
	out	%al, %dx
	hlt
