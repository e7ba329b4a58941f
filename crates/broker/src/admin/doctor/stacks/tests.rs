use std::collections::BTreeMap;

use twofa_stacks::{Doubt, File, Host, Unusable};

use super::inspect;
use crate::admin::doctor::finding::{
    AccountComplaint, Complaint, DecidingLine, Finding, HostFinding, KeyComplaint, Line, Remedy,
    RootService, Severity, SshdComplaint,
};
use crate::admin::doctor::sshd::Sshd;

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

    fn findings(&self, sshd: Option<&Sshd>) -> Vec<Finding> {
        let names = self
            .files
            .keys()
            .filter_map(|path| path.rsplit('/').next())
            .map(str::to_owned);
        inspect(names, self, sshd, self.root_has_a_password).findings
    }
}

fn debian(files: &[(&str, &str)]) -> Vec<Finding> {
    Machine::new(true, &DEBIAN, files).findings(None)
}

fn el(files: &[(&str, &str)]) -> Vec<Finding> {
    Machine::new(false, &EL, files).findings(None)
}

/// Asserts that `complaint` is found about exactly these services.
#[track_caller]
fn finds(findings: &[Finding], services: &[&str], complaint: &Complaint) {
    let finding = Finding::Services {
        services: services.iter().map(|name| (*name).to_owned()).collect(),
        complaint: complaint.clone(),
    };
    assert!(findings.contains(&finding), "{finding:?} in {findings:#?}");
}

#[track_caller]
fn finds_on_host(findings: &[Finding], finding: HostFinding) {
    let finding = Finding::Host(finding);
    assert!(findings.contains(&finding), "{finding:?} in {findings:#?}");
}

/// A line of `name` in `/etc/pam.d`.
fn line(name: &str, number: usize) -> Line {
    Line {
        file: format!("/etc/pam.d/{name}"),
        number,
    }
}

/// That `service` lets people in without a code, because of `module` in this line.
#[track_caller]
fn lets_in_past(findings: &[Finding], service: &str, at: Line, module: &str, remedy: Remedy) {
    let deciding = DecidingLine {
        line: at,
        module: Some(module.to_owned()),
        code: "success",
        skips_module: true,
    };
    let complaint = Complaint::WithoutCode {
        line: Some(deciding),
        remedy: Some(remedy),
    };
    finds(findings, &[service], &complaint);
}

const NOTHING: [Finding; 0] = [];
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
fn paths_that_bypass_the_module_are_named() {
    let shared =
        "auth include system-auth\nauth required pam_twofa.so\naccount include system-auth\n";
    let in_account = Remedy::ChallengeInAccount;
    lets_in_past(
        &el(&[("sudo", shared)]),
        "sudo",
        line("system-auth", 5),
        "pam_unix.so",
        in_account,
    );
    for (stack, number, module) in [
        (
            "auth [success=done default=ignore] pam_unix.so\nauth required pam_twofa.so\n",
            1,
            "pam_unix.so",
        ),
        (
            "auth requisite pam_unix.so\nauth [success=1 default=ignore] pam_localuser.so\n\
             auth required pam_twofa.so\nauth required pam_permit.so\n",
            2,
            "pam_localuser.so",
        ),
        (
            &format!("auth sufficient pam_succeed_if.so user ingroup nopasswdlogin\n{BEHIND}"),
            1,
            "pam_succeed_if.so",
        ),
        (
            &format!("auth sufficient pam_rootok.so\n{BEHIND}"),
            1,
            "pam_rootok.so",
        ),
    ] {
        let findings = debian(&[("sshd", stack)]);
        lets_in_past(&findings, "sshd", line("sshd", number), module, in_account);
    }
    let late = "auth substack password-auth\naccount include password-auth\naccount required pam_twofa.so challenge\n";
    lets_in_past(
        &el(&[("sshd", late)]),
        "sshd",
        line("password-auth", 10),
        "pam_localuser.so",
        Remedy::PutBefore,
    );
}

#[test]
fn controls_that_let_a_refusal_pass_are_named() {
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
        let text = format!("auth {control} pam_twofa.so");
        let stack = format!(
            "@include common-auth\n{text}\nauth optional pam_permit.so\n@include common-account\n"
        );
        let file = "/etc/pam.d/sshd".to_owned();
        finds_on_host(
            &debian(&[("sshd", &stack)]),
            HostFinding::ForgivingControl { file, text },
        );
    }
    let reset = "auth requisite pam_unix.so\nauth required pam_twofa.so\nauth [success=reset] pam_permit.so\nauth required pam_permit.so\n";
    let findings = debian(&[("sshd", reset)]);
    assert!(
        matches!(
            &findings[0],
            Finding::Services { services, complaint: Complaint::DespiteRefusal(Some(_)) } if services == &["sshd"]
        ),
        "{findings:#?}"
    );
}

#[test]
fn lines_that_are_reached_without_the_password_are_named() {
    let el_sshd =
        "auth substack password-auth\nauth required pam_twofa.so\naccount include password-auth\n";
    finds(
        &el(&[("sshd", el_sshd)]),
        &["sshd"],
        &Complaint::ReachedWithoutPassword(line("sshd", 2)),
    );
    let both = el_sshd.replace(
        "account",
        "account required pam_twofa.so challenge\naccount",
    );
    let findings = el(&[("sshd", &both)]);
    finds(
        &findings,
        &["sshd"],
        &Complaint::AsksNothing(line("sshd", 2)),
    );
    assert_eq!(findings[0].severity(), Severity::Notice);
    for (stack, number) in [
        ("auth required pam_unix.so\nauth required pam_twofa.so\n", 2),
        (
            "auth required pam_twofa.so\nauth required pam_permit.so\n",
            1,
        ),
    ] {
        finds(
            &debian(&[("x", stack)]),
            &["x"],
            &Complaint::ReachedWithoutPassword(line("x", number)),
        );
    }
}

#[test]
fn a_line_before_the_password_needs_another_behind_it() {
    let forward =
        "auth required pam_twofa.so forward_pass\nauth required pam_unix.so try_first_pass\n";
    // A line in auth is behind the password only where a wrong one ends the stack.
    let in_auth = format!("{forward}auth required pam_twofa.so\n@include common-account\n");
    let alone = Complaint::AsksOnlyBeforePassword(line("vpn", 1));
    for stack in [forward, &in_auth] {
        finds(&debian(&[("vpn", stack)]), &["vpn"], &alone);
    }
    let ended = in_auth.replace("required pam_unix", "requisite pam_unix");
    let in_account = format!("{forward}account required pam_twofa.so\n@include common-account\n");
    for stack in [ended, in_account] {
        let findings = debian(&[("vpn", &stack)]);
        let is_alone = |finding: &Finding| matches!(finding, Finding::Services { complaint, .. } if *complaint == alone);
        assert!(!findings.iter().any(is_alone), "{findings:#?}");
    }
}

#[test]
fn a_locker_that_calls_only_auth_needs_the_second_line_there() {
    let stack = "auth required pam_twofa.so forward_pass\nauth requisite pam_unix.so try_first_pass\n\
                 account required pam_twofa.so\n@include common-account\n";
    finds(
        &debian(&[("swaylock", stack)]),
        &["swaylock"],
        &Complaint::AsksOnlyBeforePassword(line("swaylock", 1)),
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
        let finding = HostFinding::UnknownOption {
            line: line("sshd", 2),
            option: option.to_owned(),
        };
        finds_on_host(&debian(&[("sshd", &stack)]), finding);
    }
    let stack = BEHIND.replace("pam_twofa.so", "pam_twofa.so debug socket=/run/other.sock");
    assert_eq!(debian(&[("sshd", &stack)]), NOTHING);
}

#[test]
fn a_line_for_keys_that_leads_them_astray_is_named() {
    let proved = "auth [success=1 default=ignore] pam_twofa.so proved\n";
    let asks = "auth required pam_twofa.so\n";
    let (unix, permit) = (
        "auth requisite pam_unix.so\n",
        "auth required pam_permit.so\n",
    );
    let account = "account required pam_twofa.so\n@include common-account\n";
    let in_account = format!("{proved}auth substack common-auth\n{permit}{account}")
        .replace("twofa.so\n@", "twofa.so challenge\n@");
    let right = format!("{proved}{unix}{asks}{permit}{account}");
    for stack in [&in_account, &right] {
        assert_eq!(debian(&[("sshd", stack)]), NOTHING);
    }
    let included = format!("{proved}@include common-auth\n{asks}{account}");
    for (stack, complaint) in [
        (included.clone(), KeyComplaint::Refused),
        (right.replace("=1 d", "=2 d"), KeyComplaint::Refused),
        (in_account.replace(permit, ""), KeyComplaint::Refused),
        (right.replace(permit, ""), KeyComplaint::RefusedUnasked),
        (
            included.replace("=1 d", "=2 d"),
            KeyComplaint::LandsElsewhere,
        ),
    ] {
        let expected = Finding::Services {
            services: vec!["sshd".to_owned()],
            complaint: Complaint::Key(line("sshd", 1), complaint),
        };
        assert_eq!(debian(&[("sshd", &stack)]), [expected], "{stack}");
    }
    let long = right
        .replace("=1 d", "=2 d")
        .replace("account required pam_twofa.so\n", "");
    let remedy = Remedy::ShortenJump;
    let findings = debian(&[("sshd", &long)]);
    lets_in_past(&findings, "sshd", line("sshd", 1), "pam_twofa.so", remedy);
}

#[test]
fn options_that_do_not_go_with_proved_are_named() {
    let right = "auth [success=1 default=ignore] pam_twofa.so proved\nauth requisite pam_unix.so\n\
                 auth required pam_twofa.so\nauth required pam_permit.so\n@include common-account\n";
    for (at, option, stack) in [
        (1, "challenge", right.replace("proved", "proved challenge")),
        (
            5,
            "proved",
            right.replace("@include", "account required pam_twofa.so proved\n@include"),
        ),
    ] {
        let finding = HostFinding::UnknownOption {
            line: line("sshd", at),
            option: option.to_owned(),
        };
        finds_on_host(&debian(&[("sshd", &stack)]), finding);
    }
}

#[test]
fn ways_to_root_that_do_not_ask_are_named_if_others_do() {
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
    let names = |services: &[RootService]| services.iter().map(|root| root.service).collect();
    let open = |machine: &Machine| -> Vec<&'static str> {
        let findings = machine.findings(None);
        let found = findings.iter().find_map(|finding| match finding {
            Finding::Host(HostFinding::RootWithoutCode { asking, open }) => Some((asking, open)),
            _ => None,
        });
        let (asking, open) = found.unwrap();
        assert_eq!(
            asking[..],
            [RootService {
                service: "sudo",
                typed: "sudo"
            }]
        );
        names(open)
    };
    assert_eq!(open(&machine), ["sudo-i", "polkit-1", "su"]);
    machine.root_has_a_password = false;
    assert_eq!(open(&machine), ["sudo-i", "polkit-1"]);
}

#[test]
fn the_account_line_is_named_where_it_keeps_people_out() {
    let plain = "@include common-auth\nauth required pam_twofa.so\naccount required pam_twofa.so\n@include common-account\n";
    finds(
        &debian(&[("sudo", plain)]),
        &["sudo"],
        &Complaint::Account(AccountComplaint::RefusesSudo),
    );
    let alone = "@include common-auth\naccount required pam_twofa.so\n@include common-account\n";
    finds(
        &debian(&[("x", alone)]),
        &["x"],
        &Complaint::Account(AccountComplaint::AsksNothing),
    );
    for line in [
        "account required pam_twofa.so",
        "account required pam_twofa.so challenge",
    ] {
        let shared = format!("account required pam_unix.so\n{line}\n");
        let file = "/etc/pam.d/common-account".to_owned();
        finds_on_host(
            &debian(&[("common-account", &shared), ("sshd", BEHIND)]),
            HostFinding::SharedAccount { file },
        );
    }
    let su = EL_SU.replace(
        "account sufficient pam_succeed_if.so uid = 0 use_uid quiet\n",
        "",
    );
    finds(
        &el(&[("su", &su)]),
        &["su"],
        &Complaint::Account(AccountComplaint::StopsRootsSu),
    );
}

#[test]
fn lockers_with_one_field_are_named() {
    let lockers = [
        ("login", BEHIND),
        ("i3lock", "auth include login\n"),
        ("swaylock", "auth include login\n"),
    ];
    finds(
        &debian(&lockers),
        &["i3lock", "swaylock"],
        &Complaint::OneField,
    );
    finds(&el(&[("sddm", EL_SSHD)]), &["sddm"], &Complaint::OneField);
    finds(
        &el(&[("xscreensaver", EL_SUDO)]),
        &["xscreensaver"],
        &Complaint::AuthAloneLetsIn,
    );
}

#[test]
fn services_of_roots_own_may_fail_for_everybody_else() {
    // Debian's runuser has no lines of account, so that libpam takes those of 'other', with the profile's line.
    let account = format!("{}account required pam_twofa.so confirm\n", DEBIAN[1].1);
    let files = [
        ("common-account", account.as_str()),
        ("login", BEHIND),
        ("runuser", "auth sufficient pam_rootok.so\n"),
        ("runuser-l", "auth include runuser\n"),
    ];
    assert_eq!(debian(&files), NOTHING);
    let files = [files[0], files[1], ("su", files[2].1)];
    finds(
        &debian(&files),
        &["su"],
        &Complaint::AlwaysFails { stack: "auth" },
    );
}

#[test]
fn stacks_that_let_nobody_in_or_that_nobody_asks_are_named() {
    let moved = "auth [success=1 default=bad] pam_unix.so\nauth required pam_twofa.so\nauth [default=die] pam_faillock.so authfail\n";
    finds(
        &debian(&[("x", moved)]),
        &["x"],
        &Complaint::AlwaysFails { stack: "auth" },
    );
    finds(
        &debian(&[("x", "auth required pam_twofa.so \\")]),
        &["x"],
        &Complaint::Unusable(Unusable::Unfinished("/etc/pam.d/x".to_owned())),
    );
    finds_on_host(
        &debian(&[("sshd", "@include common-auth\n"), ("sshd.rpmsave", BEHIND)]),
        HostFinding::NobodyIsAsked,
    );
    finds_on_host(
        &debian(&[("sshd", "session optional pam_twofa.so\n")]),
        HostFinding::NobodyIsAsked,
    );
    let disputed = "@include common-auth\nauth required pam_twofa.so \\\n# more\n";
    finds(
        &debian(&[("sshd", disputed)]),
        &["sshd"],
        &Complaint::Unsure(vec![Doubt::Disputed("/etc/pam.d/sshd".to_owned())]),
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
    let keys = "authenticationmethods publickey,keyboard-interactive";
    let keys_or_not = "authenticationmethods publickey,keyboard-interactive keyboard-interactive";
    for (stack, lines) in [
        (BEHIND, "pubkeyauthentication no"),
        (BEHIND, "authenticationmethods keyboard-interactive"),
        (&both, keys_or_not),
        (key_then_code, keys),
        (&both, "pamservicename elsewhere"),
    ] {
        assert_eq!(found(stack, lines), NOTHING, "{lines}");
    }
    let reached = Complaint::ReachedWithoutPassword(line("sshd", 1));
    for (stack, lines, complaint) in [
        (&both[..], "", &Complaint::Sshd(SshdComplaint::KeyIsCutOff)),
        (BEHIND, "", &Complaint::Sshd(SshdComplaint::KeyAloneLetsIn)),
        (key_then_code, "", &reached),
        (key_then_code, keys_or_not, &reached),
        (
            &both,
            "kbdinteractiveauthentication no",
            &Complaint::Sshd(SshdComplaint::CannotAsk),
        ),
        (
            &both,
            "usepam no",
            &Complaint::Sshd(SshdComplaint::WithoutPam),
        ),
        (
            BEHIND,
            "passwordauthentication yes\npubkeyauthentication no",
            &Complaint::Sshd(SshdComplaint::PasswordMethod),
        ),
    ] {
        finds(&found(stack, lines), &["sshd"], complaint);
    }
}
