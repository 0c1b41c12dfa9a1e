/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent changes in a specification for devices: entries, rules, addresses in variables. */
#include <sys/sysmacros.h>

#include "check.h"
#include "guest/agent/rpc/container_spec.h"

static struct oci_spec *parse(const char *text)
{
	struct oci_spec *spec = NULL;
	struct error err = ERROR_INIT;

	check_ok(oci_spec_parse(text, strlen(text), &spec, &err), &err);
	return spec;
}

static void check_written(const struct oci_spec *spec, const char *part)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	check_int(oci_spec_format(spec, &text, NULL), 0);
	if (!strstr(buffer_cstr(&text), part))
		check_fail(__FILE__, __LINE__, "%s\nis not in\n%s", part, buffer_cstr(&text));
}

#define DEVICES                                                                                    \
	"{\"ociVersion\":\"1.0.2\",\"linux\":{\"devices\":[{\"path\":\"/dev/x\",\"type\":\"b\","   \
	"\"major\":8,\"minor\":1},{\"path\":\"/dev/y\",\"type\":\"c\",\"major\":8,\"minor\":2}],"  \
	"\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,"        \
	"\"type\":\"b\",\"major\":8,\"minor\":1,\"access\":\"r\"},{\"allow\":true,\"major\":9}]}}" \
	"}"

TEST(a_disk_gets_the_guests_number)
{
	_cleanup_oci_spec_ struct oci_spec *spec = parse(DEVICES);

	check_int(container_spec_device(spec, "/dev/x", NULL, makedev(254, 16), 'b', NULL), 0);
	check_written(spec, "{\"path\":\"/dev/x\",\"type\":\"b\",\"major\":254,\"minor\":16}");
	check_written(spec, "{\"path\":\"/dev/y\",\"type\":\"c\",\"major\":8,\"minor\":2}");
	check_written(spec, "{\"allow\":true,\"type\":\"b\",\"major\":254,\"minor\":16,"
	                    "\"access\":\"r\"},{\"allow\":true,\"major\":9},{\"allow\":true,"
	                    "\"type\":\"b\",\"major\":254,\"minor\":16,\"access\":\"rwm\"}]");
}

TEST(a_device_for_the_guest_alone_changes_nothing)
{
	_cleanup_oci_spec_ struct oci_spec *spec = parse(DEVICES);

	check_int(container_spec_device(spec, "/dev/z", NULL, makedev(254, 16), 'b', NULL), 0);
	check_int((int)spec->linux_.n_devices, 2);
	check_int((int)spec->linux_.resources->n_devices, 3);
}

TEST(an_iommu_group_has_the_guests_name)
{
	_cleanup_oci_spec_ struct oci_spec *spec = parse(DEVICES);

	check_int(container_spec_device(spec, "/dev/y", "/dev/vfio/3", makedev(240, 3), 'c', NULL),
	          0);
	check_written(spec, "{\"path\":\"/dev/vfio/3\",\"type\":\"c\",\"major\":240,\"minor\":3}");
	check_int((int)spec->linux_.n_devices, 2);
}

TEST(an_iommu_group_is_added_where_there_is_none)
{
	_cleanup_oci_spec_ struct oci_spec *spec = parse("{\"ociVersion\":\"1.0.2\"}");

	check_int(
	    container_spec_device(spec, "/dev/vfio/9", "/dev/vfio/3", makedev(240, 3), 'c', NULL),
	    0);
	check_written(spec, "\"devices\":[{\"path\":\"/dev/vfio/3\",\"type\":\"c\",\"major\":240,"
	                    "\"minor\":3,\"fileMode\":384}]");
	check_written(spec, "{\"allow\":true,\"type\":\"c\",\"major\":240,\"minor\":3,"
	                    "\"access\":\"rwm\"}");
}

TEST(addresses_in_variables)
{
	static const struct pci_name names[] = {{"0000:3b:00.0", "0000:00:02.0"},
	                                        {"0000:3b:00.1", "0000:01:03.0"}};
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"PCIDEVICE_A=0000:3b:00.0", "PCIDEVICE_A=0000:00:02.0"},
	    {"PCIDEVICE_A=0000:3B:00.1,0000:3b:00.0", "PCIDEVICE_A=0000:01:03.0,0000:00:02.0"},
	    {"PCIDEVICE_A=,0000:3b:00.0,,x,", "PCIDEVICE_A=,0000:00:02.0,,x,"},
	    {"PCIDEVICE_A=0000:3b:00.00", "PCIDEVICE_A=0000:3b:00.00"},
	    {"PCIDEVICE_A_INFO=0000:3b:00.0", "PCIDEVICE_A_INFO=0000:3b:00.0"},
	    {"PCIDEVICE_=", "PCIDEVICE_="},
	    {"PCIDEVICE_A", "PCIDEVICE_A"},
	    {"OTHER=0000:3b:00.0", "OTHER=0000:3b:00.0"},
	    {"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_oci_spec_ struct oci_spec *spec =
		    parse("{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":\"/\"}}");

		oci_strings_copy(&spec->arena, &spec->process->env, &cases[i].in, 1);
		check_int(container_spec_pci_names(spec, names, 2, NULL), 0);
		check_str(spec->process->env.v[0], cases[i].out);
	}
}

TEST_MAIN()
