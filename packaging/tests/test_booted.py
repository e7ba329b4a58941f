"""A server from its first day to its last: Debian is booted and twofa installed, set up, used, upgraded and removed, with
logins over ssh and at a console.

    python3 -m unittest packaging/tests/test_booted.py    with the packages' directory in TWOFA_PACKAGES, as root
"""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from case import ASKED, NEW, OLD, PASSWORD, REMOVE, PackagesTest  # noqa: E402

SHELL = r"\$ "
SSH = "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o NumberOfPasswordPrompts=1 -tt alice@localhost"
ANSWERS = 'application-name = "Example"\\nwho-must = "administrators"\\nadministrators = "sudo"\\n'
INSTALL = "apt-get install --yes ./libpam-twofa_*.deb ./twofa_*.deb"
ENTER, DOWN = "\r", "\x1b[B\r"
# The list of steps of twofa setup, of which the one to do next is chosen.
STEPS = r"Next step[^$]*Leave"
# From the first command to the shell of the first login that was asked for a code.
LIMIT = 60


class Booted(PackagesTest):
    def setUp(self):
        super().setUp()
        self.machine.run("usermod --append --groups sudo alice")

    def test_apt_and_setup_lead_to_the_first_protected_login(self):
        self.machine.run("cp /packages/old/*.deb /home/alice")
        shell = self.terminal("shell").run("su --login alice")
        shell.answer(SHELL, "sudo true")
        shell.answer("assword for alice:", PASSWORD)
        begun = self.typed(shell, f"sudo {INSTALL}")
        self.typed(shell, "sudo twofa setup")
        self.answer_setup(shell)
        shell.press(STEPS, ENTER)
        shell.read_until("Waiting for that login")
        self.ssh(self.next_code())
        self.took("apt and 'twofa setup' with questions", begun)
        shell.read_until("alice logged in at sshd")
        shell.press(STEPS, ENTER)
        self.typed(shell, "exit")
        self.wrong_codes_are_refused()

    def typed(self, shell, command):
        """Types a command when the one before has ended. Returns when."""
        shell.answer(SHELL, command)
        return time.monotonic()

    def answer_setup(self, shell):
        """A name, no provider, an app for alice, whom the policy then asks; all services."""
        shell.press(STEPS, ENTER)
        shell.answer("Name:", "Example")
        shell.press(STEPS, DOWN)
        self.key = self.enrol_on(shell)
        shell.press(STEPS, ENTER)
        shell.press("Leave it as it is", ENTER)
        shell.answer(r"Make this change\? \[./.\]", "y")
        shell.press(STEPS, ENTER)
        shell.press("Services[^$]*all", ENTER)
        shell.press(STEPS, ENTER)
        shell.press("PAM services[^$]*all", ENTER)
        shell.press("Logins with an ssh key", ENTER)
        shell.answer("assword.*:", PASSWORD)
        shell.read_until("The wrong code was refused")
        shell.answer(f"{ASKED}.*:", self.next_code())

    def took(self, what, begun):
        took = time.monotonic() - begun
        print(f"{what}: {took:.1f} s to the first protected login over ssh", file=sys.stderr)
        self.assertLess(took, LIMIT)

    def test_a_server_from_installation_to_removal(self):
        begun = time.monotonic()
        self.set_up()
        self.ssh(self.machine.next_code(self.key))
        self.took("apt, 'twofa setup --answers' and enrolment", begun)
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

        self.machine.run(REMOVE)
        self.ssh()
        self.console()
        self.sudo()

    def test_sudo_alone_asks_by_its_own_file(self):
        self.set_up(pam="")
        self.enable("twofa pam enable --own-file sudo --login-as alice")
        self.sudo(self.next_code())
        self.ssh()
        self.assertFalse(self.machine.succeeds(REMOVE))
        self.machine.run(f"twofa pam disable --no-login sudo && {REMOVE}")
        self.sudo()

    def set_up(self, pam='"all"'):
        """Two commands, and alice enrols."""
        self.machine.run(f"printf '{ANSWERS}pam = [{pam}]\\npam-no-login = true\\n' >/root/answers.toml")
        self.machine.run(f"cd /packages/old && {INSTALL}")
        # A second factor is now mandatory for alice, who has none yet.
        self.machine.run("twofa setup --answers /root/answers.toml --yes")
        self.key = self.enrol()

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
        return self.backup_codes.pop() if self.backup_codes else self.machine.next_code(self.key)

    def code_if(self, code, terminal):
        """Types the code that is asked for. Without one, the shell must follow, which the next answer waits for."""
        if code:
            terminal.answer(f"{ASKED}.*:", code)


if __name__ == "__main__":
    unittest.main()
