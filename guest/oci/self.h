/* SPDX-License-Identifier: Apache-2.0 */
/*
 * self: nobody in a container gets hold of the runtime's file (CVE-2019-5736).
 *
 * A process that enters a container can be looked at there as /proc/PID/exe, and a
 * container that makes the runtime execute "/proc/self/exe" has it running inside. With
 * a descriptor got that way a root of the container could overwrite the file for the
 * next call. So the verbs that enter containers run from a sealed memfd, whose contents
 * nobody can change. (The agent needs none: its file is on a read-only file system that
 * the kernel refuses to write to, and in its pid namespace it is process 1.)
 */
#pragma once

/* Executes this program again from a sealed copy when its verb enters containers and it does
 * not run from one yet. Ends the process when that cannot be done. */
void self_protect(int argc, char **argv);
