/* SPDX-License-Identifier: Apache-2.0 */
/* kihon: runs containers and guest images in virtual machines, from a shell. */
#include "host-shim/cli/boot.h"
#include "host-shim/cli/doctor.h"
#include "host-shim/cli/guest.h"
#include "host-shim/cli/network.h"
#include "host-shim/cli/resize.h"
#include "host-shim/cli/run.h"
#include "host-shim/cli/stats.h"
#include "host-shim/cli/template.h"
#include "host-shim/cli/trace.h"
#include "host-shim/cli/volume.h"
#include "lib/base/log.h"
#include "lib/base/options.h"

int main(int argc, char **argv)
{
	const struct verb verbs[] = {run_verb,    boot_verb,   template_verb, stats_verb,
	                             resize_verb, volume_verb, network_verb,  trace_verb,
	                             doctor_verb, {0}};
	const struct program kihon = {
	    .name = "kihon",
	    .summary = "run containers and guest images in virtual machines",
	    .details =
	        "Each guest is a virtual machine of its own with the Kihon kernel and agent.\n",
	    .verbs = verbs,
	    .output_status = EXIT_OURS,
	};

	log_setup("kihon", LOG_INFO, 2, LOG_AUTO);
	return program_main(&kihon, argc, argv);
}
