use std::collections::BTreeMap;

use twofa_stacks::{File, Host};

use super::look;
use crate::commands::doctor::sshd::Sshd;

const DEBIAN: [(&str, &str); 3] = [
    (
        "common-auth",
        "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
    ),
    (
        "common-account",
        "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\n\
         account required pam_permit.so\n",
    ),
    ("other", "@include common-auth\n@include common-account\n"),
];

const EL: [(&str, &str); 4] = [
    ("postlogin", "session optional pam_umask.so silent\n"),
    ("password-auth", EL_AUTH),
    ("system-auth", EL_AUTH),
    (
        "other",
        "auth required pam_deny.so\naccount required pam_deny.so\n",
    ),
];
const EL_AUTH: &str = "auth required pam_env.so
auth required pam_faildelay.so delay=2000000
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth [default=1 ignore=ignore success=ok] pam_localuser.so
auth sufficient pam_unix.so nullok
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth sufficient pam_sss.so forward_pass
auth required pam_deny.so
account required pam_unix.so
account sufficient pam_localuser.so
account sufficient pam_usertype.so issystem
account [default=bad success=ok user_unknown=ignore] pam_sss.so
account required pam_permit.so
";

struct Machine {
    files: BTreeMap<String, String>,
    debian: bool,
    root_has_a_password: bool,
}

impl Host for Machine {
    fn read(&self, path: &str) -> File {
        self.files
            .get(path)
            .map_or(File::Missing, |text| File::Text(text.clone()))
    }

    fn debian(&self) -> bool {
        self.debian
    }
}

impl Machine {
    fn new(debian: bool, shared: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let path = |name: &str| {
            if name.starts_with('/') {
                name.to_owned()
            } else {
                format!("/etc/pam.d/{name}")
            }
        };
        let files = shared
            .iter()
            .chain(files)
            .map(|(name, text)| (path(name), (*text).to_owned()))
            .collect();
        Self {
            files,
            debian,
            root_has_a_password: true,
        }
    }

    fn findings(&self, sshd: Option<&Sshd>) -> Vec<String> {
        let names = self
            .files
            .keys()
            .filter_map(|path| path.rsplit('/').next())
            .map(str::to_owned);
        let found = look(names, self, sshd, self.root_has_a_password);
        found
            .findings
            .into_iter()
            .map(|finding| format!("{}: {}", finding.severity, finding.finding))
            .collect()
    }
}

fn debian(files: &[(&str, &str)]) -> Vec<String> {
    Machine::new(true, &DEBIAN, files).findings(None)
}

fn el(files: &[(&str, &str)]) -> Vec<String> {
    Machine::new(false, &EL, files).findings(None)
}

#[track_caller]
fn finds(findings: &[String], words: &[&str]) {
    assert!(
        findings
            .iter()
            .any(|finding| words.iter().all(|word| finding.contains(word))),
        "{words:?} in {findings:#?}"
    );
}

const NOTHING: [&str; 0] = [];
const BEHIND: &str = "@include common-auth\nauth required pam_twofa.so\n@include common-account\n";
const EL_SSHD: &str = "auth substack password-auth\nauth include postlogin\naccount required pam_nologin.so\n\
    account required pam_twofa.so challenge\naccount include password-auth\n";
const EL_SUDO: &str = "auth include system-auth\naccount required pam_twofa.so challenge\naccount include system-auth\n";
const EL_SU: &str = "auth sufficient pam_rootok.so\nauth substack system-auth\n\
    account sufficient pam_succeed_if.so uid = 0 use_uid quiet\naccount required pam_twofa.so challenge\n\
    account include system-auth\n";

#[test]
fn right_stacks_get_no_complaint() {
    let plain = "@include common-auth\n@include common-account\n";
    let su = format!("auth sufficient pam_rootok.so\n{BEHIND}");
    let primary = "@include common-auth\nauth [success=1 default=ignore] pam_twofa.so\nauth requisite pam_deny.so\n\
                   auth required pam_permit.so\n@include common-account\n";
    for files in [
        &[("sshd", BEHIND)][..],
        &[
            ("sshd", BEHIND),
            ("login", BEHIND),
            ("cron", plain),
            ("i3lock", plain),
        ],
        &[
            ("sudo", BEHIND),
            ("sudo-i", BEHIND),
            ("polkit-1", BEHIND),
            ("su", &su),
            ("su-l", "auth include su\naccount include su\n"),
        ],
        &[(
            "sshd",
            "@include common-auth\nAUTH Required \\\n  pam_twofa.so\n@include common-account\n",
        )],
        &[(
            "sshd",
            "@include common-auth\nauth [success=ok ignore=ignore default=die] pam_twofa.so\n@include common-account\n",
        )],
        &[("sshd", primary)],
        &[
            ("sshd", BEHIND),
            ("sshd.dpkg-old", "auth sufficient pam_twofa.so\n"),
        ],
        &[(
            "i3lock",
            "auth required pam_twofa.so forward_pass\nauth requisite pam_unix.so try_first_pass\nauth required pam_twofa.so\n",
        )],
    ] {
        assert_eq!(debian(files), NOTHING, "{files:?}");
    }
    for files in [
        &[("sshd", EL_SSHD)][..],
        &[
            ("sudo", EL_SUDO),
            ("sudo-i", "auth include sudo\naccount include sudo\n"),
            ("polkit-1", EL_SUDO),
            ("su", EL_SU),
        ],
        &[
            ("sshd", EL_SSHD),
            ("swaylock", "auth include system-auth\n"),
            ("runuser", "auth sufficient pam_rootok.so\n"),
        ],
        &[("gdm-password", EL_SSHD)],
    ] {
        assert_eq!(el(files), NOTHING, "{files:?}");
    }
}

#[test]
fn ways_past_the_module_are_named() {
    let around = "people get in without a code: ";
    finds(
        &el(&[(
            "sudo",
            "auth include system-auth\nauth required pam_twofa.so\naccount include system-auth\n",
        )]),
        &[
            "sudo",
            around,
            "/etc/pam.d/system-auth:5 pam_unix.so returns success",
            "challenge",
        ],
    );
    finds(
        &debian(&[(
            "sshd",
            "auth [success=done default=ignore] pam_unix.so\nauth required pam_twofa.so\n",
        )]),
        &["sshd", around, "sshd:1 pam_unix.so"],
    );
    finds(
        &debian(&[(
            "sshd",
            "auth requisite pam_unix.so\nauth [success=1 default=ignore] pam_localuser.so\nauth required pam_twofa.so\nauth required pam_permit.so\n",
        )]),
        &[around, "sshd:2 pam_localuser.so"],
    );
    finds(
        &el(&[(
            "sshd",
            "auth substack password-auth\naccount include password-auth\naccount required pam_twofa.so challenge\n",
        )]),
        &[around, "pam_localuser.so", "before it"],
    );
    finds(
        &debian(&[(
            "lightdm",
            &format!("auth sufficient pam_succeed_if.so user ingroup nopasswdlogin\n{BEHIND}"),
        )]),
        &[around, "lightdm:1 pam_succeed_if.so"],
    );
    finds(
        &debian(&[("login", &format!("auth sufficient pam_rootok.so\n{BEHIND}"))]),
        &[around, "login:1 pam_rootok.so"],
    );
}

#[test]
fn controls_that_make_little_of_a_refusal_are_named() {
    for control in [
        "sufficient",
        "optional",
        "OPTIONAL",
        "[success=ok ignore=ignore authinfo_unavail=ignore default=bad]",
        "[success=ok ignore=ignore maxtries=ignore default=bad]",
        "[success=ok auth_err=ignore default=die]",
        "[success=ok new_authtok_reqd=ok default=ignore]",
        "[success=ok conv_err=1 default=bad]",
    ] {
        let stack = format!(
            "@include common-auth\nauth {control} pam_twofa.so\nauth optional pam_permit.so\n@include common-account\n"
        );
        let line = format!(
            "/etc/pam.d/sshd: 'auth {control} pam_twofa.so' lets people in whom pam_twofa refuses"
        );
        finds(&debian(&[("sshd", &stack)]), &["problem: ", &line]);
    }
    let reset = "auth requisite pam_unix.so\nauth required pam_twofa.so\nauth [success=reset] pam_permit.so\nauth required pam_permit.so\n";
    finds(
        &debian(&[("sshd", reset)]),
        &["sshd: people get in whom pam_twofa refuses"],
    );
}

#[test]
fn lines_that_are_reached_without_the_password_are_named() {
    let unproved = "is reached without a right password";
    let challenge = "account required pam_twofa.so challenge";
    let el_sshd =
        "auth substack password-auth\nauth required pam_twofa.so\naccount include password-auth\n";
    finds(
        &el(&[("sshd", el_sshd)]),
        &["sshd: /etc/pam.d/sshd:2", unproved, challenge],
    );
    let both = el_sshd.replace(
        "account",
        "account required pam_twofa.so challenge\naccount",
    );
    finds(
        &el(&[("sshd", &both)]),
        &["notice: sshd: /etc/pam.d/sshd:2 asks nothing"],
    );
    finds(
        &debian(&[(
            "x",
            "auth required pam_unix.so\nauth required pam_twofa.so\n",
        )]),
        &[unproved],
    );
    finds(
        &debian(&[(
            "x",
            "auth required pam_twofa.so\nauth required pam_permit.so\n",
        )]),
        &[unproved],
    );
    let forward =
        "auth required pam_twofa.so forward_pass\nauth required pam_unix.so try_first_pass\n";
    finds(
        &debian(&[("vpn", forward)]),
        &["vpn", "no line of pam_twofa stands behind"],
    );
    // A line in auth is behind the password only where a wrong one ends the stack.
    let in_auth = format!("{forward}auth required pam_twofa.so\n@include common-account\n");
    finds(
        &debian(&[("vpn", &in_auth)]),
        &["vpn", "no line of pam_twofa stands behind"],
    );
    let ended = in_auth.replace("required pam_unix", "requisite pam_unix");
    let in_account = format!("{forward}account required pam_twofa.so\n@include common-account\n");
    for behind in [ended, in_account] {
        let findings = debian(&[("vpn", &behind)]);
        assert!(
            !findings
                .iter()
                .any(|finding| finding.contains("stands behind")),
            "{findings:?}"
        );
    }
}

#[test]
fn a_locker_that_asks_no_more_than_auth_needs_its_second_line_there() {
    let stack = "auth required pam_twofa.so forward_pass\nauth requisite pam_unix.so try_first_pass\n\
                 account required pam_twofa.so\n@include common-account\n";
    finds(
        &debian(&[("swaylock", stack)]),
        &["swaylock", "no line of pam_twofa stands behind"],
    );
    assert_eq!(debian(&[("vpn", stack)]), NOTHING);
    let challenge = stack.replace(
        "account required pam_twofa.so",
        "account required pam_twofa.so challenge",
    );
    assert_eq!(debian(&[("vpn", &challenge)]), NOTHING);
}

#[test]
fn options_that_refuse_everybody_are_named() {
    for option in ["nullok", "challenge", "socket=twofad.sock"] {
        let stack = BEHIND.replace("pam_twofa.so", &format!("pam_twofa.so debug {option}"));
        let words = format!(
            "/etc/pam.d/sshd:2 refuses everybody: pam_twofa has no option '{option}' there"
        );
        finds(&debian(&[("sshd", &stack)]), &[&words]);
    }
    let stack = BEHIND.replace("pam_twofa.so", "pam_twofa.so debug socket=/run/other.sock");
    assert_eq!(debian(&[("sshd", &stack)]), NOTHING);
}

#[test]
fn root_is_to_be_had_by_all_its_ways_or_none() {
    let plain = "@include common-auth\n@include common-account\n";
    let su = "auth sufficient pam_rootok.so\n@include common-auth\n@include common-account\n";
    let files = [
        ("sudo", BEHIND),
        ("sudo-i", plain),
        ("/usr/lib/pam.d/polkit-1", plain),
        ("runuser", su),
        ("su", su),
    ];
    let mut machine = Machine::new(true, &DEBIAN, &files);
    let words = "sudo asks for a code, sudo-i (sudo -i), polkit-1 (pkexec, run0) and su do not: root is to be had there without a code";
    finds(&machine.findings(None), &[words]);
    machine.root_has_a_password = false;
    finds(
        &machine.findings(None),
        &["sudo asks for a code, sudo-i (sudo -i) and polkit-1 (pkexec, run0) do not"],
    );
}

#[test]
fn the_account_line_is_named_where_it_keeps_people_out() {
    let plain = "@include common-auth\nauth required pam_twofa.so\naccount required pam_twofa.so\n@include common-account\n";
    finds(&debian(&[("sudo", plain)]), &["sudo: ", "NOPASSWD"]);
    finds(
        &debian(&[(
            "x",
            "@include common-auth\naccount required pam_twofa.so\n@include common-account\n",
        )]),
        &["x: the account line asks for nothing"],
    );
    for line in [
        "account required pam_twofa.so",
        "account required pam_twofa.so challenge",
    ] {
        finds(
            &debian(&[
                ("sshd", plain),
                (
                    "cron",
                    &format!("@include common-auth\n{line}\n@include common-account\n"),
                ),
            ]),
            &["cron: there is nobody to ask"],
        );
        let shared = format!("account required pam_unix.so\n{line}\n");
        finds(
            &debian(&[("common-account", &shared), ("sshd", BEHIND)]),
            &[
                "/etc/pam.d/common-account: ",
                "refuses cron jobs and root's su",
            ],
        );
    }
    let su = EL_SU.replace(
        "account sufficient pam_succeed_if.so uid = 0 use_uid quiet\n",
        "",
    );
    finds(&el(&[("su", &su)]), &["su: ", "stops root's own su"]);
}

#[test]
fn lockers_of_one_field_are_named() {
    let login = ("login", BEHIND);
    let findings = debian(&[
        login,
        ("i3lock", "auth include login\n"),
        ("swaylock", "auth include login\n"),
    ]);
    finds(
        &findings,
        &["problem: i3lock and swaylock: it has one field"],
    );
    finds(&el(&[("sddm", EL_SSHD)]), &["sddm: it has one field"]);
    finds(
        &el(&[("xscreensaver", EL_SUDO)]),
        &["notice: xscreensaver: the auth stack alone lets people in"],
    );
}

#[test]
fn stacks_that_let_nobody_in_or_that_nobody_asks_are_named() {
    let moved = "auth [success=1 default=bad] pam_unix.so\nauth required pam_twofa.so\nauth [default=die] pam_faillock.so authfail\n";
    finds(
        &debian(&[("x", moved)]),
        &["x: nobody gets in: whatever happens, the auth stack fails"],
    );
    finds(
        &debian(&[("x", "auth required pam_twofa.so \\")]),
        &["x: nobody gets in: ", "ends inside a continued line"],
    );
    let none = "no PAM service has pam_twofa.so in its auth stack";
    finds(
        &debian(&[("sshd", "@include common-auth\n"), ("sshd.rpmsave", BEHIND)]),
        &[none],
    );
    finds(
        &debian(&[("sshd", "session optional pam_twofa.so\n")]),
        &[none],
    );
    let doubted = "@include common-auth\nauth required pam_twofa.so \\\n# more\n";
    finds(
        &debian(&[("sshd", doubted)]),
        &["sshd: who gets in cannot be told"],
    );
}

#[test]
fn what_sshd_itself_does_is_part_of_it() {
    let sshd = |lines: &str| {
        Sshd::read(&format!(
            "usepam yes\npubkeyauthentication yes\nkbdinteractiveauthentication yes\npasswordauthentication no\n\
             authenticationmethods any\n{lines}"
        ))
    };
    let both = format!("account required pam_twofa.so\n{BEHIND}");
    let key_then_code = "auth required pam_twofa.so\nauth required pam_permit.so\naccount required pam_twofa.so\n@include common-account\n";
    let found = |stack: &str, lines: &str| {
        Machine::new(true, &DEBIAN, &[("sshd", stack)]).findings(Some(&sshd(lines)))
    };
    for (stack, lines) in [
        (BEHIND, "pubkeyauthentication no"),
        (BEHIND, "authenticationmethods keyboard-interactive"),
        (
            &both,
            "authenticationmethods publickey,keyboard-interactive keyboard-interactive",
        ),
        (
            key_then_code,
            "authenticationmethods publickey,keyboard-interactive",
        ),
        (&both, "pamservicename elsewhere"),
    ] {
        assert_eq!(found(stack, lines), NOTHING, "{lines}");
    }
    finds(
        &found(&both, ""),
        &[
            "problem: sshd: ",
            "offer a key are cut off",
            "-o PubkeyAuthentication=no",
        ],
    );
    finds(
        &found(BEHIND, ""),
        &["problem: sshd: a key alone lets in without a code"],
    );
    finds(
        &found(key_then_code, ""),
        &["is reached without a right password"],
    );
    finds(
        &found(
            key_then_code,
            "authenticationmethods publickey,keyboard-interactive keyboard-interactive",
        ),
        &["is reached without a right password"],
    );
    finds(
        &found(&both, "kbdinteractiveauthentication no"),
        &["problem: sshd: sshd cannot ask for a code"],
    );
    finds(
        &found(&both, "usepam no"),
        &["problem: sshd: ", "UsePAM no"],
    );
    finds(
        &found(
            BEHIND,
            "passwordauthentication yes\npubkeyauthentication no",
        ),
        &["notice: sshd: sshd's method 'password'"],
    );
}
