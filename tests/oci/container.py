# SPDX-License-Identifier: Apache-2.0
"""One container of one runtime for tests/oci/validation: its bundle, the runtime's commands, and what /proc says of it."""
import json, os, re, shutil, stat, subprocess, time

TOOLS = ("sh", "sleep", "true", "false", "cat", "touch", "echo", "mkdir", "mount", "head")
CAPS = """chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot
sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog
wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore""".split()
SOME_CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
TIMEOUT = 60  # seconds for one command of a runtime; some hang where they should fail
NAMESPACES = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup"}
LIMITS = {"NOFILE": "Max open files", "NPROC": "Max processes", "CORE": "Max core file size", "STACK": "Max stack size",
          "FSIZE": "Max file size", "AS": "Max address space", "CPU": "Max cpu time"}


CASES = []


def case(fn):
    CASES.append((fn.__name__, fn))
    return fn


class Failed(Exception):
    pass


class Skip(Exception):
    pass


def basic_config():
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["sleep", "1000"], "env": ["PATH=/bin", "A=b=c"], "cwd": "/",
                    "capabilities": {k: list(SOME_CAPS) for k in ("bounding", "effective", "permitted")},
                    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 512, "soft": 256}], "noNewPrivileges": True},
        "root": {"path": "rootfs"},
        "hostname": "validation",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}],
        "linux": {"namespaces": [{"type": n} for n in ("pid", "network", "ipc", "uts", "mount")]},
    }


class Container:
    def __init__(self, runtime, directory):
        self.runtime, self.bundle = runtime, os.path.join(directory, "bundle")
        self.rootfs = os.path.join(self.bundle, "rootfs")
        self.base = [runtime, "--root", os.path.join(directory, "state")]
        self.id = "validation-%d-%d" % (os.getpid(), time.monotonic_ns())
        self.config = basic_config()
        for d in ("bin", "proc", "dev", "sys", "tmp", "etc"):
            os.makedirs(os.path.join(self.rootfs, d))
        os.chmod(directory, 0o755)
        shutil.copy("/bin/busybox", self.path("bin/busybox"))
        for tool in TOOLS:
            os.symlink("busybox", self.path("bin/" + tool))
        self.helpers = []

    def path(self, inside):
        return os.path.join(self.rootfs, inside.lstrip("/"))

    def end(self):
        try:
            self.run("delete", "--force", self.id)
        except subprocess.TimeoutExpired:
            pass
        for p in self.helpers:
            p.kill()
            p.wait()
        with open("/proc/self/mountinfo") as f:
            left = [line.split()[4] for line in f if self.bundle in line]
        for point in reversed(left):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)

    def check(self, good, why):
        if not good:
            raise Failed(why)

    def same(self, what, got, want):
        self.check(got == want, "%s is %r, not %r" % (what, got, want))

    # ---- the runtime ----

    def run(self, *args, output=subprocess.DEVNULL):
        """Status, and stderr as text. The container keeps its descriptors, so stderr is a file."""
        with open(os.path.join(self.bundle, "stderr"), "w+") as err:
            done = subprocess.run([*self.base, *args], stdin=subprocess.DEVNULL, stdout=output, stderr=err, timeout=TIMEOUT)
            err.seek(0)
            self.said = err.read().strip()
        return done.returncode

    def must(self, *args, **kw):
        status = self.run(*args, **kw)
        self.check(status == 0, "%s: status %d: %s" % (args[0], status, self.said))

    def must_fail(self, *args):
        self.check(self.run(*args) != 0, "%s succeeds" % " ".join(args))

    def write(self):
        with open(os.path.join(self.bundle, "config.json"), "w") as f:
            json.dump(self.config, f)

    def create(self, *options):
        self.write()
        self.must("create", "--bundle", self.bundle, *options, self.id)

    def create_fails(self):
        self.write()
        self.must_fail("create", "--bundle", self.bundle, self.id)

    def start(self):
        self.must("start", self.id)

    def go(self):
        """Created and started, its program running."""
        self.create()
        self.pid = self.state()["pid"]
        self.start()
        self.until(lambda: self.cmdline() == self.config["process"]["args"], "the program does not run")

    def finish(self, script):
        """Runs a shell script in it to its end; what it wrote to /out comes back."""
        self.config["process"]["args"] = ["sh", "-c", script]
        self.create()
        self.start()
        self.stopped()
        return self.read("out")

    def read(self, inside):
        try:
            with open(self.path(inside)) as f:
                return f.read()
        except FileNotFoundError:
            return None

    def state(self):
        done = subprocess.run([*self.base, "state", self.id], capture_output=True, text=True, timeout=TIMEOUT)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def until(self, is_true, why):
        for _ in range(3000):
            if is_true():
                return
            time.sleep(0.02)
        raise Failed(why)

    def stopped(self):
        self.until(lambda: self.state()["status"] == "stopped", "it does not stop")

    def other(self, *command):
        """A process of the test's own, ended with it."""
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.helpers.append(p)
        return p

    # ---- /proc ----

    def proc(self, name, mode="r"):
        with open("/proc/%d/%s" % (self.pid, name), mode) as f:
            return f.read()

    def words(self, name):
        return [w.decode() for w in self.proc(name, "rb").split(b"\0")[:-1]]

    def cmdline(self):
        return self.words("cmdline")

    def status(self, field):
        return re.search(r"^%s:\s*(.*)$" % field, self.proc("status"), re.M)[1].strip()

    def inside(self, path):
        return "/proc/%d/root/%s" % (self.pid, path.lstrip("/"))

    def caps(self, which):
        bits = int(self.status(which), 16)
        return {"CAP_" + c.upper() for i, c in enumerate(CAPS) if bits >> i & 1}

    def mounts(self):
        """Mount points in order: (point, options, optional fields, type, super options, root)."""
        out = []
        for line in self.proc("mountinfo").splitlines():
            left, right = line.split(" - ", 1)
            a, b = left.split(" "), right.split(" ")
            out.append((a[4], a[5].split(","), a[6:], b[0], b[2].split(","), a[3]))
        return out

    def mount_at(self, point):
        found = [m for m in self.mounts() if m[0] == point]
        self.check(found, "nothing is mounted on %s" % point)
        return found[-1]

    def namespace(self, name, pid=None):
        return os.readlink("/proc/%s/ns/%s" % (pid or self.pid, name))

    def in_namespaces(self, *command):
        return subprocess.run(["nsenter", "-t", str(self.pid), "-u", "-n", "-i", *command], capture_output=True,
                              text=True).stdout.strip()


def is_device(path, major, minor, kind=stat.S_ISCHR):
    st = os.lstat(path)
    return kind(st.st_mode) and (os.major(st.st_rdev), os.minor(st.st_rdev)) == (major, minor)
