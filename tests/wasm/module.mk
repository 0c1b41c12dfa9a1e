# SPDX-License-Identifier: Apache-2.0
# wasm-native: a module made into a program of this machine, for the modules of this folder.
$(eval $(call host_program,wasm-native,tests/wasm/native/wasm-native.c $(sort $(wildcard image-tool/wasm*.c)),guestimg wasm oci base,-lcjson -lcrypto,not-installed))
