# SPDX-License-Identifier: Apache-2.0
# agent-device: uevents, PCI paths, and finding the devices that the host plugged in.
$(eval $(call guest_library,agent-device,$(sort $(wildcard guest/agent/device/*.c))))
$(eval $(call unit_test,test-uevent,tests/unit/test-uevent.c,agent-device base,-lcjson))
$(eval $(call unit_test,test-pci-path,tests/unit/test-pci-path.c,agent-device base,-lcjson))
$(eval $(call fuzz_target,fuzz-uevent,tests/fuzz/fuzz-uevent.c,agent-device base,-lcjson))
$(eval $(call unit_test,test-mmio-slots,tests/unit/test-mmio-slots.c,agent-device base,-lcjson))
$(eval $(call unit_test,test-vfio,tests/unit/test-vfio.c,agent-device base,-lcjson))
