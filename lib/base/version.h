/* SPDX-License-Identifier: Apache-2.0 */
/* version: the one semantic version, from the file VERSION by way of the Makefile. */
#pragma once

#ifndef KIHON_VERSION
#error "KIHON_VERSION is defined by the Makefile from the file VERSION"
#endif
