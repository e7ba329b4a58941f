use super::*;

fn line(phase: Phase, arguments: &[&str], may_be_unproved: bool) -> Line {
    Line {
        phase,
        arguments: arguments.iter().map(ToString::to_string).collect(),
        may_be_unproved,
    }
}

/// Stacks that know one service, `service`.
fn stacks(lines: Vec<Line>, is_followed: bool, account_challenges: bool) -> Stacks {
    let known = Known {
        files: Vec::new(),
        has_key_line: false,
        lines,
        is_followed,
        is_followed_in_auth: false,
        account_confirms: false,
        account_challenges,
        doubt: None,
    };
    Stacks {
        known: Mutex::new(HashMap::from([("service".to_owned(), known)])),
    }
}

fn login(arguments: &[&str]) -> Login {
    let pam_folder = fs::metadata("/etc/pam.d")
        .ok()
        .map(|folder| (folder.dev(), folder.ino()));
    let arguments = arguments.iter().map(ToString::to_string).collect();
    Login {
        service: "service".into(),
        arguments,
        pam_folder,
        ..Login::default()
    }
}

fn in_auth(stacks: &Stacks, login: &Login) -> FirstFactor {
    stacks.first_factor(Peer::ROOT, &Request::Login(login.clone()), login)
}

#[test]
fn what_the_stack_proves_counts_for_the_line_that_asks() {
    let stacks = stacks(
        vec![
            line(Phase::Auth, &["forward_pass"], true),
            line(Phase::Auth, &[], false),
        ],
        true,
        false,
    );
    let early = Login {
        behind_password: true,
        ..login(&["forward_pass"])
    };
    assert_eq!(in_auth(&stacks, &early), FirstFactor::LaterLine);
    assert_eq!(in_auth(&stacks, &login(&[])), FirstFactor::Shown);
    assert_eq!(
        in_auth(&stacks, &login(&["debug"])),
        FirstFactor::Unknown,
        "no such line"
    );
}

#[test]
fn of_two_equal_lines_the_one_that_proves_less_counts() {
    let stacks = stacks(
        vec![line(Phase::Auth, &[], false), line(Phase::Auth, &[], true)],
        false,
        false,
    );
    assert_eq!(in_auth(&stacks, &login(&[])), FirstFactor::Unknown);
}

#[test]
fn only_an_account_line_with_challenge_asks_instead() {
    let lines = || {
        vec![
            line(Phase::Auth, &[], true),
            line(Phase::Account, &["challenge"], false),
        ]
    };
    assert_eq!(
        in_auth(&stacks(lines(), true, true), &login(&[])),
        FirstFactor::LaterLine
    );
    assert_eq!(
        in_auth(&stacks(lines(), true, false), &login(&[])),
        FirstFactor::Unknown
    );
}

#[test]
fn a_screen_locker_does_not_depend_on_an_account_phase_that_it_may_never_call() {
    let lines = vec![
        line(Phase::Auth, &[], true),
        line(Phase::Auth, &["forward_pass"], true),
        line(Phase::Account, &["challenge"], false),
    ];
    let stacks = stacks(lines, true, true);
    let early = Login {
        behind_password: true,
        ..login(&["forward_pass"])
    };
    for login in [login(&[]), early] {
        let request = Request::Login(login.clone());
        assert_eq!(
            stacks.first_factor(Peer::ROOT, &request, &login),
            FirstFactor::LaterLine
        );
        assert_eq!(
            stacks.first_factor(Peer::new(1000), &request, &login),
            FirstFactor::Unknown
        );
    }
}

#[test]
fn an_application_with_another_pam_d_is_not_judged_by_this_one() {
    let stacks = stacks(vec![line(Phase::Auth, &[], false)], false, true);
    for pam_folder in [None, Some((0, 0))] {
        assert_eq!(
            in_auth(
                &stacks,
                &Login {
                    pam_folder,
                    ..login(&[])
                }
            ),
            FirstFactor::Unknown
        );
    }
}

#[test]
fn what_sshd_verified_is_believed_from_root_alone() {
    let stacks = stacks(vec![line(Phase::Auth, &[], true)], false, false);
    let by = |info: &str| Login {
        ssh_auth_info: Some(info.into()),
        ..login(&[])
    };
    assert_eq!(
        in_auth(&stacks, &by("publickey ssh-ed25519 AAAA\n")),
        FirstFactor::Shown
    );
    assert_eq!(
        in_auth(&stacks, &by("password\nkeyboard-interactive/pam\n")),
        FirstFactor::Unknown
    );
    let claim = by("publickey ssh-ed25519 AAAA\n");
    let user = Peer::new(1000);
    assert_eq!(
        stacks.first_factor(user, &Request::Login(claim.clone()), &claim),
        FirstFactor::Unknown
    );
}

#[test]
fn a_stack_that_changed_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service");
    fs::write(&path, "one").unwrap();
    let path = path.to_str().unwrap().to_owned();
    let known = Known {
        files: vec![(path.clone(), found(&path)), (format!("{path}-none"), None)],
        has_key_line: false,
        lines: Vec::new(),
        is_followed: false,
        is_followed_in_auth: false,
        account_confirms: false,
        account_challenges: false,
        doubt: None,
    };
    assert!(known.is_current());
    fs::write(&path, "another").unwrap();
    assert!(!known.is_current());
}
