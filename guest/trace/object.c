/* SPDX-License-Identifier: Apache-2.0 */
/* object: the compiled programs for the kernel, as bytes of this one (guest/trace/module.mk). */
#include "guest/trace/object.h"

__asm__(".pushsection .rodata\n"
        ".balign 8\n"
        ".globl trace_object\n"
        "trace_object:\n"
        ".incbin \"build/gen/guest/trace/trace.bpf.o\"\n"
        ".globl trace_object_end\n"
        "trace_object_end:\n"
        ".popsection\n");
