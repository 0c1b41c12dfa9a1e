# SPDX-License-Identifier: Apache-2.0
# virtio: a guest that looks at the first virtio-mmio device as a driver would: status 0 when it is there, resets and
# takes features by the book.
	.include "tests/vmm/guest.inc"
	.globl	_start
_start:
	mov	$0xd0000000, %ebx
	mov	$1, %r12d
	cmpl	$0x74726976, (%rbx)
	jne	fail
	inc	%r12d
	cmpl	$2, 4(%rbx)
	jne	fail
	inc	%r12d
	cmpl	$0, 8(%rbx)
	je	fail
	inc	%r12d
	movl	$0, 0x70(%rbx)		# reset
	cmpl	$0, 0x70(%rbx)
	jne	fail
	inc	%r12d
	movl	$3, 0x70(%rbx)
	movl	$1, 0x24(%rbx)
	movl	$1, 0x20(%rbx)		# VERSION_1
	movl	$11, 0x70(%rbx)
	cmpl	$11, 0x70(%rbx)
	jne	fail
	inc	%r12d
	movl	$0, 0x30(%rbx)
	cmpl	$0, 0x34(%rbx)		# the first queue has a size
	je	fail
	inc	%r12d
	movl	$0xffffffff, 0x80(%rbx)	# and a queue that lies nowhere breaks the device, no more
	movl	$0xffffffff, 0x84(%rbx)
	movl	$16, 0x38(%rbx)
	movl	$1, 0x44(%rbx)
	cmpl	$0, 0x44(%rbx)
	jne	fail
	inc	%r12d
	cmpl	$0x4b, 0x70(%rbx)	# DEVICE_NEEDS_RESET
	jne	fail
	print	"virtio: fine\n"
	leave	0
fail:	mov	%r12b, %al
	mov	$0xf4, %edx
	out	%al, %dx
	hlt
