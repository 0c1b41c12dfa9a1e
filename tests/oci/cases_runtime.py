# SPDX-License-Identifier: Apache-2.0
"""runtime.md and the hooks of config.md, for tests/oci/validation. A case gets a Container, changes its configuration, and checks."""
import json, os

from container import case


# ---- runtime.md ----

@case
def create(t):
    t.write()
    t.must_fail("create", "--bundle", t.bundle)
    t.create()
    t.same("the state's id", t.state()["id"], t.id)
    t.must_fail("create", "--bundle", t.bundle, t.id)


@case
def start(t):
    t.must_fail("start")
    t.must_fail("start", t.id)
    t.config["process"]["args"] = ["sh", "-c", "echo ran >> /out"]
    t.create()
    t.check(t.read("out") is None, "the program ran before start")
    t.start()
    t.stopped()
    t.must_fail("start", t.id)
    t.same("what ran", t.read("out"), "ran\n")


@case
def start_without_process(t):
    """config.md: process is required when start is called, and no earlier."""
    del t.config["process"]
    t.create()
    t.must_fail("start", t.id)


@case
def state(t):
    t.must_fail("state")
    t.must_fail("state", t.id)
    t.config["annotations"] = {"org.example": "yes", "org.empty": ""}
    t.create()
    s = t.state()
    t.same("status", s["status"], "created")
    t.same("bundle", s["bundle"], t.bundle)
    t.same("annotations", s["annotations"], t.config["annotations"])
    t.check(s["ociVersion"].startswith("1."), "ociVersion is %s" % s["ociVersion"])
    t.same("the pid's parent's view", os.path.exists("/proc/%d" % s["pid"]), True)
    t.start()
    t.same("status", t.state()["status"], "running")


@case
def kill(t):
    t.must_fail("kill")
    t.must_fail("kill", t.id, "TERM")
    t.create()
    t.must("kill", t.id, "KILL")
    t.stopped()
    t.must_fail("kill", t.id, "KILL")


@case
def kill_no_effect(t):
    t.config["process"]["args"] = ["true"]
    t.create()
    t.start()
    t.stopped()
    before = t.state()
    t.run("kill", t.id, "KILL")
    t.same("the state", t.state(), before)


@case
def killsig(t):
    t.config["process"]["args"] = ["sh", "-c", "trap 'echo TERM >> /out' TERM; trap 'echo USR1 >> /out; exit' USR1; "
                                   "touch /ready; while :; do sleep 0.05; done"]
    t.create()
    t.start()
    t.until(lambda: t.read("ready") is not None, "not ready")
    t.must("kill", t.id, "TERM")
    t.until(lambda: t.read("out") == "TERM\n", "SIGTERM did not arrive")
    t.must("kill", t.id, "SIGUSR1")
    t.stopped()
    t.same("the signals", t.read("out"), "TERM\nUSR1\n")


@case
def delete(t):
    t.must_fail("delete")
    t.must_fail("delete", t.id)
    t.go()
    t.must_fail("delete", t.id)
    t.same("status", t.state()["status"], "running")
    t.must("kill", t.id, "KILL")
    t.stopped()
    t.must("delete", t.id)
    t.same("the state", t.state(), None)


@case
def delete_resources(t):
    t.config["linux"]["cgroupsPath"] = "/validation-%d/%s" % (os.getpid(), t.id)
    where = "/sys/fs/cgroup" + t.config["linux"]["cgroupsPath"]
    t.go()
    t.check(os.path.isdir(where), "no cgroup %s" % where)
    t.must("kill", t.id, "KILL")
    t.stopped()
    t.must("delete", t.id)
    t.check(not os.path.exists(where), "%s is still there" % where)


@case
def delete_only_create_resources(t):
    parent = "/sys/fs/cgroup/validation-own-%d" % os.getpid()
    os.mkdir(parent)
    try:
        t.config["linux"]["cgroupsPath"] = "/%s/%s" % (os.path.basename(parent), t.id)
        t.go()
        t.must("delete", "--force", t.id)
        t.check(os.path.isdir(parent), "a group that was there before is gone")
    finally:
        os.path.isdir(parent) and os.rmdir(parent)


@case
def config_updates_without_affect(t):
    t.config["process"]["args"] = ["sh", "-c", "echo first > /out; sleep 1000"]
    t.create()
    with open(os.path.join(t.bundle, "config.json"), "w") as f:
        f.write('{"ociVersion": "1.0.0"}')
    t.start()
    t.until(lambda: t.read("out") == "first\n", "it did not run what was created")


@case
def pidfile(t):
    file = os.path.join(t.bundle, "pid")
    t.create("--pid-file", file)
    with open(file) as f:
        t.same("the pid file", f.read(), str(t.state()["pid"]))


@case
def misc_props(t):
    t.config["unknown"] = {"a": [1]}
    t.config["annotations"] = {"org.example": ""}
    t.create()
    t.must("delete", "--force", t.id)
    t.config["ociVersion"] = "invalid"
    t.create_fails()


# ---- hooks ----

def hook(t, word, **more):
    return {"path": "/bin/sh", "args": ["sh", "-c", "echo %s >> %s" % (word, t.path("out"))], **more}


@case
def hooks(t):
    t.config["hooks"] = {p: [hook(t, p + "1"), hook(t, p + "2")]
                         for p in ("prestart", "createRuntime", "poststart", "poststop")}
    t.config["process"]["args"] = ["true"]
    t.create()
    t.start()
    t.stopped()
    t.must("delete", t.id)
    t.same("the order", t.read("out").split(), [p + n for p in ("prestart", "createRuntime", "poststart", "poststop") for n in "12"])


@case
def hooks_stdin(t):
    t.config["annotations"] = {"a": "b"}
    t.config["hooks"] = {p: [{"path": "/bin/sh", "args": ["sh", "-c", "cat > %s" % t.path(p)], "timeout": 60}]
                         for p in ("prestart", "createRuntime", "poststart", "poststop")}
    t.create()
    pid = t.state()["pid"]
    t.start()
    t.must("kill", t.id, "KILL")
    t.stopped()
    t.must("delete", t.id)
    for point, status in (("prestart", "created"), ("createRuntime", None), ("poststart", "running"), ("poststop", "stopped")):
        s = json.loads(t.read(point) or "{}")
        t.same(point + "'s id, bundle, annotations", (s["id"], s["bundle"], s["annotations"]), (t.id, t.bundle, {"a": "b"}))
        if point != "poststop":
            t.same(point + "'s pid", s["pid"], pid)
        if status:
            t.same(point + "'s status", s["status"], status)


@case
def hooks_in_the_container(t):
    """createContainer before the root changes, startContainer after; both in its namespaces."""
    out = t.path("out")
    t.config["hooks"] = {
        "createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "readlink /proc/self/ns/uts > %s" % out]}],
        "startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "test ! -e %s && echo inside >> /out" % t.rootfs]}]}
    t.go()
    got = t.read("out").split()
    t.same("the namespace, the root", got, [t.namespace("uts"), "inside"])


@case
def hooks_environment(t):
    t.config["hooks"] = {"prestart": [{"path": "/bin/sh", "args": ["sh", "-c", 'echo "$X $0" > %s' % t.path("out"), "zero"],
                                       "env": ["X=y", "PATH=/bin:/usr/bin"]}]}
    t.create()
    t.same("its words", t.read("out"), "y zero\n")


@case
def prestart(t):
    t.config["hooks"] = {"prestart": [hook(t, "hook")]}
    t.config["process"]["args"] = ["sh", "-c", "echo process >> /out"]
    t.create()
    t.start()
    t.stopped()
    t.same("the order", t.read("out"), "hook\nprocess\n")


@case
def prestart_fail(t):
    t.config["hooks"] = {"prestart": [{"path": "/bin/false"}]}
    t.create_fails()
    t.same("the state", t.state(), None)


@case
def hook_timeout(t):
    t.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "20"], "timeout": 1}]}
    t.create_fails()


@case
def poststart(t):
    t.config["hooks"] = {"poststart": [hook(t, "hook")]}
    t.create()
    t.check(t.read("out") is None, "it ran before start")
    t.start()
    t.same("what ran when start returned", t.read("out"), "hook\n")


@case
def poststart_fail(t):
    t.config["hooks"] = {"poststart": [{"path": "/bin/false"}, hook(t, "second")]}
    t.config["process"]["args"] = ["true"]
    t.create()
    t.start()
    t.stopped()
    t.same("the second one", t.read("out"), "second\n")


@case
def poststop(t):
    t.config["hooks"] = {"poststop": [hook(t, "hook")]}
    t.go()
    t.must("kill", t.id, "KILL")
    t.stopped()
    t.check(t.read("out") is None, "it ran before delete")
    t.must("delete", t.id)
    t.same("what ran", t.read("out"), "hook\n")


@case
def poststop_fail(t):
    t.config["hooks"] = {"poststop": [{"path": "/bin/false"}, hook(t, "second")]}
    t.go()
    t.must("delete", "--force", t.id)
    t.same("the second one", t.read("out"), "second\n")
