# SPDX-License-Identifier: Apache-2.0
# pause: what a pod's sandbox container runs, from the guest's own bundle (rootfs/skeleton/pause_bundle).
$(eval $(call guest_program,pause,guest/pause/pause.c,,))
