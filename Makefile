# SPDX-License-Identifier: Apache-2.0
# Kihon: `make help` lists what can be made. Each folder's module.mk says what it is made of;
# this file says how. Outputs go below build/ only.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.PRECIOUS: build/%.flags
.DEFAULT_GOAL := help
SHELL := /bin/bash

VERSION := $(shell cat VERSION)
PREFIX ?= /usr/local
ONLY ?=
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)')

# ---------------------------------------------------------------- flags
CC := gcc
CLANG ?= clang
WERROR ?= 1
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
	-Wformat=2 -Wconversion -Wno-sign-conversion -Wno-unused-parameter \
	-Wno-missing-field-initializers $(if $(filter 1,$(WERROR)),-Werror)
COMMON := -std=gnu17 -Ulinux -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DKIHON_VERSION='"$(VERSION)"' -I. -Ibuild/gen \
	-fno-strict-aliasing -fstack-protector-strong
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

# Data races (tests/vmm-sanitized.bats); it does not know fences, says the compiler.
TSAN_FLAGS := -fsanitize=thread -Wno-tsan -fno-omit-frame-pointer

H := build/$(if $(ASAN),asan,$(if $(TSAN),tsan,host))
G := build/guest
HOST_CFLAGS := $(COMMON) $(WARN) -g $(if $(ASAN),-O1 $(SAN),$(if $(TSAN),-O1 $(TSAN_FLAGS),-O2 -D_FORTIFY_SOURCE=2)) -fPIE
HOST_LDFLAGS := -pie -Wl,-z,relro,-z,now $(if $(ASAN),$(SAN))$(if $(TSAN),-fsanitize=thread)
GUEST_CC := $(G)/tools/guest-cc
GUEST_CFLAGS := $(COMMON) $(WARN) -Os -g -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-DKIHON_GUEST=1
GUEST_LDFLAGS := -Wl,--gc-sections
# STATIC=1: host programs linked as the guest's are, so that they run on any Linux (make static).
ifneq ($(STATIC),)
H := build/static
CC := $(GUEST_CC)
# Conversions are looked at with glibc: musl's struct msghdr has other types.
HOST_CFLAGS := $(COMMON) $(filter-out -Wconversion,$(WARN)) -g -O2 -ffunction-sections -fdata-sections
HOST_LDFLAGS := -Wl,--gc-sections
STATIC_LIBS := -lssl -lcrypto -lelf -lz # what the archives in SYSLIBS need
endif
FUZZ_CFLAGS := $(COMMON) -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined

# ---------------------------------------------------------------- how things are made
host_obj = $(patsubst %.c,$(H)/obj/%.o,$(1))
guest_obj = $(patsubst %.c,$(G)/obj/%.o,$(1))
fuzz_obj = $(patsubst %.c,build/fuzz/obj/%.o,$(1))

# $(call library,NAME,SOURCES): lib$(NAME).a for the host, the guest and the fuzzers.
define library
LIB_$(1)_SRCS := $(2)
HOST_SRCS += $(2)
LIB_SRCS += $(2)
$(H)/lib/lib$(1).a: $(call host_obj,$(2))
$(G)/lib/lib$(1).a: $(call guest_obj,$(2))
build/fuzz/lib/lib$(1).a: $(call fuzz_obj,$(2))
endef

# $(call host_library,NAME,SOURCES): host only (and fuzzers).
define host_library
LIB_$(1)_SRCS := $(2)
HOST_SRCS += $(2)
HOST_ONLY_SRCS += $(2)
$(H)/lib/lib$(1).a: $(call host_obj,$(2))
build/fuzz/lib/lib$(1).a: $(call fuzz_obj,$(2))
endef

# $(call guest_library,NAME,SOURCES): guest; built for the host too, where tests use it.
define guest_library
LIB_$(1)_SRCS := $(2)
GUEST_SRCS += $(2)
HOST_SRCS += $(2)
$(H)/lib/lib$(1).a: $(call host_obj,$(2))
$(G)/lib/lib$(1).a: $(call guest_obj,$(2))
build/fuzz/lib/lib$(1).a: $(call fuzz_obj,$(2))
endef

# $(call host_program,NAME,SOURCES,LIBRARIES,SYSTEM LIBRARIES [,not-installed])
define host_program
HOST_SRCS += $(2)
HOST_PROGRAMS += $(H)/bin/$(1)
$(if $(5),,INSTALLED_PROGRAMS += $(H)/bin/$(1))
$(H)/bin/$(1): $(call host_obj,$(2)) $(foreach l,$(3),$(H)/lib/lib$(l).a)
$(H)/bin/$(1): SYSLIBS := $(4)
endef

# $(call guest_program,NAME,SOURCES,LIBRARIES,MUSL LIBRARIES)
define guest_program
GUEST_SRCS += $(2)
GUEST_PROGRAMS += $(G)/bin/$(1)
$(G)/bin/$(1): $(call guest_obj,$(2)) $(foreach l,$(3),$(G)/lib/lib$(l).a)
$(G)/bin/$(1): SYSLIBS := $(4)
endef

# $(call unit_test,NAME,SOURCES,LIBRARIES,SYSTEM LIBRARIES): TAP on stdout, run by `make check`.
define unit_test
HOST_SRCS += $(2)
UNIT_TESTS += $(H)/test/$(1)
$(H)/test/$(1): $(call host_obj,$(2)) $(H)/obj/tests/unit/check.o $(foreach l,$(3),$(H)/lib/lib$(l).a)
$(H)/test/$(1): SYSLIBS := $(4)
endef

# $(call fuzz_target,NAME,SOURCE,LIBRARIES,SYSTEM LIBRARIES): libFuzzer; seeds in tests/fuzz/NAME/.
define fuzz_target
FUZZ_SRCS += $(2)
FUZZ_TARGETS += build/fuzz/bin/$(1)
build/fuzz/bin/$(1): $(call fuzz_obj,$(2)) $(foreach l,$(3),build/fuzz/lib/lib$(l).a)
build/fuzz/bin/$(1): SYSLIBS := $(4)
endef

MODULES := $(sort $(wildcard lib/*/module.mk guest/*/module.mk guest/agent/*/module.mk host-shim/*/module.mk \
	image-tool/module.mk rootfs/module.mk kernel-config/module.mk tests/module.mk tests/*/module.mk docs/module.mk))
include $(MODULES)

# ---------------------------------------------------------------- rules
# The flags are a prerequisite: a change of flags rebuilds what they made.
build/%.flags: FORCE
	@mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(FLAGS_$*))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS_$*))' > $@
FLAGS_$(notdir $(H)) := $(CC) $(HOST_CFLAGS) $(HOST_LDFLAGS)
FLAGS_guest := $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS)
FLAGS_fuzz := $(CLANG) $(FUZZ_CFLAGS)
FORCE:
.PHONY: FORCE

$(H)/obj/%.o: %.c $(H).flags | $(GEN_HEADERS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(HOST_CFLAGS) $(CFLAGS_$<) -MMD -MP -c $< -o $@
$(G)/obj/%.o: %.c $(G).flags | $(GEN_HEADERS) $(GUEST_SYSROOT_STAMP)
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(CFLAGS_$<) -MMD -MP -c $< -o $@
build/fuzz/obj/%.o: %.c build/fuzz.flags | $(GEN_HEADERS)
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_CFLAGS) $(CFLAGS_$<) -MMD -MP -c $< -o $@

%.a:
	$(Q)mkdir -p $(@D) && rm -f $@.$$$$ && ar rcsD $@.$$$$ $(filter %.o,$^) && mv $@.$$$$ $@

# What libraries of ours need of the system's, wherever they are linked: SYSLIBS_OF_name.
syslibs_of = $(foreach l,$(filter %.a,$^),$(SYSLIBS_OF_$(patsubst lib%.a,%,$(notdir $(l)))))

$(H)/bin/% $(H)/test/%:
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(HOST_LDFLAGS) -o $@.$$$$ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(SYSLIBS) $(syslibs_of) $(STATIC_LIBS) && mv $@.$$$$ $@
# X.libs: the archives that X has code from, for the bill of materials (image-tool/packages.h).
$(G)/bin/%:
	$(call say,GUESTLD,$@)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_LDFLAGS) -o $@.debug $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(SYSLIBS) $(syslibs_of) \
		-Wl,-t,-t >$@.trace.$$$$ && sed -n 's|^(.*/\(lib[^/]*\.a\)).*|\1|p' $@.trace.$$$$ | sort -u >$@.libs && rm $@.trace.$$$$ \
		&& objcopy --strip-all --remove-section=.comment $@.debug $@.tmp && rootfs/check-static-pie $@.tmp && mv $@.tmp $@
build/fuzz/bin/%:
	$(call say,FUZZLD,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(SYSLIBS) $(syslibs_of)

-include $(shell find build -name '*.d' 2>/dev/null)

# ---------------------------------------------------------------- targets
.PHONY: help all host guest tests fuzz test-guests deps demo check check-full soak bench fmt lint install dist sources clean
help: ## this list
	@echo "Kihon $(VERSION): build, boot and be the guest of a secure container."
	@echo; echo "  make TARGET        (newcomers: make demo, then make check)"; echo
	@grep -hE '^[a-z-]+:.*##' Makefile $(MODULES) | sed -E 's/^([a-z-]+):.*## *(.*)/  \1\t\2/' | sort | expand -t 16
	@echo; echo "  V=1 shows commands, ASAN=1 and TSAN=1 build the host side with sanitizers, PREFIX and DESTDIR are for install."

host: $(HOST_PROGRAMS) ## host programs (kata-image-tool, kihon, ...)
guest: $(GUEST_PROGRAMS) ## guest programs, static musl (kihon-agent, kihon-pull, ...)
tests: $(UNIT_TESTS)
fuzz: $(FUZZ_TARGETS)
test-guests: $(TEST_GUESTS)
all: host guest ## everything that is installed
deps: ## install the Debian packages that are missing
	@rootfs/deps.sh
check: ## all tests that fit in CI; the last line counts them
	@tests/run check
check-full: ## check, and what takes longer
	@tests/run full
soak: ## repeated cycles, looking for growth
	@tests/run soak
bench: all ## a table of figures against the named peers (ONLY=name for one row)
	@tests/bench/run $(if $(ONLY),--only $(ONLY))
demo: ## build all, boot a guest that pulls an image over TLS and runs it
	@tests/demo.sh
clean: ## remove build/
	rm -rf build

ALL_C := $(shell git ls-files '*.c' '*.h' 2>/dev/null)
fmt: ## format the C sources
	clang-format -i $(ALL_C)
lint: $(GEN_HEADERS) $(GUEST_SYSROOT_STAMP) ## clang on both sides, formatting, shell syntax, headers alone
	@tests/lint $(HOST_CLANG_EXTRA)

print-%:
	@echo '$($*)'
