"""A booted Debian in which the packages are installed, upgraded and removed. It is thrown away afterwards.

The tree comes from debootstrap and is kept in a cache outside of the repository; a machine is an overlay over it.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

SUITE = os.environ.get("SUITE", "trixie")
CACHE = pathlib.Path(os.environ.get("TWOFA_CACHE", "/var/cache/twofa-packages"))
INCLUDED = (
    "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,openssh-client,sudo,login,iproute2,procps,pamtester,oathtool,"
    # What Ansible needs on a system.
    "python3,python3-apt"
)
DEADLINE = 60
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

BOOT = """set -eu
mount -t tmpfs -o mode=0755 twofa-packages "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/changes,workdir=$1/work" overlay "$1/root"
# Without this systemd-nspawn takes the directory for one that it has to remove.
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
# systemd-nspawn ends with 133 when its system is restarted.
status=133
while [ $status = 133 ]; do
    status=0
    systemd-nspawn --quiet --register=no --keep-unit --boot --directory="$1/root" --machine="$4" "$5" \\
        --bind-ro="$3:/packages" --console=pipe || status=$?
done
"""


def tree():
    """The cached tree of the suite, made if it is not there."""
    cached = CACHE / SUITE
    if not cached.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
            fresh = pathlib.Path(fresh) / SUITE
            subprocess.run(
                ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, fresh],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            fresh.rename(cached)
    return cached


def repacked(packages, version, into, observed=False):
    """The same packages with another version. If they are to be observed, /packages/observe is run before and after each
    of their scripts, with its name and what dpkg asked of it."""
    into.mkdir()
    for package in packages:
        unpacked = into / "unpacked"
        subprocess.run(["dpkg-deb", "--raw-extract", package, unpacked], check=True)
        control = unpacked / "DEBIAN/control"
        old = re.search(r"^Version: (.*)$", control.read_text(), re.M).group(1)
        control.write_text(control.read_text().replace(old, version))
        name = package.name.replace(old, version)
        if observed:
            for script in ("preinst", "postinst", "prerm", "postrm"):
                observe(unpacked / "DEBIAN" / script, f"{name.split('_')[0]}.{script}")
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Znone", "--build", unpacked, into / name],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        shutil.rmtree(unpacked)


def observe(script, name):
    lines = script.read_text().splitlines()[1:] if script.exists() else []
    watch = f'/packages/observe "{{}} {name} $*" || exit 1'
    before = ["#!/bin/sh", watch.format("before"), f"trap '{watch.format('after')}' EXIT"]
    script.write_text("\n".join(before + lines) + "\n")
    script.chmod(0o755)


class Machine:
    """It has the user alice, whose password is "first factor". /packages has the directories old and new."""

    def __init__(self, packages, name="vm", network=None):
        """Its network is the namespace of that path, or one of its own."""
        # The half minute of the last code that was used.
        self.used_at = 0
        # The number of the last code of an app that counts them.
        self.counter = -1
        self.folder = tempfile.TemporaryDirectory()
        self.console = tempfile.TemporaryFile("w+")
        self.nspawn = subprocess.Popen(
            # All of it ends with this process: systemd-nspawn that is killed leaves its system behind.
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
            + ["sh", "-c", BOOT, "boot", self.folder.name, tree(), packages, name]
            + [f"--network-namespace-path={network}" if network else "--private-network"],
            stdin=subprocess.DEVNULL,
            stdout=self.console,
            stderr=subprocess.STDOUT,
            env={"PATH": PATH},
            cwd="/",
        )
        try:
            self.init = wait_for("the first process", self.first_process)
            wait_for("the system", self.is_running)
        except AssertionError as error:
            self.console.seek(0)
            said = self.console.read()
            self.end()
            raise AssertionError(f"{error}\n{said}") from None
        self.run("ip link set lo up; useradd --create-home alice; echo 'alice:first factor' | chpasswd")

    def is_running(self):
        return self.succeeds("systemctl is-system-running | grep -qE 'running|degraded'")

    def reboot(self):
        before = self.init
        # The system may end before the command does.
        self.attempt("systemctl --no-block reboot")
        self.init = wait_for("another first process", self.first_process, other_than=before)
        wait_for("the system", self.is_running)
        self.run("ip link set lo up")

    def first_process(self):
        found = [str(self.nspawn.pid)]
        while found:
            process = found.pop()
            if os.readlink(f"/proc/{process}/exe").endswith("/systemd"):
                return process
            found += pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return None

    def inside(self, command):
        return ["nsenter", "-t", self.init, "-a", "--", "bash", "-c", command]

    def attempt(self, command, typed=""):
        """Runs a command as root. Returns its exit status and what it printed."""
        environment = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            self.inside(command), env=environment, input=typed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=DEADLINE,
        )
        return done.returncode, done.stdout

    def run(self, command, typed=""):
        status, output = self.attempt(command, typed)
        assert status == 0, f"{command}: exit status {status}\n{output}"
        return output

    def succeeds(self, command):
        return self.attempt(command)[0] == 0

    def log_in(self, code="", password="first factor", user="root"):
        """A login of alice's by password and then code, in a program that runs as user. Returns whether it succeeds, and
        what she saw."""
        become = "" if user == "root" else f"setpriv --reuid={user} --regid={user} --init-groups "
        status, seen = self.attempt(f"{become}pamtester login alice authenticate acct_mgmt", f"{password}\n{code}\n")
        return status == 0, seen

    def step(self):
        return int(time.time()) // 30

    def code(self, key):
        return self.run(f"oathtool --totp --base32 {key}").strip()

    def code_by_counter(self, key):
        """The next code of an app that counts them: none has to be waited for."""
        self.counter += 1
        return self.run(f"oathtool --hotp --base32 --counter={self.counter} {key}").strip()

    def next_code(self, key):
        """A code that has not been used: the one of the next half minute, which is accepted already."""
        self.used_at = max(self.step(), self.used_at + 1)
        wait_for("the next code", lambda: self.step() + 1 >= self.used_at)
        return self.run(f"oathtool --totp --base32 --now=@{self.used_at * 30} {key}").strip()

    def end(self):
        self.nspawn.kill()
        self.nspawn.wait()
        self.console.close()
        self.folder.cleanup()


def wait_for(what, condition, other_than=None):
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        try:
            found = condition()
        except OSError:
            found = None
        if found and found != other_than:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")
