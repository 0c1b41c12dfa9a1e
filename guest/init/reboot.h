/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reboot: the end of the guest.
 *
 * The machine decides how: with ACPI the guest powers off; without it RB_POWER_OFF would halt for
 * ever, so it resets, and the hypervisor (started so that a reset ends it) exits. The host adds
 * `reboot=t` to the kernel command line of such machines: a triple fault is the quickest reset.
 */
#pragma once

#include <stdint.h>

/* Longest time given to sync(2) and to the console's last bytes. */
#define POWER_OFF_SYNC_MS 5000

/* Kills every other process, writes dirty data and console output out (in a child, for at most
 * POWER_OFF_SYNC_MS), and ends the machine. Does not return for pid 1; does nothing and returns
 * for any other process, so that a test cannot take its machine down. */
void guest_power_off(void);
