/* SPDX-License-Identifier: Apache-2.0 */
/* test-wasm: modules made byte by byte after the specification's binary format, whole and broken.
 */
#include "check.h"
#include "lib/base/bytes.h"
#include "lib/wasm/module.h"

/* A command: type ()->(), type (i32)->(), proc_exit imported, _start and memory exported. */
static const uint8_t command[] = {
    0,   'a', 's', 'm',  1,   0,    0,    0,                                       /**/
    1,   8,   2,   0x60, 0,   0,    0x60, 1,   0x7f, 0,                            /* types */
    2,   36,  1,   22,   'w', 'a',  's',  'i', '_',  's', 'n', 'a', 'p', 's', 'h', /* imports */
    'o', 't', '_', 'p',  'r', 'e',  'v',  'i', 'e',  'w', '1', 9,   'p', 'r', 'o', /**/
    'c', '_', 'e', 'x',  'i', 't',  0,    1,                                       /**/
    3,   2,   1,   0,                                                              /* functions */
    5,   3,   1,   0,    1,                                                        /* memory */
    7,   19,  2,   6,    '_', 's',  't',  'a', 'r',  't', 0,   1,                  /* exports */
    6,   'm', 'e', 'm',  'o', 'r',  'y',  2,   0,                                  /**/
    10,  4,   1,   2,    0,   0x0b,                                                /* code */
};
enum {
	TYPES_AT = 8,
	IMPORTS_AT = 18,
	NAME_AT = 45,
	KIND_AT = 54,
	FUNCTIONS_AT = 56,
	MEMORY_AT = 60,
	EXPORTS_AT = 65,
	START_AT = 69,
	EXPORTED_AT = 78
};

static int look(const uint8_t *data, size_t size, struct error *err)
{
	_cleanup_wasm_module_ struct wasm_module m = WASM_MODULE_INIT;
	/* On the heap, so that a byte too many is seen. */
	uint8_t *copy = malloc(size ? size : 1);
	int r;

	memcpy(copy, data, size);
	r = wasm_module_read(&m, copy, size, err);
	if (r == 0)
		r = wasm_module_check_command(&m, err);
	free(copy);
	return r;
}

static void check_refused(const uint8_t *data, size_t size, const char *why)
{
	struct error err = ERROR_INIT;

	check(look(data, size, &err) < 0);
	check_int(err.kind, ERROR_INPUT);
	if (!strstr(err.text, why))
		check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text, why);
}

/* The command with one byte changed. */
static void check_changed(size_t at, uint8_t byte, const char *why)
{
	uint8_t m[sizeof(command)];

	memcpy(m, command, sizeof(m));
	m[at] = byte;
	check_refused(m, sizeof(m), why);
}

TEST(a_command_is_read)
{
	_cleanup_wasm_module_ struct wasm_module m = WASM_MODULE_INIT;
	struct error err = ERROR_INIT;
	const struct wasm_export *start;
	char type[32];

	check_ok(wasm_module_read(&m, command, sizeof(command), &err), &err);
	check_ok(wasm_module_check_command(&m, &err), &err);
	check_int(m.n_types, 2);
	check_int(m.n_imports, 1);
	check(wasm_name_is(&m.imports[0].module, "wasi_snapshot_preview1"));
	check(wasm_name_is(&m.imports[0].name, "proc_exit"));
	check(!wasm_name_is(&m.imports[0].name, "proc_exi"));
	wasm_type_text(&m.types[m.imports[0].type], type, sizeof(type));
	check_str(type, "i:");
	wasm_type_text(&m.types[m.imports[0].type], type, 2);
	check_str(type, "i");
	start = wasm_module_export(&m, "_start", WASM_FUNC);
	check(start);
	check_int(start->index, 1);
	check(wasm_module_function(&m, 0) == &m.types[1]);
	check(wasm_module_function(&m, 1) == &m.types[0]);
	check(!wasm_module_function(&m, 2));
	check(!wasm_module_export(&m, "memory", WASM_FUNC));
	check_int(m.n_memories, 1);
}

TEST(every_truncation_is_refused)
{
	for (size_t n = 0; n < sizeof(command) - 6; n++) {
		struct error err = ERROR_INIT;
		int r = look(command, n, &err);

		check(r < 0);
		check_int(err.kind, ERROR_INPUT);
		check(err.text[0] && !strchr(err.text, '\n'));
	}
}

TEST(what_it_is_not)
{
	static const uint8_t component[] = {0, 'a', 's', 'm', 0x0d, 0, 1, 0};
	static const uint8_t future[] = {0, 'a', 's', 'm', 2, 0, 0, 0};

	check_refused((const uint8_t *)"", 0, "not a WebAssembly module");
	check_refused((const uint8_t *)"\177ELF....", 8, "not a WebAssembly module");
	check_refused(command, 6, "ends before its version");
	check_refused(component, sizeof(component), "component");
	check_refused(future, sizeof(future), "version 2");
	check_refused(command, 8, "_start");
}

TEST(imports_that_are_not_there_are_named)
{
	check_changed(NAME_AT, 'q', "wasi_snapshot_preview1.qroc_exit");
	check_changed(NAME_AT - 2, '2', "wasi_snapshot_preview2.proc_exit");
	check_changed(KIND_AT + 1, 0, "with the type :; in WASI preview 1 it is i:");
	check_changed(KIND_AT + 1, 2, "a type that is not there");
	check_changed(KIND_AT, 9, "unknown kind");
	/* The name of an import may hold anything; a message is one line. */
	check_changed(NAME_AT, '\n', "\\u000aroc_exit");
}

TEST(what_a_command_exports)
{
	check_changed(START_AT + 1, 'x', "_start");
	check_changed(EXPORTED_AT, 'M', "memory");
	check_changed(START_AT + 7, 0, "_start takes parameters");
	check_changed(START_AT + 7, 7, "_start takes parameters");
	check_changed(FUNCTIONS_AT + 3, 1, "_start takes parameters");
	check_changed(START_AT + 6, 5, "unknown kind");
	check_changed(MEMORY_AT + 3, 0x10, "unknown kind");
	check_changed(MEMORY_AT + 3, 4, "64-bit");
}

TEST(damaged_sections)
{
	check_changed(TYPES_AT, 14, "unknown id 14");
	check_changed(IMPORTS_AT, 1, "section 1 is there twice");
	check_changed(TYPES_AT + 1, 7, "section");
	check_changed(TYPES_AT + 2, 0x7f, "ends in the middle");
	check_changed(TYPES_AT + 3, 0x5f, "form 0x5f");
	check_changed(EXPORTS_AT + 2, 1, "section 7");
	/* A LEB128 that never ends, or has bits beyond 32. */
	check_changed(TYPES_AT + 1, 0x88, "section");
	check_refused((const uint8_t *)"\0asm\1\0\0\0\1\xff\xff\xff\xff\x1f", 14, "section");
	check_refused((const uint8_t *)"\0asm\1\0\0\0\1\x80\x80\x80\x80\x80\0", 15, "section");
	/* 4 billion types in 5 bytes */
	check_refused((const uint8_t *)"\0asm\1\0\0\0\1\5\xff\xff\xff\xff\x0f", 15, "section");
}

/* The exports "_start", "memory" and more, and a custom section before and behind. */
TEST(a_plain_module_has_no_names_of_its_author)
{
	static const uint8_t named[] = {
	    0, 'a', 's', 'm',  1,   0,   0,   0,    0,   5,   4,   'n', 'a',  'm',  'e', /**/
	    1, 4,   1,   0x60, 0,   0,   3,   2,    1,   0,   5,   3,   1,    0,    1,   /**/
	    7, 30,  4,   2,    '*', '/', 0,   0,    6,   '_', 's', 't', 'a',  'r',  't', /**/
	    0, 0,   6,   'm',  'e', 'm', 'o', 'r',  'y', 2,   0,   3,   '"',  '\n', 'x', /**/
	    2, 0,   10,  4,    1,   2,   0,   0x0b, 0,   3,   1,   'z', 0xff,
	};
	static const uint8_t plain[] = {
	    0, 'a', 's', 'm',  1,   0,   0,   0,                                       /**/
	    1, 4,   1,   0x60, 0,   0,   3,   2,    1,   0,   5,   3,   1,   0,   1,   /**/
	    7, 29,  4,   2,    'e', '0', 0,   0,    6,   '_', 's', 't', 'a', 'r', 't', /**/
	    0, 0,   6,   'm',  'e', 'm', 'o', 'r',  'y', 2,   0,   2,   'e', '3',      /**/
	    2, 0,   10,  4,    1,   2,   0,   0x0b,
	};
	_cleanup_wasm_module_ struct wasm_module m = WASM_MODULE_INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct error err = ERROR_INIT;

	check_ok(wasm_module_read(&m, named, sizeof(named), &err), &err);
	check_int(wasm_module_plain(&m, named, sizeof(named), &out), 0);
	check_int(out.size, sizeof(plain));
	check_mem(out.data, plain, sizeof(plain));
}

TEST_MAIN()
