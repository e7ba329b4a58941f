"""Root at the console is let in at every moment of an installation, an upgrade and a removal: before and after each script
of the packages, and between any two files that pam-auth-update writes. The prover says so, and a real login.

    python3 -m unittest packaging/tests/test_console.py    with the packages' directory in TWOFA_PACKAGES, as root
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))
import test_debian  # noqa: E402
from machine import Machine, repacked  # noqa: E402

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


def setUpModule():
    global packages, temporary
    temporary = tempfile.TemporaryDirectory()
    packages = pathlib.Path(temporary.name)
    (packages / "built").mkdir()
    for package in pathlib.Path(os.environ["TWOFA_PACKAGES"]).glob("*.deb"):
        if "dbgsym" not in package.name:
            shutil.copy(package, packages / "built")
    repacked(packages / "built", "98.0-1", packages / "old", observed=True)
    repacked(packages / "built", "99.0-1", packages / "new", observed=True)
    broker = next((packages / "built").glob("twofa_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", broker, packages / "files"], check=True)
    shutil.copy(packages / "files/usr/bin/twofa", packages / "twofa")
    shutil.copy(pathlib.Path(__file__).with_name("observe"), packages)


def tearDownModule():
    temporary.cleanup()


class Console(unittest.TestCase):
    def setUp(self):
        self.machine = Machine(packages)
        self.addCleanup(self.machine.end)
        self.machine.run("echo 'root:first factor' | chpasswd")

    def moments(self):
        """What was seen since the last call. Each must let root in."""
        lines = self.machine.run(f"cat {OBSERVED} && rm {OBSERVED}").splitlines()
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

    def test_root_gets_in_before_and_after_each_script_of_the_packages(self):
        self.machine.run(test_debian.OLD)
        self.assertIn("before twofa.postinst configure ", self.moments())
        self.machine.run("pam-auth-update --enable twofa && twofa policy set mode=optional")
        self.machine.run(test_debian.NEW)
        seen = self.moments()
        for moment in ("after libpam-twofa.prerm upgrade 99.0-1", "after twofa.postinst configure 98.0-1"):
            self.assertIn(moment, seen)
        self.machine.run("dpkg --remove libpam-twofa twofa")
        self.assertIn("after libpam-twofa.postrm remove", self.moments())
        self.machine.run("dpkg --purge libpam-twofa twofa")
        self.assertIn("after twofa.postrm purge", self.moments())

    def test_root_gets_in_between_any_two_files_that_pam_auth_update_writes(self):
        self.machine.run(f"{test_debian.OLD} && twofa policy set mode=optional")
        self.machine.run("cp -r /etc/pam.d /var/tmp/without && pam-auth-update --enable twofa && cp -r /etc/pam.d /var/tmp/with")
        self.moments()
        self.machine.run(f"set -- /var/tmp/without /var/tmp/with\n{MIXTURES}")
        self.assertEqual(len(self.moments()), 32)


if __name__ == "__main__":
    unittest.main()
