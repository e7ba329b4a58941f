"""The Ansible role, with three bare systems: one becomes the server, two its hosts, and ssh to them asks for a code.

    python3 -B packaging/tests/test_ansible.py    with the packages' directory in TWOFA_PACKAGES, and ansible-playbook in the PATH, as root
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from case import ASKED, PASSWORD  # noqa: E402
from machine import Machine, wait_for  # noqa: E402
from terminal import Terminal  # noqa: E402

ROLE = pathlib.Path(__file__).parent.parent / "ansible"
NAMES = ["srv1", "web1", "web2"]
SSH = "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
# From three bare systems to protected ssh.
LIMIT = 180


def ip(command):
    subprocess.run(["ip"] + command.split(), check=True)


class Network:
    """A bridge in a namespace of its own, where Ansible runs, and a namespace for each system."""

    def __init__(self):
        self.name = f"twofa{os.getpid()}"
        self.made = []
        self.add(self.name)
        ip(f"-n {self.name} link add name bridge type bridge")
        ip(f"-n {self.name} addr add 10.9.0.254/24 dev bridge")
        ip(f"-n {self.name} link set bridge up")
        ip(f"-n {self.name} link set lo up")

    def add(self, namespace):
        ip(f"netns add {namespace}")
        self.made.append(namespace)

    def port(self, number):
        """The path of a namespace with the address 10.9.0.number."""
        namespace = f"{self.name}-{number}"
        self.add(namespace)
        ip(f"-n {self.name} link add port{number} type veth peer name host0 netns {namespace}")
        ip(f"-n {self.name} link set port{number} master bridge up")
        ip(f"-n {namespace} addr add 10.9.0.{number}/24 dev host0")
        ip(f"-n {namespace} link set host0 up")
        ip(f"-n {namespace} link set lo up")
        return f"/run/netns/{namespace}"

    def end(self):
        for namespace in reversed(self.made):
            ip(f"netns delete {namespace}")


class Ansible(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.packages = pathlib.Path(os.environ["TWOFA_PACKAGES"]).resolve()
        self.network = Network()
        self.addCleanup(self.network.end)
        key = self.folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        public = key.with_suffix(".pub").read_text()
        self.machines = {}
        for number, name in enumerate(NAMES, 1):
            machine = Machine(self.packages, name=name, network=self.network.port(number))
            self.addCleanup(machine.end)
            machine.run("mkdir -m 0700 -p /root/.ssh; cat >/root/.ssh/authorized_keys", typed=public)
            machine.run("cat >>/etc/hosts", typed="".join(f"10.9.0.{n} {other}\n" for n, other in enumerate(NAMES, 1)))
            self.machines[name] = machine

    def play(self):
        """Runs the playbook. Returns what it says of each system: how much it changed, and how much failed."""
        files = [next(self.packages.glob(f"{name}_*.deb")) for name in ("twofa", "libpam-twofa")]
        host = "        {0}: {{ansible_host: 10.9.0.{1}}}\n"
        inventory = self.folder / "inventory.yml"
        inventory.write_text(
            "all:\n  vars:\n"
            f"    ansible_user: root\n    ansible_ssh_private_key_file: {self.folder}/key\n"
            "    ansible_ssh_common_args: -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null\n"
            "    ansible_python_interpreter: /usr/bin/python3\n"
            f"    twofa_package_files: {[str(file) for file in files]}\n"
            "  children:\n    twofa_servers:\n      vars: {twofa_role: server, twofa_pam_services: []}\n      hosts:\n"
            + host.format("srv1", 1)
            + "    twofa_hosts:\n      vars: {twofa_host_may_enrol: true}\n      hosts:\n"
            + "".join(host.format(name, n) for n, name in enumerate(NAMES[1:], 2))
        )
        done = subprocess.run(
            ["ip", "netns", "exec", self.network.name, "ansible-playbook", "--inventory", inventory, ROLE / "site.yml"]
            + ["--extra-vars", '{"twofa_policy": {"mode": "mandatory", "fleet.accounts": "alice"}, "twofa_policy_yes": true}'],
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROLE,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        return {
            name: (int(changed), int(failed))
            for name, changed, failed in re.findall(r"^(\w+) +: ok=\d+ +changed=(\d+) +unreachable=\d+ +failed=(\d+)", done.stdout, re.M)
        }, done.stdout

    def test_three_bare_systems_become_a_server_and_two_hosts_whose_ssh_asks(self):
        begun = time.monotonic()
        first, said = self.play()
        took = time.monotonic() - begun
        print(f"from three bare systems to protected ssh: {took:.0f} s", file=sys.stderr)
        self.assertTrue(all(changed > 0 and failed == 0 for changed, failed in first.values()), said)
        self.assertLess(took, LIMIT)

        second, said = self.play()
        self.assertEqual(second, {name: (0, 0) for name in NAMES}, said)

        key = self.enrols_on("web1")
        code = self.machines["srv1"].next_code(key)
        self.assertIn("alice on web2", self.logs_in("web2", code))
        self.assertNotIn("alice on web1", self.logs_in("web1", code), "a code opened two hosts")

    def connection(self, name):
        terminal = Terminal(self.machines["srv1"], name)
        self.addCleanup(terminal.close)
        terminal.run(f"{SSH} -o NumberOfPasswordPrompts=1 -tt alice@{name} echo alice on {name}")
        terminal.answer("assword:", PASSWORD)
        return terminal

    def enrols_on(self, name):
        terminal = self.connection(name)
        seen = terminal.read_until("code it shows: $")
        key = re.search(r"Key:\s+([A-Z2-7 ]+?)\s*\n", seen).group(1).replace(" ", "")
        terminal.answer("code it shows:", self.machines["srv1"].code(key))
        self.machines["srv1"].used_at = self.machines["srv1"].step()
        seen = terminal.read_until(r"code \d+[^\n]*: $")
        codes = re.findall(r"\b(?:[a-z0-9]{4}-){3}[a-z0-9]{4}\b", seen)
        terminal.answer(r"code \d+[^\n]*:", codes[int(re.search(r"of code (\d+)", seen).group(1)) - 1][-4:])
        terminal.read_until(f"alice on {name}")
        return key

    def logs_in(self, name, code):
        """What is seen of a login with the code."""
        terminal = self.connection(name)
        terminal.answer(f"{ASKED}[^\n]*:", code)
        return terminal.read_until(f"alice on {name}|already|denied")


if __name__ == "__main__":
    unittest.main()
