"""The README's commands, taken out of it and typed as they stand there, by a user with sudo on a booted Debian.

    python3 -m unittest packaging/tests/test_readme.py    with the packages' directory in TWOFA_PACKAGES, as root

SUITE=bookworm does so on Debian 12. Each time says how long it takes from the packages to the first protected login over ssh.
"""

import os
import pathlib
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from case import ASKED, PASSWORD, PackagesTest  # noqa: E402
from machine import SUITE, wait_for  # noqa: E402

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
SHELL = r"alice@\S+ \$ "
SSH = "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i ~alice/.ssh/id_ed25519 alice@127.0.0.1"
KEY = "ssh-keygen -q -N '' -t ed25519 -f ~/.ssh/id_ed25519 && cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys"
LIMIT = 60


def commands(heading, first):
    """The commands of the block after the paragraph under the heading that begins so, each with its here-document."""
    section = re.split(r"\n#", README.split(f"\n{heading}\n")[1])[0]
    block = section[section.index(f"\n{first}"):].split("```sh\n")[1].split("\n```")[0]
    return re.findall(r"^.*<<end.*(?:\n.*)*?\nend$|^.+$", block, re.M)


class Readme(PackagesTest):
    def test_passwords(self):
        self.follow("Passwords:", password=True)

    def test_keys(self):
        self.follow("Keys:", password=False)

    def test_both(self):
        self.follow("Both:", password=True)

    def follow(self, choice, password):
        self.machine.run("usermod --append --groups sudo --shell /bin/bash alice; cp /packages/old/*.deb /home/alice")
        self.machine.run("echo \"PS1='alice@vm \\$ '\" >/home/alice/.bashrc; echo . .bashrc >/home/alice/.bash_profile")
        self.machine.run("install --directory --owner alice --mode 700 /home/alice/.ssh")
        if not password:
            self.machine.run(f"su --login alice --command {KEY!r}")
        self.shell = self.terminal("shell").run("su --login alice")
        # sudo asks once for a terminal.
        self.type("sudo true")
        self.shell.answer("assword for alice:", PASSWORD)

        begun = time.monotonic()
        for command in commands("## Protect ssh", "Nobody publishes") + commands("## Protect ssh", choice):
            self.type(command)
            if command.startswith("twofa enrol app"):
                self.enrol_on(self.shell)
        # sshd listens once more a moment after it was reloaded.
        wait_for("sshd", lambda: self.machine.succeeds("ss --listening --tcp --numeric | grep --quiet ':22 '"))
        self.log_in(password, self.backup_codes.pop())
        took = time.monotonic() - begun
        print(f"{SUITE}, {choice} {took:.1f} s from the packages to a protected login over ssh", file=sys.stderr)
        self.assertLess(took, LIMIT)

        for command in commands("## Protect ssh", "Then look"):
            self.type(command)
        self.assertNotIn("sshd", self.shell.read_until(SHELL + "$"))
        for command in commands("### Take it off again", "PAM first"):
            self.type(command)
            if command.startswith("sudo apt remove"):
                self.shell.answer(r"\[Y/n\]", "y")
        self.shell.read_until(SHELL + "$")
        self.assertFalse(self.machine.succeeds("command -v twofa || command -v twofad"))
        self.log_in(password=password, code=None)

    def type(self, command):
        """Types a command when the one before has succeeded."""
        self.shell.answer(SHELL, "echo status $?")
        self.assertIn("status 0", self.shell.answer(SHELL, command))

    def log_in(self, password, code):
        terminal = self.terminal("ssh").run(SSH)
        if password:
            terminal.answer("assword:", PASSWORD)
        if code:
            terminal.answer(f"{ASKED}.*:", code)
        terminal.answer(SHELL, "exit")
        self.assertEqual(terminal.ended(), 0)


if __name__ == "__main__":
    unittest.main()
