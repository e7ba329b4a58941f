"""The authselect profile, on real PAM: how a service takes it makes no difference to who is asked."""

import os
import pathlib
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from case import ASKED, OLD, PackagesTest  # noqa: E402

PROFILE = pathlib.Path(__file__).parents[1] / "authselect/system-auth"


def rendered(features):
    """What authselect makes of the template, see authselect-profiles(5)."""

    def choice(found):
        negated, feature, then, otherwise = found.groups()
        return then if (feature in features) != bool(negated) else (otherwise or "")

    lines = []
    for line in PROFILE.read_text().splitlines():
        included = re.search(r'\{include if "([^"]*)"\}', line)
        if included and included.group(1) not in features:
            continue
        line = re.sub(r'\{include if "[^"]*"\}', "", line)
        lines.append(re.sub(r'\{if (not )?"([^"]*)":([^}|]*)(?:\|([^}]*))?\}', choice, line))
    return "\n".join(lines) + "\n"


class Authselect(PackagesTest):
    def test_the_code_is_asked_behind_the_right_password_only_with_include_and_with_substack(self):
        machine = self.machine
        machine.run(OLD)
        machine.run("twofa policy set mode=optional")
        key = self.enrol()
        for features in ((), ("with-faillock",), ("without-nullok",)):
            for way in ("include", "substack"):
                with self.subTest(features=features, way=way):
                    service = f"auth {way} system-auth\naccount {way} system-auth\n"
                    for name, text in (("system-auth", rendered(features)), ("login", service)):
                        machine.run(f"cat >/etc/pam.d/{name}", text)
                    passed, seen = machine.log_in(password="wrong")
                    self.assertFalse(passed)
                    self.assertNotIn(ASKED, seen)
                    passed, seen = machine.log_in()
                    self.assertFalse(passed, seen)
                    self.assertIn(ASKED, seen)
        passed, seen = machine.log_in(machine.next_code(key))
        self.assertTrue(passed, seen)


if __name__ == "__main__":
    unittest.main()
