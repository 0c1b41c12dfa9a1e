# SPDX-License-Identifier: Apache-2.0
"""config.md: the process, the root, mounts, for tests/oci/validation. A case gets a Container, changes its configuration, and checks."""
import os, stat

from container import LIMITS, SOME_CAPS, Failed, case, is_device


# ---- config.md: process ----

@case
def default(t):
    """The basic configuration, everything of it."""
    t.go()
    p = t.config["process"]
    t.same("args", t.cmdline(), p["args"])
    t.same("env", [e for e in t.words("environ") if not e.startswith("HOME=")], p["env"])
    t.same("cwd", os.readlink("/proc/%d/cwd" % t.pid), "/")
    t.same("no_new_privs", t.status("NoNewPrivs"), "1")
    for set_, field in (("bounding", "CapBnd"), ("effective", "CapEff"), ("permitted", "CapPrm")):
        t.same(set_, t.caps(field), set(SOME_CAPS))
    t.same("inheritable and ambient", t.caps("CapInh") | t.caps("CapAmb"), set())
    t.same("the host name", t.in_namespaces("hostname"), "validation")
    for path, target in (("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
                         ("/dev/stderr", "/proc/self/fd/2")):
        t.same(path, os.readlink(t.inside(path)), target)
    for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)):
        t.check(is_device(t.inside("/dev/" + name), major, minor), "/dev/%s is not %d:%d" % (name, major, minor))
        t.same("the mode of /dev/" + name, stat.S_IMODE(os.stat(t.inside("/dev/" + name)).st_mode), 0o666)
    t.check(os.path.lexists(t.inside("/dev/ptmx")), "no /dev/ptmx")
    t.same("mounts", [m["destination"] for m in t.config["mounts"]], [m[0] for m in t.mounts() if m[0] in
           [x["destination"] for x in t.config["mounts"]]])
    t.same("descriptors", sorted(os.listdir("/proc/%d/fd" % t.pid)), ["0", "1", "2"])


@case
def process(t):
    t.config["process"]["cwd"] = "/made/for/it"
    t.config["process"]["noNewPrivileges"] = False
    t.go()
    t.same("cwd", os.readlink("/proc/%d/cwd" % t.pid), "/made/for/it")
    t.same("no_new_privs", t.status("NoNewPrivs"), "0")


@case
def process_args_fail(t):
    for args in ([], ["no-such-program"], ["/etc"]):
        t.config["process"]["args"] = args
        t.create_fails()


@case
def process_cwd_fail(t):
    t.config["process"]["cwd"] = "/bin/busybox"
    t.create_fails()


@case
def process_user(t):
    t.config["process"]["user"] = {"uid": 10, "gid": 11, "additionalGids": [5, 7], "umask": 0o27}
    t.go()
    t.same("uids", t.status("Uid").split(), ["10"] * 4)
    t.same("gids", t.status("Gid").split(), ["11"] * 4)
    t.same("groups", set(t.status("Groups").split()), {"5", "7"})
    t.same("umask", t.status("Umask"), "0027")


@case
def process_rlimits(t):
    t.config["process"]["rlimits"] = [{"type": "RLIMIT_" + k, "soft": 100 + i, "hard": 200 + i}
                                      for i, k in enumerate(("NOFILE", "NPROC", "CORE", "FSIZE", "CPU"))]
    t.go()
    text = t.proc("limits")
    for r in t.config["process"]["rlimits"]:
        title = LIMITS[r["type"][7:]]
        line = next(x for x in text.splitlines() if x.startswith(title))
        t.same(r["type"], [int(x) for x in line[len(title):].split()[:2]], [r["soft"], r["hard"]])


@case
def process_rlimits_fail(t):
    t.config["process"]["rlimits"] = [{"type": "RLIMIT_TEST", "soft": 1, "hard": 1}]
    t.create_fails()


@case
def process_capabilities(t):
    c = t.config["process"]["capabilities"]
    c.update(bounding=["CAP_KILL", "CAP_CHOWN"], permitted=["CAP_KILL", "CAP_CHOWN"], effective=["CAP_CHOWN"],
             inheritable=["CAP_KILL"], ambient=["CAP_KILL"])
    t.config["process"]["user"] = {"uid": 7, "gid": 7}
    t.go()
    t.same("bounding", t.caps("CapBnd"), {"CAP_KILL", "CAP_CHOWN"})
    t.same("inheritable", t.caps("CapInh"), {"CAP_KILL"})
    t.same("ambient", t.caps("CapAmb"), {"CAP_KILL"})
    t.same("effective", t.caps("CapEff"), {"CAP_KILL"})


@case
def process_capabilities_unknown(t):
    """config.md 1.1: what cannot be mapped or granted is a warning, not an error."""
    t.config["process"]["capabilities"]["bounding"] += ["CAP_TEST"]
    t.config["process"]["capabilities"]["ambient"] = ["CAP_KILL"]
    t.go()
    t.same("bounding", t.caps("CapBnd"), set(SOME_CAPS))


@case
def process_oom_score_adj(t):
    t.config["process"]["oomScoreAdj"] = 123
    t.go()
    t.same("oom_score_adj", t.proc("oom_score_adj").strip(), "123")


@case
def process_io_priority(t):
    t.config["ociVersion"] = "1.1.0"
    t.config["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    t.go()
    got = os.popen("ionice -p %d" % t.pid).read().strip()
    t.same("the class", got, "idle")


@case
def process_scheduler(t):
    t.config["ociVersion"] = "1.1.0"
    t.config["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 3}
    t.go()
    t.same("the policy", os.sched_getscheduler(t.pid), os.SCHED_BATCH)
    t.same("nice", os.getpriority(os.PRIO_PROCESS, t.pid), 3)


@case
def process_environment(t):
    t.config["process"]["env"] = ["PATH=/bin", "EMPTY=", "X=1", "LONG=" + "a" * 100000]
    t.go()
    t.same("env", [e for e in t.words("environ") if not e.startswith("HOME=")], t.config["process"]["env"])


# ---- config.md: root, mounts, hostname ----

@case
def root_readonly_true(t):
    t.config["root"]["readonly"] = True
    t.go()
    t.check("ro" in t.mount_at("/")[1], "the root is writable")
    t.same("what /tmp is on", os.statvfs(t.inside("/tmp")).f_flag & os.ST_RDONLY, os.ST_RDONLY)


@case
def root_symlink(t):
    os.symlink("rootfs", os.path.join(t.bundle, "link"))
    t.config["root"]["path"] = "link"
    t.go()
    t.check(os.path.exists(t.inside("/bin/busybox")), "another root")


@case
def root_missing(t):
    t.config["root"]["path"] = "none"
    t.create_fails()


@case
def hostname(t):
    t.config["hostname"] = "other-name"
    t.go()
    t.same("the host name", t.in_namespaces("hostname"), "other-name")


@case
def domainname(t):
    t.config["ociVersion"] = "1.1.0"
    t.config["domainname"] = "example.org"
    t.go()
    t.same("the domain name", t.in_namespaces("cat", "/proc/sys/kernel/domainname"), "example.org")


@case
def hostname_without_uts(t):
    t.config["linux"]["namespaces"] = [n for n in t.config["linux"]["namespaces"] if n["type"] != "uts"]
    t.create_fails()


def source(t):
    d = os.path.join(t.bundle, "source")
    os.makedirs(d + "/sub")
    with open(d + "/file", "w") as f:
        f.write("content")
    return d


@case
def mounts(t):
    src = source(t)
    t.config["mounts"] += [
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=1m"]},
        {"destination": "/mnt/dir", "type": "bind", "source": src, "options": ["bind", "ro", "nodev", "noexec", "noatime"]},
        {"destination": "/mnt/made/file", "source": src + "/file", "options": ["bind"]},
        {"destination": "relative", "source": src, "options": ["rbind"]},
        {"destination": "/../../up", "source": "source", "options": ["rbind"]}]
    t.go()
    m = t.mount_at("/tmp")
    t.same("/tmp", ("nosuid" in m[1], "relatime" in m[1], m[3], "size=1024k" in m[4], "mode=755" in m[4]), (True, False, "tmpfs", True, True))
    t.check({"ro", "nodev", "noexec", "noatime"} <= set(t.mount_at("/mnt/dir")[1]), "the options of /mnt/dir")
    for path in ("/mnt/made/file", "/relative/file", "/up/file"):
        with open(t.inside(path)) as f:
            t.same(path, f.read(), "content")


@case
def mounts_through_links(t):
    """A link in the root file system leads to a place inside it."""
    src = source(t)
    os.symlink("/etc", t.path("link"))
    os.symlink("/../../../../..", t.path("out-of-it"))
    t.config["mounts"] += [{"destination": "/link/place", "source": src, "options": ["bind"]},
                           {"destination": "/out-of-it/validation-place", "source": src, "options": ["bind"]}]
    t.go()
    t.mount_at("/etc/place")
    t.mount_at("/validation-place")
    t.check(not os.path.exists("/validation-place"), "it was made outside")


@case
def mounts_recursive(t):
    src = source(t)
    t.config["ociVersion"] = "1.1.0"
    t.config["mounts"] += [{"destination": "/r1", "source": src, "options": ["rbind", "ro"]},
                           {"destination": "/r2", "source": src, "options": ["rbind", "rro", "rnoexec", "rnosuid", "rnodev"]}]
    mount(t, src + "/sub")
    t.go()
    t.check("rw" in t.mount_at("/r1/sub")[1], "ro changed what is below")
    t.check({"ro", "noexec", "nosuid", "nodev"} <= set(t.mount_at("/r2/sub")[1]), "rro did not change what is below")


def mount(t, where):
    if os.system("mount -t tmpfs tmpfs '%s'" % where):
        raise Failed("mount")


@case
def mounts_propagation(t):
    src = source(t)
    t.config["mounts"] += [{"destination": "/m-" + k, "source": src, "options": ["rbind", k]}
                           for k in ("rshared", "rslave", "rprivate", "runbindable")]
    t.go()
    fields = {k: " ".join(t.mount_at("/m-" + k)[2]) for k in ("rshared", "rslave", "rprivate", "runbindable")}
    t.check("shared:" in fields["rshared"], "rshared: " + fields["rshared"])
    t.check("master:" in fields["rslave"] and "shared:" not in fields["rslave"], "rslave: " + fields["rslave"])
    t.same("rprivate", fields["rprivate"], "")
    t.same("runbindable", fields["runbindable"], "unbindable")


@case
def mounts_tmpcopyup(t):
    with open(t.path("etc/kept"), "w") as f:
        f.write("kept")
    t.config["mounts"].append({"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]})
    t.go()
    t.same("the type of /etc", t.mount_at("/etc")[3], "tmpfs")
    with open(t.inside("/etc/kept")) as f:
        t.same("what was there", f.read(), "kept")


@case
def mounts_idmap(t):
    src = source(t)
    os.chown(src + "/file", 0, 0)
    t.config["ociVersion"] = "1.1.0"
    t.config["mounts"].append({"destination": "/mapped", "source": src, "options": ["rbind"],
                               "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
                               "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 10}]})
    t.go()
    st = os.stat(t.inside("/mapped/file"))
    t.same("the owner", (st.st_uid, st.st_gid), (1000, 2000))


@case
def mounts_fail(t):
    for m in ({"destination": "/x", "source": "/no-such-place", "options": ["bind"]},
              {"destination": "/x", "type": "no-such-fs", "source": "x"},
              {"destination": "/x", "type": "tmpfs", "source": "x", "options": ["nonsense=1"]},
              {"destination": "/proc/self/fd", "source": "/tmp", "options": ["bind"]}):
        t.config["mounts"].append(m)
        t.create_fails()
        t.config["mounts"].pop()
