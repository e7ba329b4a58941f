"""A terminal of a booted machine, with a person at it: a program that runs on it, or a login console."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time

from machine import DEADLINE

# TIOCSPTLCK and TIOCGPTN, which Python's termios does not have in all versions.
UNLOCK, NUMBER = 0x40045431, 0x80045430
# Colours, cursor movements, titles, and what tells a terminal where a command begins and ends.
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[\]P][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_=>c]|[\r\x07]")


class Terminal:
    def __init__(self, machine, title):
        self.machine, self.title, self.seen, self.process = machine, title, "", None
        # Of the machine's own devpts, so that programs there know its name.
        self.master = os.open(f"/proc/{machine.init}/root/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(self.master, UNLOCK, struct.pack("i", 0))
        self.number = struct.unpack("i", fcntl.ioctl(self.master, NUMBER, struct.pack("i", 0)))[0]
        self.line = os.open(f"/proc/{machine.init}/root/dev/pts/{self.number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))

    def run(self, command):
        """Runs a shell command of root's on it."""
        environment = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8", "TERM": "xterm"}
        self.process = subprocess.Popen(
            self.machine.inside(f"exec setsid --ctty bash -c {quoted(command)}"),
            env=environment, stdin=self.line, stdout=self.line, stderr=self.line, start_new_session=True,
        )
        return self

    def console(self):
        """Makes it a console: agetty asks for a name, and login for the password."""
        self.machine.run(f"systemctl start container-getty@{self.number}.service")
        return self

    def read_until(self, pattern):
        """Waits until the pattern appears, and returns all that was shown since the last answer."""
        until = time.monotonic() + DEADLINE
        while not re.search(pattern, self.seen):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"{self.title}: waited in vain for {pattern!r}:\n{self.seen}")
            try:
                more = os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                # The line is hung up, until the next program opens it.
                select.select([], [], [], 0.05)
                continue
            self.seen = CONTROLS.sub("", self.seen + more)
        return self.seen

    def answer(self, pattern, typed):
        """Types a line when the pattern is the last that was shown. Returns what was shown before."""
        return self.press(pattern + r"\s*$", typed + "\r")

    def press(self, pattern, keys):
        """Presses keys when the pattern was shown. Returns what was shown before."""
        seen = self.read_until(pattern)
        self.seen = ""
        os.write(self.master, keys.encode())
        return seen

    def ended(self):
        """Waits for the end of the program. Returns its exit status."""
        return self.process.wait(timeout=DEADLINE)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        os.close(self.line)
        os.close(self.master)


def quoted(word):
    return "'" + word.replace("'", r"'\''") + "'"
