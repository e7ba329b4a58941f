"""Root at the console is let in at every moment of an installation, an upgrade and a removal: before and after each script
of the packages, and between any two files that pam-auth-update writes. The prover says so, and a real login.

    python3 -m unittest packaging/tests/test_console.py    with the packages' directory in TWOFA_PACKAGES, as root
"""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from case import NEW, OLD, REMOVE, ObservedTest  # noqa: E402

PURGE = "dpkg --purge libpam-twofa twofa"
OBSERVED = "/var/tmp/observed"
# All mixtures of the files of $1 and $2, one after the other in the place of /etc/pam.d.
MIXTURES = """set -e
for mixture in $(seq 0 31); do
    rm -rf /var/tmp/mixture; cp -r "$1" /var/tmp/mixture; part=1
    for file in account auth password session session-noninteractive; do
        [ $((mixture & part)) = 0 ] || cp "$2/common-$file" /var/tmp/mixture/; part=$((part * 2))
    done
    unshare --mount sh -c "mount --bind /var/tmp/mixture /etc/pam.d && /packages/observe 'mixture $mixture'"
done
"""


class Console(ObservedTest):
    def setUp(self):
        super().setUp()
        self.machine.run("echo 'root:first factor' | chpasswd")

    def moments(self):
        """What was seen since the last call. Each must let root in."""
        lines = self.machine.run(f"touch {OBSERVED} && cat {OBSERVED} && rm {OBSERVED}").splitlines()
        for line in lines:
            moment, real, asking, modules, said, proved = line.split("\t")
            with self.subTest(moment=moment):
                self.assertEqual(real, "in", said)
                service = json.loads(proved)["services"][0]
                ends = {case["code"] for case in service["cases"] if case["first_factor"] == "right" and case["gets_in"]}
                self.assertIn("not required", ends)
                # The prover follows the lines; the module must be there as well.
                self.assertFalse(asking != "0" and modules == "0")
        return [line.split("\t")[0] for line in lines]

    def enable(self):
        self.machine.run(f"{OLD} && pam-auth-update --enable twofa && twofa policy set mode=optional")
        return self.moments()

    def moments_of(self, command):
        self.machine.run(command)
        return self.moments()

    def test_root_gets_in_before_and_after_each_script_of_the_packages(self):
        self.assertIn("before twofa.postinst configure ", self.enable())
        seen = self.moments_of(NEW)
        for moment in ("after libpam-twofa.prerm upgrade 99.0-1", "after twofa.postinst configure 98.0-1"):
            self.assertIn(moment, seen)
        self.assertIn("after libpam-twofa.postrm remove", self.moments_of(REMOVE))
        self.assertIn("after twofa.postrm purge", self.moments_of(PURGE))

    def test_root_gets_in_whichever_package_is_upgraded_or_removed_first(self):
        for first, second in (("twofa", "libpam-twofa"), ("libpam-twofa", "twofa")):
            self.enable()
            for package in (first, second):
                # Neither can be configured without the other.
                self.machine.attempt(f"dpkg --install /packages/new/{package}_*.deb")
                self.moments()
            self.machine.run("dpkg --configure --pending")
            self.assertIn("99.0-1", self.machine.run("dpkg-query --show --showformat '${Version} ${db:Status-Status}' twofa"))
            self.moments()
            for package in (first, second, first):
                self.machine.attempt(f"dpkg --remove {package}; /packages/observe 'without {package}'")
                self.moments()
            self.assertFalse(self.machine.succeeds("command -v twofad || ls /usr/lib/*/security/pam_twofa.so"))

    def test_the_broker_is_not_removed_by_force_while_the_profile_is_enabled(self):
        self.enable()
        status, said = self.machine.attempt("dpkg --force-depends --remove twofa; /packages/observe 'removal by force'")
        self.assertIn("/etc/pam.d/common-auth", said)
        self.moments()
        self.machine.run("command -v twofad && systemctl is-active twofad.socket")

    def test_root_gets_in_after_any_script_has_failed(self):
        self.enable()
        upgrade, removal, purge = (self.moments_of(command) for command in (NEW, REMOVE, PURGE))
        for command, moments in ((NEW, upgrade), (REMOVE, removal), (PURGE, purge)):
            for moment in moments:
                with self.subTest(fails=moment):
                    self.fails_at(moment, command)

    def fails_at(self, moment, command):
        """Runs the command on machines as they were, but a script fails. Then what failed is repeated."""
        self.enable()
        self.machine.run(f"echo '{moment}' >/var/tmp/fails")
        self.machine.attempt(f"{command}; /packages/observe 'after the failure'")
        self.assertIn(moment, self.moments())
        self.machine.run(f"rm /var/tmp/fails; dpkg --configure --pending; {command}; /packages/observe 'in the end'")
        self.moments()

    def test_root_gets_in_between_any_two_files_that_pam_auth_update_writes(self):
        self.machine.run(f"{OLD} && twofa policy set mode=optional")
        self.machine.run("cp -r /etc/pam.d /var/tmp/without && pam-auth-update --enable twofa && cp -r /etc/pam.d /var/tmp/with")
        self.moments()
        self.machine.run(f"set -- /var/tmp/without /var/tmp/with\n{MIXTURES}")
        self.assertEqual(len(self.moments()), 32)


if __name__ == "__main__":
    unittest.main()
