/* SPDX-License-Identifier: Apache-2.0 */
/* options_help: what the option tables say to people: --help, man pages, completion. */
#pragma once

#include <stdio.h>

#include "options.h"

/* Help of one verb, or of the program (verb NULL). All return the exit status. */
int options_help(const struct program *p, const struct verb *v, FILE *f);
/* A man page (roff) of the program and all its verbs. */
int options_man(const struct program *p, FILE *f);
int options_completion(const struct program *p, FILE *f);
