/* SPDX-License-Identifier: Apache-2.0 */
/* The pause container: who gets it, and what it runs. */
#include <fcntl.h>

#include "check.h"
#include "guest/agent/image/pause.h"
#include "lib/base/fs.h"

static Grpc__Storage storage;
static char *option[1];

static bool wanted(const char *driver, const char *text)
{
	grpc__storage__init(&storage);
	storage.driver = (char *)driver;
	option[0] = (char *)text;
	storage.driver_options = option;
	storage.n_driver_options = 1;
	return pause_wanted(&storage);
}

#define PULL "image_guest_pull"
#define CRI  "io.kubernetes.cri.container-type"

TEST(whose_image_is_not_pulled)
{
	static const char *const no[] = {
	    "",
	    PULL "=",
	    PULL "={}",
	    PULL "={\"metadata\":{}}",
	    PULL "={\"metadata\":[]}",
	    PULL "={\"metadata\":{\"" CRI "\":\"container\"}}",
	    PULL "={\"metadata\":{\"" CRI "\":\"Sandbox\"}}",
	    PULL "={\"metadata\":{\"" CRI "\":\" sandbox \"}}",
	    PULL "={\"metadata\":{\"" CRI "\":1}}",
	    PULL "={\"" CRI "\":\"sandbox\"}",
	    PULL "={\"metadata\":{\"" CRI "\":\"sandbox\"}",
	    "other={\"metadata\":{\"" CRI "\":\"sandbox\"}}",
	};

	check(wanted(PULL, PULL "={\"metadata\":{\"" CRI "\":\"sandbox\"}}"));
	check(wanted(PULL, PULL "={\"metadata\":{\"a\":\"b\",\"io.kubernetes.cri-o."
	                        "ContainerType\":\"sandbox\"}}"));
	check(!wanted("local", PULL "={\"metadata\":{\"" CRI "\":\"sandbox\"}}"));
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (wanted(PULL, no[i]))
			check_fail(__FILE__, __LINE__, "%s", no[i]);
}

static void write_config(const char *text)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/config.json", check_tmpdir());
	check_int(fs_write_file_atomic(path, text, strlen(text), 0644, NULL), 0);
}

static struct oci_spec *request(const char *annotation)
{
	char text[600];
	struct oci_spec *spec = NULL;
	struct error err = ERROR_INIT;

	snprintf(text, sizeof(text),
	         "{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":\"/evil\",\"args\":[\"/evil\"],"
	         "\"env\":[\"A=1\"],\"user\":{\"uid\":7},\"oomScoreAdj\":-998,\"capabilities\":{"
	         "\"bounding\":[\"CAP_SYS_ADMIN\"]}},\"annotations\":{%s}}",
	         annotation);
	check_ok(oci_spec_parse(text, strlen(text), &spec, &err), &err);
	return spec;
}

static int run(struct oci_spec *spec, const char *driver, struct error *err)
{
	Grpc__Storage *list[1] = {&storage};

	grpc__storage__init(&storage);
	storage.driver = (char *)driver;
	return pause_process(spec, list, 1, check_tmpdir(), err);
}

#define SANDBOX "\"" CRI "\":\"sandbox\""

TEST(it_runs_what_the_guest_says)
{
	_cleanup_oci_spec_ struct oci_spec *spec = request(SANDBOX);
	struct error err = ERROR_INIT;
	const struct oci_process *p;

	write_config(
	    "{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":\"/\",\"args\":[\"/pause\",\"x\"],"
	    "\"env\":[\"B=2\"],\"user\":{\"uid\":65535,\"gid\":65534},\"noNewPrivileges\":true,"
	    "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":1,\"hard\":2}],"
	    "\"capabilities\":{\"bounding\":[\"CAP_KILL\"]}}}");
	check_ok(run(spec, PULL, &err), &err);
	p = spec->process;
	check(p->args.n == 2 && p->env.n == 1 && p->n_rlimits == 1);
	check_str(p->args.v[0], "/pause");
	check(!p->args.v[2]);
	check_str(p->env.v[0], "B=2");
	check_str(p->cwd, "/");
	check(p->user.uid == 65535 && p->user.gid == 65534 && p->no_new_privileges);
	check_str(p->capabilities->bounding.v[0], "CAP_KILL");
	check_str(p->rlimits[0].type, "RLIMIT_NOFILE");
	check(p->oom_score_adj.set && p->oom_score_adj.value == -998);
}

TEST(others_run_what_the_host_says)
{
	_cleanup_oci_spec_ struct oci_spec *spec = request(SANDBOX);
	_cleanup_oci_spec_ struct oci_spec *other = request("\"" CRI "\":\"container\"");

	check_int(run(spec, "blk", NULL), 1);
	check_int(run(other, PULL, NULL), 1);
	check_str(spec->process->args.v[0], "/evil");
	check_str(other->process->args.v[0], "/evil");
}

TEST(a_bundle_that_says_nothing)
{
	static const char *const bad[] = {"", "[]", "{\"ociVersion\":\"1.0.2\"}",
	                                  "{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":\"/\"}}"};
	_cleanup_oci_spec_ struct oci_spec *spec = request(SANDBOX);
	struct error err = ERROR_INIT;

	check_int(run(spec, PULL, &err), -ENOENT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		write_config(bad[i]);
		check(run(spec, PULL, &err) < 0);
		check(strstr(err.text, "config.json") != NULL);
		check_str(spec->process->args.v[0], "/evil");
	}
}

TEST_MAIN()
