"""At each step of an upgrade a login is asked as before, in whichever order the packages are unpacked and configured.

    python3 -m unittest packaging/tests/test_upgrade.py    with the packages' directory in TWOFA_PACKAGES, as root

Without more, they are upgraded to themselves with another version. To see what a release does beside the module or the
broker of the one before, which may speak another version of the protocol and know an older schema of the store, name the
directory of that one's packages in TWOFA_PREVIOUS.
"""

import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from case import ASKED, NEW, OLD, PackagesTest  # noqa: E402

MODULE = "/packages/new/libpam-twofa_*.deb"
BROKER = "/packages/new/twofa_*.deb"
CONFIGURE = "dpkg --configure --pending"
# rpm replaces all files of a package, one after the other, and then runs its scripts.
FILES = "mkdir -p /tmp/new && for package in /packages/new/*.deb; do dpkg-deb --extract $package /tmp/new || exit 1; done"
REPLACE = "for file in $(cd / && ls {}); do cp /tmp/new/$file $file.new && mv $file.new $file || exit 1; done"
# Whether the program of the broker that listens is the one on disk.
IS_CURRENT = "! readlink /proc/$(systemctl show --property=MainPID --value twofad)/exe | grep deleted"


class Upgrade(PackagesTest):
    @classmethod
    def prepare(cls, built):
        super().prepare(built)
        previous = os.environ.get("TWOFA_PREVIOUS")
        if previous:
            shutil.rmtree(cls.packages / "old")
            shutil.copytree(previous, cls.packages / "old", ignore=shutil.ignore_patterns("*dbgsym*"))

    def setUp(self):
        super().setUp()
        self.machine.run(OLD)
        self.machine.run("pam-auth-update --enable twofa && twofa policy set mode=optional")
        self.key = self.enrol("--type=hotp")

    def assert_asked(self, user):
        passed, seen = self.machine.log_in("000000", user=user)
        self.assertIn(ASKED, seen)
        self.assertFalse(passed, seen)

    def assert_logins(self, users):
        for user in users:
            self.assert_asked(user)
            passed, seen = self.machine.log_in(self.machine.code_by_counter(self.key), user=user)
            self.assertTrue(passed, seen + self.machine.run("journalctl --no-pager --lines=20"))

    # A program that runs as root can start a broker. One that runs as the user, like a screen locker, cannot.
    def steps(self, *steps, users=("root", "alice")):
        self.assert_logins(users)
        for step in steps:
            with self.subTest(after=step):
                self.machine.run(step)
                self.assert_logins(users)
        self.machine.run(IS_CURRENT)

    def test_the_module_is_unpacked_first(self):
        self.steps(f"dpkg --unpack {MODULE}", f"dpkg --unpack {BROKER}", CONFIGURE)

    def test_the_broker_is_unpacked_first(self):
        self.steps(f"dpkg --unpack {BROKER}", f"dpkg --unpack {MODULE}", CONFIGURE)

    def test_the_broker_is_complete_before_the_module_is_unpacked(self):
        self.steps(f"dpkg --install {BROKER}", f"dpkg --install {MODULE}")

    def test_the_module_is_unpacked_before_the_broker_is_complete(self):
        self.steps(f"dpkg --unpack {MODULE}", f"dpkg --install {BROKER}", CONFIGURE)

    def test_apt_orders_them(self):
        self.steps("apt-get install --yes /packages/new/*.deb")

    def test_all_files_are_replaced_before_the_broker_is_restarted(self):
        self.steps(
            FILES,
            REPLACE.format("/usr/lib/*/security/pam_twofa.so"),
            REPLACE.format("/usr/bin/twofa /usr/sbin/twofad"),
            "systemctl restart twofad.service",
        )

    def test_no_broker_is_running(self):
        self.machine.run("systemctl stop twofad.socket twofad.service")
        self.steps(f"dpkg --unpack {MODULE}", f"dpkg --unpack {BROKER}", users=["root"])

    def test_a_command_of_the_new_version_opens_the_store_before_the_broker_is_restarted(self):
        self.machine.run("systemctl start twofad.service")
        self.steps(
            f"dpkg --unpack {BROKER}",
            "twofa policy set trust.unlock=1h",
            f"dpkg --unpack {MODULE}",
            CONFIGURE,
        )

    def test_after_a_downgrade_nobody_gets_in_without_a_code(self):
        self.machine.run(NEW)
        for package in ("twofa", "libpam-twofa"):
            self.machine.run(f"dpkg --unpack /packages/old/{package}_*.deb")
            self.assertFalse(self.machine.log_in()[0])
        self.machine.run(CONFIGURE)
        passed, seen = self.machine.log_in()
        self.assertFalse(passed, seen)
        if ASKED not in seen:
            self.machine.run("journalctl --no-pager | grep 'written by a newer twofa'")


if __name__ == "__main__":
    unittest.main()
