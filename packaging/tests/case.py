"""A test on a booted machine of its own, with the packages of TWOFA_PACKAGES in /packages."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from machine import Machine, repacked
from terminal import Terminal

PASSWORD = "first factor"
ASKED = "Verification code"
OLD = "dpkg --install /packages/old/*.deb"
NEW = "dpkg --install /packages/new/*.deb"
REMOVE = "dpkg --remove libpam-twofa twofa"


class PackagesTest(unittest.TestCase):
    """/packages/old has the packages as they were built, /packages/new the same with a higher version."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.packages = pathlib.Path(folder.name)
        built = pathlib.Path(os.environ["TWOFA_PACKAGES"])
        cls.prepare([package for package in built.glob("*.deb") if "dbgsym" not in package.name])

    @classmethod
    def prepare(cls, built):
        (cls.packages / "old").mkdir()
        for package in built:
            shutil.copy(package, cls.packages / "old")
        repacked(built, "99.0-1", cls.packages / "new")

    def setUp(self):
        self.machine = Machine(self.packages)
        self.addCleanup(self.machine.end)

    def enrol(self, options=""):
        """Enrols an authenticator app for alice, as root. Returns its key."""
        terminal = self.terminal("enrolment").run(f"twofa enrol app --user alice {options}")
        key = self.enrol_on(terminal, self.machine.code_by_counter if "hotp" in options else self.machine.code)
        self.assertEqual(terminal.ended(), 0)
        return key

    def enrol_on(self, terminal, code=None):
        """Answers the questions of an enrolment that has begun."""
        seen = terminal.read_until("code it shows: $")
        key = re.search(r"Key:\s+([A-Z2-7 ]+?)\s*\n", seen).group(1).replace(" ", "")
        terminal.answer("code it shows:", (code or self.machine.code)(key))
        seen = terminal.read_until(r"code \d+[^\n]*: $")
        codes = re.findall(r"\b(?:[a-z0-9]{4}-){3}[a-z0-9]{4}\b", seen)
        number = int(re.search(r"of code (\d+)", seen).group(1))
        terminal.answer(r"code \d+[^\n]*:", codes.pop(number - 1)[-4:])
        self.machine.used_at = self.machine.step()
        self.backup_codes = codes
        return key

    def terminal(self, title):
        terminal = Terminal(self.machine, title)
        self.addCleanup(terminal.close)
        return terminal


class ObservedTest(PackagesTest):
    """Before and after each of their scripts, the packages run /packages/observe, which has a copy of twofa that no package
    removes."""

    @classmethod
    def prepare(cls, built):
        repacked(built, "98.0-1", cls.packages / "old", observed=True)
        repacked(built, "99.0-1", cls.packages / "new", observed=True)
        broker = next(package for package in built if package.name.startswith("twofa_"))
        subprocess.run(["dpkg-deb", "--extract", broker, cls.packages / "files"], check=True)
        shutil.copy(cls.packages / "files/usr/bin/twofa", cls.packages / "twofa")
        shutil.copy(pathlib.Path(__file__).with_name("observe"), cls.packages)
