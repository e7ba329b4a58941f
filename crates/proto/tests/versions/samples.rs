//! Messages between module and broker with a value in each field.

use twofa_proto::{
    Confirm, Done, Evidence, Failure, FromBroker, Login, PasswordState, ProcessId, Prompt, Request,
    SessionEvidence, SessionLimit, SessionProcess, SessionStart, TerminalEvidence, Ticket, Verdict,
};

pub fn login() -> Request {
    Request::Login(described(None, Confirm::No))
}

pub fn requests() -> [(&'static str, Request); 6] {
    let confirming = described(
        Some("publickey ssh-ed25519 AAAA"),
        Confirm::Record(Ticket(77)),
    );
    let process = SessionProcess {
        boot: "boot".to_owned(),
        id: process(400),
        login_uid: Some(1000),
    };
    [
        ("login", login()),
        (
            "login-after-key",
            Request::Login(described(Some("publickey ssh-ed25519 AAAA"), Confirm::No)),
        ),
        ("account-confirming", Request::Account(confirming)),
        (
            "open-session",
            Request::OpenSession(SessionStart {
                user: "alice".to_owned(),
                service: "sshd".to_owned(),
                remote_host: Some("192.0.2.7".to_owned()),
                remote_user: Some("root".to_owned()),
                terminal: Some("pts/1".to_owned()),
                process: process.clone(),
            }),
        ),
        (
            "close-session",
            Request::CloseSession {
                user: "alice".to_owned(),
                process,
            },
        ),
        (
            "password-changed",
            Request::PasswordChanged {
                user: "alice".to_owned(),
                service: "passwd".to_owned(),
                login_uid: Some(1000),
            },
        ),
    ]
}

pub fn responses() -> Vec<(&'static str, Vec<FromBroker>)> {
    let prompt = Prompt {
        text: "Verification code: ".into(),
        echo: true,
        digits_behind_password: Some(6),
        link: Some("otpauth://totp".into()),
    };
    let ended = |done| vec![FromBroker::Done(done)];
    let judged = |verdict, confirm| {
        ended(Done::Login {
            verdict,
            why: "why".to_owned(),
            confirm,
        })
    };
    vec![
        (
            "talk",
            vec![
                FromBroker::Accepted,
                FromBroker::Info("Information".into()),
                FromBroker::Prompt(prompt),
                FromBroker::Error("Error".to_owned()),
            ],
        ),
        ("passed", judged(Verdict::Passed, Confirm::No)),
        (
            "passed-unrecorded",
            judged(Verdict::Passed, Confirm::Record(Ticket(77))),
        ),
        (
            "trusted",
            judged(Verdict::Trusted, Confirm::Trust(Ticket(77))),
        ),
        ("not-required", judged(Verdict::NotRequired, Confirm::No)),
        ("exempt", judged(Verdict::Exempt, Confirm::No)),
        ("later", judged(Verdict::Later, Confirm::No)),
        ("denied", judged(Verdict::Denied, Confirm::No)),
        ("tries-used-up", judged(Verdict::TriesUsedUp, Confirm::No)),
        ("unavailable", judged(Verdict::Unavailable, Confirm::No)),
        ("no-answer", judged(Verdict::NoAnswer, Confirm::No)),
        (
            "session",
            ended(Done::Session {
                limit: Some(SessionLimit {
                    seconds: 3600,
                    notice: "It ends.".to_owned(),
                }),
            }),
        ),
        ("changed", ended(Done::Changed)),
        (
            "failed",
            ended(Done::Failed {
                failure: Failure::NotPermitted,
                message: "message".to_owned(),
                hint: Some("hint".to_owned()),
            }),
        ),
    ]
}

fn described(ssh_auth_info: Option<&str>, confirms: Confirm) -> Login {
    Login {
        user: "alice".to_owned(),
        service: "sshd".to_owned(),
        remote_host: Some("192.0.2.7".to_owned()),
        remote_user: Some("root".to_owned()),
        terminal: Some("ssh".to_owned()),
        behind_password: true,
        arguments: vec!["challenge".to_owned()],
        pam_folder: Some((65025, 1_573_000)),
        may_ask: false,
        cannot_answer: true,
        ssh_auth_info: ssh_auth_info.map(str::to_owned),
        evidence: Some(Box::new(evidence(confirms))),
    }
}

fn evidence(confirms: Confirm) -> Evidence {
    Evidence {
        boot: "boot".to_owned(),
        process: process(400),
        parent: Some(process(300)),
        login_uid: Some(1000),
        ssh_client: Some("192.0.2.7".to_owned()),
        has_default_sshd_config: true,
        is_from_this_machine: false,
        session: Some(SessionEvidence {
            id: "c1".to_owned(),
            start: 5_000_000,
            uid: 1000,
            leader: Some(process(200)),
        }),
        controlling_terminal: Some(TerminalEvidence {
            device: 34_816,
            leader: process(100),
        }),
        password: PasswordState::Hashed("hash".to_owned()),
        confirms,
    }
}

fn process(pid: u32) -> ProcessId {
    ProcessId {
        pid,
        start: u64::from(pid) * 1000,
    }
}
