"""A server from its first day to its last: Debian is booted and twofa installed, set up, used, upgraded and removed, with
logins over ssh and at a console.

    python3 -m unittest packaging/tests/test_booted.py    with the packages' directory in TWOFA_PACKAGES, as root
"""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
import test_debian  # noqa: E402
from machine import Machine  # noqa: E402
from terminal import Terminal  # noqa: E402
from test_debian import ASKED, NEW, OLD  # noqa: E402

PASSWORD = "first factor"
SHELL = r"\$ "
SSH = "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o NumberOfPasswordPrompts=1 -tt alice@localhost"
SSHD = "KbdInteractiveAuthentication yes\\nPasswordAuthentication no\\n"
ANSWERS = 'application-name = "Example"\\nwho-must = "administrators"\\nadministrators = "sudo"\\n'


class Booted(unittest.TestCase):
    def setUp(self):
        self.machine = Machine(test_debian.packages)
        self.addCleanup(self.machine.end)
        self.machine.run("usermod --append --groups sudo alice")

    def test_a_server_from_installation_to_removal(self):
        self.prepare()
        begun = time.monotonic()
        self.set_up()
        self.enable("twofa pam enable --login-as alice")
        self.ssh(self.machine.next_code(self.key))
        took = time.monotonic() - begun
        print(f"from the packages to the first protected login over ssh: {took:.1f} s", file=sys.stderr)
        self.assertLess(took, 60)
        self.wrong_codes_are_refused()
        self.console(self.next_code())
        self.sudo(self.next_code())

        self.machine.reboot()
        self.ssh(self.next_code())
        self.console(self.next_code())

        self.machine.run(NEW)
        self.ssh(self.next_code())
        self.console(self.next_code())
        self.sudo(self.next_code())

        self.machine.run("dpkg --remove libpam-twofa twofa")
        self.ssh()
        self.console()
        self.sudo()

    def test_sudo_alone_asks_by_its_own_file(self):
        self.prepare()
        self.set_up()
        self.enable("twofa pam enable --own-file sudo --login-as alice")
        self.sudo(self.next_code())
        self.ssh()
        self.assertFalse(self.machine.succeeds("dpkg --remove libpam-twofa twofa"))
        self.machine.run("twofa pam disable --no-login sudo && dpkg --remove libpam-twofa twofa")
        self.sudo()

    def prepare(self):
        """The files that an administrator brings along: the answers, and sshd's settings."""
        self.machine.run(f"printf '{ANSWERS}' >/root/answers.toml")
        self.machine.run(f"printf '{SSHD}' >/etc/ssh/sshd_config.d/00-twofa.conf && systemctl reload ssh")

    def set_up(self):
        """Two commands, and alice enrols."""
        self.machine.run(OLD)
        # A second factor is now mandatory for alice, who has none yet.
        self.machine.run("twofa setup --answers /root/answers.toml --yes")
        self.key = self.machine.enrol()

    def enable(self, command):
        """Has services ask by a command for which alice logs in."""
        terminal = self.terminal(command).run(command)
        terminal.answer("assword.*:", PASSWORD)
        terminal.read_until("The wrong code was refused")
        terminal.answer(f"{ASKED}.*:", self.next_code())
        terminal.read_until("Changed")
        self.assertEqual(terminal.ended(), 0)

    def ssh(self, code=None):
        """A login over ssh, which ends at the shell."""
        terminal = self.terminal("ssh").run(SSH)
        terminal.answer("assword:", PASSWORD)
        self.code_if(code, terminal)
        terminal.answer(SHELL, "exit")
        self.assertEqual(terminal.ended(), 0)

    def console(self, code=None):
        """A login at a console, whose session logind knows."""
        terminal = self.terminal("console").console()
        terminal.answer("login:", "alice")
        terminal.answer("assword:", PASSWORD)
        self.code_if(code, terminal)
        terminal.answer(SHELL, "loginctl show-session --property=Service \"$XDG_SESSION_ID\"")
        self.assertIn("Service=login", terminal.answer(SHELL, "exit"))

    def sudo(self, code=None):
        """sudo in a login at a console."""
        terminal = self.terminal("sudo").run("su --login alice")
        terminal.answer(SHELL, "sudo id --user --name")
        terminal.answer("assword for alice:", PASSWORD)
        self.code_if(code, terminal)
        self.assertIn("root", terminal.answer(SHELL, "exit"))

    def wrong_codes_are_refused(self):
        terminal = self.terminal("ssh with a wrong code").run(SSH)
        terminal.answer("assword:", PASSWORD)
        for _ in range(3):
            terminal.answer(f"{ASKED}.*:", "000000")
        self.assertIn("Permission denied", terminal.read_until("Permission denied"))
        self.assertNotEqual(terminal.ended(), 0)

    def next_code(self):
        """A code that has not been used, of those for which nobody has to wait if there are any left."""
        backup = self.machine.backup_codes
        return backup.pop() if backup else self.machine.next_code(self.key)

    def code_if(self, code, terminal):
        """Types the code that is asked for. Without one, the shell must follow, which the next answer waits for."""
        if code:
            terminal.answer(f"{ASKED}.*:", code)

    def terminal(self, title):
        terminal = Terminal(self.machine, title)
        self.addCleanup(terminal.close)
        return terminal


setUpModule = test_debian.setUpModule
tearDownModule = test_debian.tearDownModule

if __name__ == "__main__":
    unittest.main()
