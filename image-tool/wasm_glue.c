/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm_glue: C that defines a module's imports.
 *
 * Names as wabt 1.0.32 forms them (wasm2c/README.md): Z_MODULEZ_NAME for a function of a module,
 * Z_MODULE_instance_t for its state. The state of the imported WASI module is the layer's.
 *
 * An imported function does not look at the state that it is called with: in a table wasm2c 1.0.32
 * gives it the address of the pointer to the state, which lies among what the module can write.
 */
#include "image-tool/wasm_glue.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/wasm/wasi_functions.h"

#define MODULE "Z_" WASM_MODULE_NAME
#define WASI   "Z_" WASI_MODULE

static const struct {
	const char *name, *type;
} functions[] = {
#define WASI_ROW(name, type, params) {#name, type},
    WASI_FUNCTIONS(WASI_ROW)};

static bool is_imported(const struct wasm_module *m, const char *name)
{
	for (uint32_t i = 0; i < m->n_imports; i++)
		if (wasm_name_is(&m->imports[i].name, name))
			return true;
	return false;
}

/* ", u32 a0, u64 a1": the parameters, with their types or as arguments. */
static void parameters(struct buffer *out, const char *type, bool types)
{
	for (unsigned int i = 0; type[i] != ':'; i++)
		buffer_printf(out, ", %sa%u", !types ? "" : type[i] == 'i' ? "u32 " : "u64 ", i);
}

static void function(struct buffer *out, const char *name, const char *type)
{
	bool result = str_ends(type, "i") && strchr(type, ':')[1];

	buffer_printf(out, "\nu32 wasi_%s(struct wasi *", name);
	parameters(out, type, true);
	buffer_printf(out, ");\n%s " WASI "Z_%s(struct " WASI "_instance_t *unused",
	              result ? "u32" : "void", name);
	parameters(out, type, true);
	buffer_printf(out, ")\n{\n\t%swasi_%s(state", result ? "return " : "", name);
	parameters(out, type, false);
	buffer_str(out, ");\n}\n");
}

void wasm_glue(const struct wasm_module *m, struct buffer *out)
{
	buffer_str(out, "#include \"" WASM_MODULE_HEADER "\"\n"
	                "#include \"runtime.h\"\n"
	                "\nstatic struct wasi *state;\n");
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (is_imported(m, functions[i].name))
			function(out, functions[i].name, functions[i].type);
	buffer_printf(out,
	              "\nstatic " MODULE "_instance_t instance;\n"
	              "static void instantiate(struct wasi *w)\n{\n"
	              "\tstate = w;\n"
	              "\t" MODULE "_init_module();\n"
	              "\t" MODULE "_instantiate(&instance%s);\n}\n",
	              m->n_imports > 0 ? ", (struct " WASI "_instance_t *)w" : "");
	buffer_str(out, "static void start(void)\n{\n"
	                "\t" MODULE "Z__start(&instance);\n}\n"
	                "static wasm_rt_memory_t *memory(void)\n{\n"
	                "\treturn " MODULE "Z_memory(&instance);\n}\n"
	                "const struct wasm_program wasm_program = "
	                "{instantiate, start, memory};\n");
}
