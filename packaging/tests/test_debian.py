"""What happens to logins and enrolments when the Debian packages are installed, upgraded, removed and purged.

    python3 -m unittest packaging/tests/test_debian.py    with the packages' directory in TWOFA_PACKAGES, as root
"""

import os
import pathlib
import re
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from case import ASKED, NEW, OLD, PackagesTest  # noqa: E402
from machine import wait_for  # noqa: E402

STORE = "/var/lib/twofa/twofa.db"
KEY = "/etc/twofa/secret.key"
FAILING = "[Service]\\nExecStart=\\nExecStart=/bin/false\\nRestartSec=10ms\\n[Unit]\\nStartLimitBurst=5\\n"
MANUAL = (pathlib.Path(__file__).parents[2] / "man/twofad.8").read_text().replace("\\-", "-")


class Debian(PackagesTest):
    def install_and_enrol(self):
        self.machine.run(OLD)
        self.machine.run("pam-auth-update --enable twofa && twofa policy set mode=optional")
        self.key = self.enrol()

    def assert_asked(self):
        passed, seen = self.machine.log_in()
        self.assertIn(ASKED, seen)
        self.assertFalse(passed, seen)

    def assert_not_asked(self):
        passed, seen = self.machine.log_in()
        self.assertTrue(passed, seen)
        self.assertNotIn(ASKED, seen)

    def assert_passes_with_code(self):
        passed, seen = self.machine.log_in(self.machine.next_code(self.key))
        self.assertTrue(passed, seen)

    def test_after_installation_nobody_is_asked_and_the_broker_serves(self):
        self.machine.run(OLD)
        self.assertFalse(self.machine.succeeds("grep -r pam_twofa /etc/pam.d"))
        self.assert_not_asked()
        self.machine.run("systemctl is-active twofad.socket twofad.service twofad-sessions.timer")
        self.machine.run("systemctl is-enabled twofad.socket twofad-sessions.timer twofa-pam-recover.service")
        modes = self.machine.run(f"stat -c '%U:%G %a' {STORE} {KEY} /var/lib/twofa")
        self.assertEqual(modes.split("\n")[:3], ["twofa:twofa 600", "root:twofa 640", "twofa:twofa 700"])

    def test_the_profile_asks_after_the_right_password_only(self):
        self.install_and_enrol()
        self.assert_asked()
        self.assert_passes_with_code()
        passed, seen = self.machine.log_in(password="wrong")
        self.assertFalse(passed)
        self.assertNotIn(ASKED, seen)
        session = self.machine.run("cat /etc/pam.d/common-session")
        self.assertLess(session.index("pam_twofa.so"), session.index("pam_systemd.so"))
        self.assertNotIn("pam_twofa", self.machine.run("cat /etc/pam.d/common-session-noninteractive"))

    def test_the_profile_tells_the_broker_of_a_new_password(self):
        self.install_and_enrol()
        lines = self.machine.run("grep -v '^#' /etc/pam.d/common-password")
        self.assertLess(lines.index("pam_permit.so"), lines.index("pam_twofa.so"))
        self.machine.run("systemctl stop twofad.socket twofad.service && echo 'alice:second' | chpasswd")
        warned = "journalctl --no-pager --quiet | grep 'could not be told of a new password'"
        self.machine.run(warned)
        before = self.machine.run(f"{warned} | wc -l")
        self.machine.run("systemctl start twofad.socket && echo 'alice:first factor' | chpasswd")
        self.assertEqual(self.machine.run(f"{warned} | wc -l"), before)

    def test_logins_during_an_upgrade_are_asked_and_enrolments_stay(self):
        self.install_and_enrol()
        failures, attempts, over = [], [], threading.Event()

        def keep_logging_in():
            while not over.is_set():
                passed, seen = self.machine.log_in()
                attempts.append(seen)
                if passed or ASKED not in seen:
                    failures.append(seen)

        # A refused login takes three seconds, and the upgrade not much longer.
        logins = [threading.Thread(target=keep_logging_in) for _ in range(8)]
        for login in logins:
            login.start()
        try:
            self.machine.run(NEW)
        finally:
            over.set()
            for login in logins:
                login.join()
        self.assertEqual(failures, [])
        self.assertGreaterEqual(len(attempts), len(logins))
        self.assertIn("99.0-1", self.machine.run("dpkg-query --show libpam-twofa twofa"))
        self.machine.run("systemctl is-active twofad.socket twofad.service")
        self.assertFalse(self.machine.succeeds("readlink /proc/$(systemctl show -P MainPID twofad)/exe | grep deleted"))
        self.assert_passes_with_code()

    def test_a_login_between_unpacking_and_configuring_is_asked(self):
        self.install_and_enrol()
        for package in ("twofa", "libpam-twofa"):
            self.machine.attempt(f"dpkg --unpack /packages/new/{package}_*.deb")
            self.assert_asked()
        self.machine.run("dpkg --configure --pending")
        self.assert_asked()

    def test_a_broker_that_keeps_failing_is_given_up_and_started_again_as_the_manual_says(self):
        self.install_and_enrol()
        self.machine.run("mkdir /run/systemd/system/twofad.service.d")
        self.machine.run(f"printf '{FAILING}' >/run/systemd/system/twofad.service.d/failing.conf; systemctl daemon-reload")
        self.machine.attempt("systemctl restart twofad.service")
        wait_for("the end of it", lambda: self.machine.succeeds("systemctl is-failed twofad.service twofad.socket"))
        # The module starts a broker of its own.
        self.assert_asked()
        self.machine.run("sed -i /ExecStart/d /run/systemd/system/twofad.service.d/failing.conf; systemctl daemon-reload")
        self.machine.attempt("systemctl restart twofad.socket")
        self.assertFalse(self.machine.succeeds("runuser -u alice twofa status"))
        for command in re.findall(r"^    (systemctl (?:reset|start).*)$", MANUAL, re.M):
            self.machine.run(command)
        self.machine.run("runuser -u alice twofa status && systemctl is-active twofad.socket twofad.service")

    def test_an_upgrade_does_not_make_a_store_in_place_of_one_that_is_out_of_sight(self):
        self.install_and_enrol()
        self.machine.run("mount -t tmpfs -o mode=0700,uid=twofa,gid=twofa tmpfs /var/lib/twofa")
        self.machine.run(NEW)
        self.assertFalse(self.machine.succeeds(f"test -e {STORE}"))
        passed, seen = self.machine.log_in()
        self.assertFalse(passed, seen)

    def test_removal_takes_the_profile_away_first_and_keeps_what_was_enrolled(self):
        self.install_and_enrol()
        self.machine.run("dpkg --remove twofa libpam-twofa")
        self.assertFalse(self.machine.succeeds("grep -r pam_twofa /etc/pam.d"))
        self.assert_not_asked()
        self.assertFalse(self.machine.succeeds("test -e /run/twofa/twofad.sock"))
        self.machine.run(f"test -e {STORE} && test -e {KEY}")
        self.machine.run(OLD)
        self.assert_not_asked()
        self.machine.run("pam-auth-update --enable twofa")
        self.assert_asked()
        self.assert_passes_with_code()

    def test_purge_removes_store_and_key(self):
        self.install_and_enrol()
        self.machine.run("mkdir -p /var/backups/twofa-pam/1")
        self.machine.run("dpkg --purge twofa libpam-twofa")
        left = "ls -d /var/lib/twofa /etc/twofa /run/twofa /var/backups/twofa-pam 2>/dev/null | grep ."
        self.assertFalse(self.machine.succeeds(left))
        self.assertFalse(self.machine.succeeds("grep -r pam_twofa /etc/pam.d /var/lib/pam"))
        self.assert_not_asked()
        self.machine.run(OLD)
        self.machine.run(f"test -e {STORE} && test -e {KEY}")

    def test_removal_is_refused_while_a_change_of_pam_files_is_not_final(self):
        self.machine.run(OLD)
        self.machine.run("mkdir -p /var/backups/twofa-pam && touch /var/backups/twofa-pam/pending")
        status, said = self.machine.attempt("dpkg --remove twofa libpam-twofa")
        self.assertNotEqual(status, 0)
        self.assertIn("twofa pam recover", said)

    def test_removal_is_refused_while_a_service_names_the_module(self):
        self.install_and_enrol()
        self.machine.run("echo 'account required pam_twofa.so challenge' >>/etc/pam.d/sshd")
        status, said = self.machine.attempt("dpkg --remove twofa libpam-twofa")
        self.assertNotEqual(status, 0)
        self.assertIn("/etc/pam.d/sshd", said)
        self.machine.run("dpkg --verify libpam-twofa twofa && grep -q pam_twofa /etc/pam.d/common-auth")
        self.assert_passes_with_code()
        self.machine.run("sed -i /pam_twofa/d /etc/pam.d/sshd && dpkg --remove twofa libpam-twofa")

    def test_removal_is_refused_while_a_generated_file_names_it_outside_of_the_profiles(self):
        self.install_and_enrol()
        self.machine.run("echo 'auth required pam_twofa.so' >>/etc/pam.d/common-auth")
        status, said = self.machine.attempt("dpkg --remove twofa libpam-twofa")
        self.assertNotEqual(status, 0)
        self.assertIn("/etc/pam.d/common-auth", said)
        self.assert_passes_with_code()

    def test_the_module_of_one_architecture_goes_and_the_profile_stays_for_another(self):
        self.install_and_enrol()
        self.machine.run("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=2 sh /var/lib/dpkg/info/libpam-twofa*.prerm remove")
        self.assert_asked()


if __name__ == "__main__":
    unittest.main()
