/* SPDX-License-Identifier: Apache-2.0 */
/* test-oci-spec: config.json into the structure: every member, and what is refused. */
#include "check.h"

#include <fcntl.h>

#include "lib/base/fs.h"
#include "lib/oci/runtime_spec.h"

static struct oci_spec *load(const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct oci_spec *spec = NULL;
	struct error err = ERROR_INIT;

	check_ok(fs_read_file(AT_FDCWD, path, OCI_SPEC_MAX_JSON, &text, &err), &err);
	check_ok(oci_spec_parse(buffer_cstr(&text), text.size, &spec, &err), &err);
	check_ok(oci_spec_validate(spec, &err), &err);
	return spec;
}

TEST(sample_of_a_kata_runtime)
{
	_cleanup_oci_spec_ struct oci_spec *s = load("tests/data/oci/sample.json");
	const struct oci_seccomp *sc = s->linux_.seccomp;

	check_str(s->version, "1.0.2");
	check_int(s->process->args.n, 2);
	check_str(s->process->args.v[1], "hi");
	check(s->process->args.v[2] == NULL);
	check_int(s->process->user.n_additional_gids, 2);
	check_int(s->process->user.additional_gids[1], 10);
	check(!s->process->user.umask.set);
	check_int(s->process->oom_score_adj.value, 100);
	check_int(s->n_mounts, 3);
	check_str(s->mounts[1].options.v[3], "size=65536k");
	check_str(oci_map_get(&s->annotations, "io.kubernetes.cri.container-type"), "sandbox");
	check(oci_map_get(&s->annotations, "none") == NULL);
	check_int(s->linux_.resources->memory.limit.value, 134217728);
	check(!s->linux_.resources->memory.swap.set);
	check(!s->linux_.resources->pids_limit.set);
	check(oci_spec_namespace(s, "mount") != NULL);
	check(oci_spec_namespace(s, "pid") == NULL);
	check_int(s->linux_.devices[0].file_mode.value, 0666);
	check_int(sc->n_rules, 2);
	check_str(sc->rules[1].names.v[0], "clone3");
	check(sc->rules[1].errno_ret.set && sc->rules[1].errno_ret.value == 38);
	check(!sc->rules[0].errno_ret.set);
}

TEST(every_member_process)
{
	_cleanup_oci_spec_ struct oci_spec *s = load("tests/data/oci/full.json");
	const struct oci_process *p = s->process;

	check(p->terminal && p->no_new_privileges);
	check_int(p->console_height, 25);
	check_int(p->console_width, 80);
	check_int(p->user.uid, 1);
	check_int(p->user.gid, 2);
	check(p->user.umask.set && p->user.umask.value == 022);
	check_str(p->user.name, "u:g");
	check_int(p->env.n, 2);
	check_str(p->cwd, "/w");
	check_int(p->capabilities->bounding.n, 1);
	check_str(p->capabilities->effective.v[1], "CAP_CHOWN");
	check_int(p->capabilities->inheritable.n, 0);
	check_str(p->capabilities->ambient.v[0], "CAP_KILL");
	check_str(p->rlimits[0].type, "RLIMIT_CORE");
	check(p->rlimits[0].hard == UINT64_MAX);
	check_str(p->apparmor_profile, "ap");
	check_str(p->selinux_label, "se");
	check_int(p->oom_score_adj.value, -500);
	check_str(p->scheduler->policy, "SCHED_BATCH");
	check_int(p->scheduler->nice, -3);
	check_str(p->scheduler->flags.v[0], "SCHED_FLAG_RESET_ON_FORK");
	check_int(p->scheduler->runtime, 1);
	check_int(p->scheduler->period, 3);
	check_str(p->io_priority->class, "IOPRIO_CLASS_BE");
	check_int(p->io_priority->priority, 4);
}

TEST(every_member_mounts_and_hooks)
{
	_cleanup_oci_spec_ struct oci_spec *s = load("tests/data/oci/full.json");

	check_str(s->hostname, "h");
	check_str(s->domainname, "d.example");
	check(s->root->readonly);
	check_int(s->n_mounts, 2);
	check_int(s->mounts[0].options.n, 0);
	check_int(s->mounts[1].uid_mappings[0].host_id, 1000);
	check_int(s->mounts[1].gid_mappings[0].size, 20);
	for (int i = 0; i < OCI_HOOK_POINTS; i++)
		check_int(s->hooks[i].n, i == OCI_HOOK_POSTSTOP ? 2 : 1);
	check_str(s->hooks[OCI_HOOK_PRESTART].v[0].args.v[1], "x");
	check_int(s->hooks[OCI_HOOK_PRESTART].v[0].timeout.value, 5);
	check(!s->hooks[OCI_HOOK_CREATE_RUNTIME].v[0].timeout.set);
	check_str(s->hooks[OCI_HOOK_POSTSTOP].v[1].path, "/h7");
}

TEST(every_member_linux)
{
	_cleanup_oci_spec_ struct oci_spec *s = load("tests/data/oci/full.json");
	const struct oci_linux *l = &s->linux_;

	check_int(l->uid_mappings[0].host_id, 100000);
	check_int(l->gid_mappings[0].host_id, 200000);
	check_str(oci_map_get(&l->sysctl, "net.core.somaxconn"), "256");
	check_str(l->cgroups_path, "/k/c");
	check_int(l->n_namespaces, 8);
	check_str(oci_spec_namespace(s, "network")->path, "/run/netns/a");
	check_int(l->devices[0].gid.value, 4);
	check_str(l->devices[1].type, "p");
	check_str(l->rootfs_propagation, "rslave");
	check_int(l->readonly_paths.n, 2);
	check_str(l->mount_label, "ml");
	check_str(l->intel_rdt->clos_id, "cl");
	check(l->intel_rdt->enable_mbm);
	check_str(l->personality->domain, "LINUX32");
	check_int(l->n_time_offsets, 2);
	check_str(l->time_offsets[0].clock, "monotonic");
	check_int(l->time_offsets[0].secs, -86400);
	check_int(l->time_offsets[0].nanosecs, 5);
	check_str(l->seccomp->listener_path, "/run/l.sock");
	check_int(l->seccomp->default_errno_ret.value, 38);
	check(l->seccomp->rules[1].args[0].value == UINT64_MAX);
	check_int(l->seccomp->rules[1].args[0].value_two, 7);
}

TEST(every_member_resources)
{
	_cleanup_oci_spec_ struct oci_spec *s = load("tests/data/oci/full.json");
	const struct oci_resources *r = s->linux_.resources;

	check_int(r->n_devices, 2);
	check(!r->devices[0].major.set && r->devices[1].minor.value == 229);
	check_int(r->memory.swap.value, -1);
	check(r->memory.check_before_update.set && r->memory.check_before_update.value);
	check_int(r->cpu.quota.value, -1);
	check_int(r->cpu.idle.value, 1);
	check_str(r->cpu.mems, "0-7");
	check_int(r->pids_limit.value, 32771);
	check_int(r->block_io->weight_devices[0].leaf_weight.value, 300);
	check_int(r->block_io->write_bps.v[0].rate, 601);
	check_int(r->block_io->read_iops.v[0].rate, 602);
	check_int(r->block_io->write_iops.v[0].minor, 16);
	check_str(r->hugepage_limits[0].page_size, "2MB");
	check_int(r->network->class_id.value, 1048577);
	check_str(r->network->priorities[0].name, "eth0");
	check_int(r->n_rdma, 2);
	check_str(r->rdma[1].device, "mlx4_0");
	check(!r->rdma[1].hca_handles.set && r->rdma[1].hca_objects.value == 1000);
	check_str(oci_map_get(&r->unified, "io.max"), "259:0 rbps=2097152");
}

TEST(lone_objects)
{
	static const char process[] = "{\"args\":[\"ls\"],\"cwd\":\"/\"}";
	static const char resources[] = "{\"pids\":{\"limit\":7}}";
	_cleanup_oci_spec_ struct oci_spec *p = NULL, *r = NULL;
	struct error err = ERROR_INIT;

	check_ok(oci_spec_parse_process(process, sizeof(process) - 1, &p, &err), &err);
	check_ok(oci_process_validate(p->process, &err), &err);
	check_str(p->process->args.v[0], "ls");
	check_ok(oci_spec_parse_resources(resources, sizeof(resources) - 1, &r, &err), &err);
	check_int(r->linux_.resources->pids_limit.value, 7);
}

static const struct {
	const char *json;
	const char *text; /* a part of the message */
} refused[] = {
    {"", "not JSON"},
    {"[]", "not a JSON object"},
    {"{}", "\"ociVersion\" is missing"},
    {"{\"ociVersion\":1}", "\"ociVersion\" is not a string"},
    {"{\"ociVersion\":\"1.0.2\",\"process\":[]}", "\"process\" is not an object"},
    {"{\"ociVersion\":\"1.0.2\",\"process\":{}}", "\"cwd\" is missing"},
    {"{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":-1}}}", "\"uid\""},
    {"{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":1.5}}}", "whole"},
    {"{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":4294967296}}}", "uid"},
    {"{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":\"/\",\"args\":[1]}}", "list of strings"},
    {"{\"ociVersion\":\"1.0.2\",\"mounts\":[1]}", "list of objects"},
    {"{\"ociVersion\":\"1.0.2\",\"mounts\":[{}]}", "\"destination\" is missing"},
    {"{\"ociVersion\":\"1.0.2\",\"annotations\":{\"a\":1}}", "values are strings"},
    {"{\"ociVersion\":\"1.0.2\",\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\","
     "\"syscalls\":[{\"names\":[\"a\"],\"action\":\"b\",\"args\":[{\"index\":0,\"op\":\"c\","
     "\"value\":9007199254740993000}]}]}}}",
     "cannot be read exactly"},
};

TEST(wrong_types_are_refused)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct oci_spec *s = NULL;
		struct error err = ERROR_INIT;
		int r = oci_spec_parse(refused[i].json, strlen(refused[i].json), &s, &err);

		if (r != -EINVAL || !strstr(err.text, refused[i].text))
			check_fail(__FILE__, __LINE__, "%s: %d \"%s\"", refused[i].json, r,
			           err.text);
	}
}

static const struct {
	const char *members;
	const char *text;
} invalid[] = {
    {"\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]}", "root.path is missing"},
    {"\"root\":{\"path\":\"r\"}", "process is missing"},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\"}", "process.args is empty"},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"x\",\"args\":[\"a\"]}", "process.cwd \"x\""},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"env\":[\"X\"]}",
     "NAME=VALUE"},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
     "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}",
     "\"pid\" is there twice"},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
     "\"linux\":{\"namespaces\":[{\"type\":\"weather\"}]}",
     "\"weather\" is not known"},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},\"hostname\":\"h\"",
     "hostname without a uts namespace"},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
     "\"linux\":{\"maskedPaths\":[\"proc\"]}",
     "maskedPaths entry \"proc\" is not an absolute path"},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],"
     "\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},"
     "{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]}",
     "\"RLIMIT_CPU\" is there twice"},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
     "\"hooks\":{\"poststop\":[{\"path\":\"h\"}]}",
     "hooks path \"h\" is not an absolute path"},
    {"\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
     "\"linux\":{\"sysctl\":{\"../x\":\"1\"}}",
     "is not a name"},
};

TEST(wrong_meanings_are_refused)
{
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		_cleanup_oci_spec_ struct oci_spec *s = NULL;
		struct error err = ERROR_INIT;
		char json[1024];
		int n = snprintf(json, sizeof(json), "{\"ociVersion\":\"1.0.2\",%s}",
		                 invalid[i].members);

		check_ok(oci_spec_parse(json, (size_t)n, &s, &err), &err);
		if (oci_spec_validate(s, &err) != -EINVAL || !strstr(err.text, invalid[i].text))
			check_fail(__FILE__, __LINE__, "%s: \"%s\"", json, err.text);
	}
}

TEST(version_2_is_refused)
{
	static const char json[] = "{\"ociVersion\":\"2.0.0\"}";
	_cleanup_oci_spec_ struct oci_spec *s = NULL;
	struct error err = ERROR_INIT;

	check_ok(oci_spec_parse(json, sizeof(json) - 1, &s, &err), &err);
	check_int(oci_spec_validate(s, &err), -EINVAL);
}

TEST(arena_is_bounded)
{
	struct arena a = {.limit = 1000};

	check(arena_alloc(&a, 900) != NULL);
	check(arena_alloc(&a, 200) == NULL);
	check(a.failed);
	check(arena_array(&a, SIZE_MAX / 2, 4) == NULL);
	arena_free(&a);
}

TEST_MAIN()
