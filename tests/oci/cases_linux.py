# SPDX-License-Identifier: Apache-2.0
"""config-linux.md, for tests/oci/validation. A case gets a Container, changes its configuration, and checks."""
import os, stat

from container import NAMESPACES, Skip, case, is_device


# ---- config-linux.md ----

@case
def linux_devices(t):
    t.config["linux"]["devices"] = [
        {"path": "/dev/test1", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
        {"path": "/dev/dir/test2", "type": "b", "major": 8, "minor": 666, "fileMode": 0o600},
        {"path": "/dev/test3", "type": "p", "fileMode": 0o644}]
    t.go()
    st = os.lstat(t.inside("/dev/test1"))
    t.check(is_device(t.inside("/dev/test1"), 10, 229), "test1")
    t.same("test1", (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid), (0o640, 5, 6))
    t.check(is_device(t.inside("/dev/dir/test2"), 8, 666, stat.S_ISBLK), "test2")
    t.check(stat.S_ISFIFO(os.lstat(t.inside("/dev/test3")).st_mode), "test3")


@case
def linux_masked_paths(t):
    os.makedirs(t.path("masked-dir/sub"))
    for f in ("masked-file", "masked-dir/masked-file", "masked-dir/sub/masked-file"):
        with open(t.path(f), "w") as o:
            o.write("secrets")
    t.config["linux"]["maskedPaths"] = ["/masked-dir", "/masked-file", "/masked-dir/sub", "/masked-dir/masked-file", "/not-there"]
    t.go()
    t.same("the folder", os.listdir(t.inside("/masked-dir")), [])
    with open(t.inside("/masked-file")) as f:
        t.same("the file", f.read(), "")


@case
def linux_masked_paths_special(t):
    os.mkfifo(t.path("masked-fifo"))
    os.mknod(t.path("masked-device"), stat.S_IFCHR | 0o666, os.makedev(1, 1))
    t.config["linux"]["maskedPaths"] = ["/masked-fifo", "/masked-device"]
    t.go()
    for p in ("/masked-fifo", "/masked-device"):
        t.check(is_device(t.inside(p), 1, 3), p + " can be reached")


@case
def linux_readonly_paths(t):
    os.makedirs(t.path("ro-dir/sub"))
    for f in ("ro-file", "ro-dir/file"):
        open(t.path(f), "w").close()
    t.config["linux"]["readonlyPaths"] = ["/ro-dir", "/ro-file", "/ro-dir/sub", "/proc/sys", "/not-there"]
    t.go()
    for p in ("/ro-dir", "/ro-file", "/ro-dir/sub", "/proc/sys"):
        t.check(os.statvfs(t.inside(p)).f_flag & os.ST_RDONLY, p + " is writable")
    t.check(not os.statvfs(t.inside("/tmp")).f_flag & os.ST_RDONLY, "/tmp is not writable")


def propagation(word, want):
    def fn(t):
        t.config["linux"]["rootfsPropagation"] = word
        t.go()
        fields = " ".join(t.mount_at("/")[2])
        t.check(want(fields), "the root is \"%s\"" % fields)
    fn.__name__ = "linux_rootfs_propagation_" + word
    case(fn)


propagation("shared", lambda f: "shared:" in f)
propagation("slave", lambda f: "shared:" not in f and "unbindable" not in f)
propagation("private", lambda f: f == "")
propagation("unbindable", lambda f: f == "unbindable")


@case
def linux_seccomp(t):
    t.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}]}
    out = t.finish("mkdir /tmp/x 2>/out")
    t.check("not implemented" in (out or ""), "mkdir said %r" % out)


@case
def linux_seccomp_fail(t):
    t.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_NONSENSE"}
    t.create_fails()


@case
def linux_sysctl(t):
    t.config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "2048"}
    t.go()
    t.same("ip_forward", t.in_namespaces("cat", "/proc/sys/net/ipv4/ip_forward"), "1")
    t.same("shmmni", t.in_namespaces("cat", "/proc/sys/kernel/shmmni"), "2048")


@case
def linux_sysctl_fail(t):
    t.config["linux"]["sysctl"] = {"kernel.panic": "9"}
    t.create_fails()


@case
def linux_id_mappings(t):
    t.config["linux"]["namespaces"].append({"type": "user"})
    t.config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 2000}, {"containerID": 5000, "hostID": 0, "size": 1}]
    t.config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 3000}]
    os.chown(t.rootfs, 100000, 200000)
    t.go()
    t.same("uid_map", t.proc("uid_map").split(), "0 100000 2000 5000 0 1".split())
    t.same("gid_map", t.proc("gid_map").split(), "0 200000 3000".split())
    t.same("the uid outside", t.status("Uid").split()[0], "100000")


@case
def linux_ns_nopath(t):
    t.config["linux"]["namespaces"].append({"type": "cgroup"})
    t.go()
    for name in NAMESPACES.values():
        t.check(t.namespace(name) != t.namespace(name, "self"), name + " is the runtime's")


@case
def linux_ns_itype(t):
    """A type that is not listed is the runtime's."""
    t.config["linux"]["namespaces"] = []
    del t.config["hostname"]
    t.config["mounts"] = [m for m in t.config["mounts"] if m["type"] != "sysfs"]
    t.create()
    t.pid = t.state()["pid"]
    for name in (*NAMESPACES.values(), "user"):
        t.same(name, t.namespace(name), t.namespace(name, "self"))
    t.must("delete", "--force", t.id)
    with open("/proc/self/mountinfo") as f:
        left = [line for line in f if t.rootfs in line]
    for line in left:
        os.system("umount -l '%s' 2>/dev/null" % line.split()[4])
    t.same("mounts left behind", len(left), 0)


def joined(type_, file, option):
    def fn(t):
        p = t.other("unshare", option, "--fork", "--kill-child", "sleep", "1000")
        path = "/proc/%d/ns/%s%s" % (p.pid, file, "_for_children" if file == "pid" else "")

        def other():
            try:
                return os.readlink(path) != os.readlink("/proc/self/ns/" + file)
            except OSError:
                return False
        t.until(other, "unshare does not work")
        want = os.readlink(path)
        for n in t.config["linux"]["namespaces"]:
            if n["type"] == type_:
                n["path"] = path
        t.go()
        t.same("the namespace", t.namespace(file), want)
    fn.__name__ = "linux_ns_path_" + file
    case(fn)


for args in (("ipc", "ipc", "--ipc"), ("mount", "mnt", "--mount"), ("network", "net", "--net"), ("pid", "pid", "--pid"),
             ("uts", "uts", "--uts")):
    joined(*args)


@case
def linux_ns_path_type(t):
    for type_, wrong in (("ipc", "mnt"), ("mount", "net"), ("network", "pid"), ("pid", "user"), ("uts", "cgroup")):
        for n in t.config["linux"]["namespaces"]:
            n.pop("path", None)
            if n["type"] == type_:
                n["path"] = "/proc/self/ns/" + wrong
        t.create_fails()


@case
def linux_ns_fail(t):
    t.config["linux"]["namespaces"].append({"type": "ipc"})
    t.create_fails()
    t.config["linux"]["namespaces"][-1]["type"] = "nonsense"
    t.create_fails()


@case
def linux_time_offsets(t):
    if not os.path.exists("/proc/self/ns/time"):
        raise Skip("no time namespaces here")
    t.config["ociVersion"] = "1.1.0"
    t.config["linux"]["namespaces"].append({"type": "time"})
    t.config["linux"]["timeOffsets"] = {"monotonic": {"secs": 1000, "nanosecs": 5}, "boottime": {"secs": 2000}}
    t.go()
    t.same("the offsets", t.proc("timens_offsets").split(), "monotonic 1000 5 boottime 2000 0".split())


@case
def linux_personality(t):
    t.config["linux"]["personality"] = {"domain": "LINUX32"}
    t.go()
    t.same("the personality", int(t.proc("personality"), 16), 8)


@case
def linux_cgroups_devices(t):
    """Without a rule for it a device cannot be opened, whoever made the node."""
    for minor in (229, 237, 200):  # fuse, loop-control, tun: what is here opens without a capability
        os.mknod(t.path("device"), stat.S_IFCHR | 0o666, os.makedev(10, minor))
        try:
            os.close(os.open(t.path("device"), os.O_RDONLY))
            break
        except OSError:
            os.unlink(t.path("device"))
    else:
        raise Skip("no device to try it with")
    t.config["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    t.config["process"]["noNewPrivileges"] = False
    out = t.finish("sh -c 'true </device' 2>/out; echo $? >> /out; head -c 1 /dev/zero >/dev/null; echo $? >> /out")
    if "setrlimit" in t.said:
        raise Skip("not allowed here")
    t.check("not permitted" in out and out.endswith("1\n0\n"), "it said %r" % out)


@case
def linux_unsupported(t):
    """config.md, "Valid values": what is not supported is an error, not silence."""
    t.config["ociVersion"] = "1.1.0"
    t.config["linux"]["intelRdt"] = {"closID": "guaranteed", "l3CacheSchema": "L3:0=f"}
    if os.path.isdir("/sys/fs/resctrl/info"):
        raise Skip("this machine has resctrl")
    t.create_fails()
