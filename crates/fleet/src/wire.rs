//! The messages between a host and a server: of logins (`twofa/2`, and `twofa/1` without what that does not have), of the host itself (`twofa-host/1`), of what it has done and
//! is to do (`twofa-watch/1`), and of joining.
//!
//! They are not those between module and broker, which change with every version: a server speaks to hosts of other versions.
//! What is sent under one number of the protocol stays as it is to the byte; messages may be added behind those that there
//! are. A host has messages for logins and their sessions, for joining, and for what a person does with their own record: it cannot list
//! people, change the policy, nor say who it is.
//!
//! Which message may come when is the table of [`twofa_proto::state`].

use serde::{Deserialize, Serialize};
use twofa_proto::Secret;
use twofa_proto::state::MessageKind;

/// From a joined host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a conversation has one login")]
pub enum FromHost {
    /// Somebody logs in.
    Login(HostLogin),
    /// The answer to the prompt that this connection waits at.
    Answer(HostAnswer),
    /// The host asks for the rules of the fleet, between two logins.
    Policy {
        /// The version that it has; 0: none.
        known: i64,
    },
    /// The same on another connection, to whichever server: the first message of it, or the first after the end of another
    /// conversation.
    Resume(HostAnswer),
    /// A person looks at their own record, or changes it.
    Own(HostRequest),
    /// [`Self::Login`] with what the host has established about where it comes from. Not in `twofa/1`.
    LoginFrom(HostLogin, DeviceClaim),
}

/// What a host has established about where a login comes from. All of it is the host's claim: a device that follows from it
/// can be trusted in place of a code, and counts for nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceClaim {
    /// What sshd verified before (`SSH_AUTH_INFO_0`).
    pub ssh_auth_info: Option<String>,
    /// [`HostLogin::remote_host`] is an address of the host itself.
    pub is_from_this_machine: bool,
    /// The login session of the user who becomes another user.
    pub session: Option<SessionClaim>,
    /// The terminal of that user.
    pub terminal: Option<TerminalClaim>,
    /// Changes with the password, and tells nothing of it; `None`: a directory keeps the password.
    pub password: Option<[u8; 32]>,
    /// For how many seconds the host trusts such a device at most, by rules that may be stricter than the fleet's.
    pub at_most: u64,
    /// By these rules, users must ask for a device to be trusted.
    pub only_if_asked: bool,
    /// By these rules, a key can be trusted on other hosts too.
    pub is_for_fleet: bool,
}

/// A session of systemd-logind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClaim {
    /// `/proc/sys/kernel/random/boot_id`
    pub boot: String,
    /// Its id.
    pub id: String,
    /// When it began, in microseconds of `CLOCK_MONOTONIC`.
    pub start: u64,
}

/// A terminal with the process that leads its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalClaim {
    /// The uid of the user who becomes another.
    pub uid: u32,
    /// `/proc/sys/kernel/random/boot_id`
    pub boot: String,
    /// The device number of the terminal.
    pub device: u64,
    /// Process id of the session leader.
    pub leader: u32,
    /// When the session leader started, in clock ticks since boot.
    pub start: u64,
}

/// The random id of a conversation, which the host makes.
pub type ConversationId = [u8; 16];

/// The answer to a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAnswer {
    /// [`HostLogin::conversation`]
    pub conversation: ConversationId,
    /// The number of the answer in its conversation, from 1 on. One that is sent again has the same number, and gets the
    /// reply that it got the first time.
    pub number: u32,
    /// How long the host waits for what follows, in milliseconds.
    pub deadline: u32,
    /// What was typed; `None`: nothing was.
    pub answer: Option<Secret>,
}

/// A login as the host describes it. All of it is the host's claim, and is worth one login on that host.
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts, none of which follows from another"
)]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostLogin {
    /// Its random id.
    pub conversation: ConversationId,
    /// Another server may have had this message.
    pub is_again: bool,
    /// How long the host waits for the first answer, in milliseconds.
    pub deadline: u32,
    /// The login name.
    pub user: String,
    /// The uid that the name has on the host.
    pub uid: u32,
    /// The uid of the process that asks for the login.
    pub asked_by: u32,
    /// `PAM_SERVICE`
    pub service: String,
    /// The application is sshd.
    pub is_sshd: bool,
    /// Where the login comes from: a numeric address if the host knows one.
    pub remote_host: Option<String>,
    /// `PAM_RUSER`
    pub remote_user: Option<String>,
    /// `PAM_TTY`
    pub terminal: Option<String>,
    /// What the host's stack says of the first factor.
    pub first_factor: FirstFactor,
    /// The code is typed behind the password in one answer.
    pub behind_password: bool,
    /// This is the account phase.
    pub is_account: bool,
    /// In the account phase: a prompt may be shown.
    pub may_ask: bool,
    /// The application answers no prompt.
    pub cannot_answer: bool,
    /// The version of the twofa on the host, for a listing.
    pub version: String,
    /// The last mark of the fleet's database that a server has sent.
    pub seen: Option<Mark>,
}

/// What a person does with their own record, as the host describes it. That they are this person is the host's claim, and
/// shows it the record without addresses; a change also requires a code, which the server verifies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRequest {
    /// Its random id, for the answers in it.
    pub conversation: ConversationId,
    /// How long the host waits for the first answer, in milliseconds.
    pub deadline: u32,
    /// The login name.
    pub user: String,
    /// The uid that the name has on the host, which the process has that asks.
    pub uid: u32,
    /// What is asked for.
    pub act: OwnAct,
    /// The version of the twofa on the host, for a listing.
    pub version: String,
    /// The last mark of the fleet's database that a server has sent.
    pub seen: Option<Mark>,
}

/// What a person can do with their own record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnAct {
    /// Look at it.
    Show,
    /// Enrol an authenticator app.
    EnrolApp {
        /// Its label; `None`: the server chooses one.
        label: Option<String>,
        /// HOTP instead of TOTP.
        counter: bool,
        /// `SHA1`, `SHA256` or `SHA512`.
        algorithm: String,
        /// How many digits a code has.
        digits: u8,
        /// Seconds in which a TOTP code is shown.
        period: u32,
    },
    /// Enrol an address that codes are sent to.
    EnrolAddress {
        /// `email` or `sms`.
        method: String,
        /// The address; `None`: the one on file, or one that is asked for.
        address: Option<String>,
    },
    /// Remove a method.
    Remove {
        /// The label, `email`, `sms` or `backup`.
        method: String,
    },
    /// Change settings.
    Set {
        /// `never`, `new-device` or `always`.
        verify: Option<String>,
        /// The e-mail address; an empty one is removed.
        email: Option<String>,
        /// The phone number; an empty one is removed.
        phone: Option<String>,
        /// The method that logins ask for first; an empty one is removed.
        prefer: Option<String>,
    },
    /// Make new backup codes.
    NewBackupCodes,
}

/// How that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnEnd {
    /// The record, as JSON, with addresses that are masked.
    Record(String),
    /// A change was made.
    Changed,
    /// Nothing was changed.
    Failed {
        /// Which kind of failure.
        failure: Failure,
        /// What failed and why.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// It could not be carried out.
    Failed,
    /// The request is invalid.
    Usage,
    /// It is not permitted.
    NotPermitted,
    /// There is no such method.
    NotFound,
    /// A code was wrong, or the account is locked.
    Denied,
    /// The server cannot do it now.
    Unavailable,
}

/// A moment in the history of the fleet's database. One that a host has seen, and that the database does not know, says that
/// the database has gone back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Rises with each mark.
    pub number: u64,
    /// When it was given, in seconds since 1970.
    pub at: i64,
    /// Random.
    pub value: [u8; 16],
}

/// What is known of the first factor when the module asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum FirstFactor {
    /// It may be wrong, and nothing comes later.
    #[default]
    Unknown,
    /// It was right.
    Shown,
    /// It may be wrong, and a later line asks.
    LaterLine,
}

/// From a server, in a conversation about a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromServer {
    /// The login is being worked on. Until this arrives, the host can turn to another server.
    Accepted(Option<Mark>),
    /// Show this and send what is typed.
    Prompt {
        /// What is read before answering. May show a key.
        text: Secret,
        /// Whether what is typed is shown.
        echo: bool,
        /// For password and code in one answer: the digits of the code at its end. Only these leave the host.
        digits_behind_password: Option<u8>,
        /// The link of a key that the text shows.
        link: Option<Secret>,
    },
    /// Show this.
    Info(Secret),
    /// Show this as an error.
    Error(String),
    /// The conversation has ended.
    Done {
        /// What to report to the application.
        verdict: Verdict,
        /// Why, for the host's log.
        why: String,
    },
    /// The answer to [`FromHost::Policy`].
    Policy {
        /// The version of the rules that is in force.
        version: i64,
        /// The server's time, in seconds since 1970.
        at: i64,
        /// The rules, signed ([`crate::signed`]); `None`: the host has them.
        signed: Option<String>,
    },
    /// The end of [`FromHost::Own`].
    Own(OwnEnd),
}

/// The result of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The code is right, and its use is on disk.
    Passed,
    /// The policy asks for nothing.
    NotRequired,
    /// An exemption covers the user.
    Exempt,
    /// A later line of the stack decides.
    Later,
    /// The login is refused.
    Denied,
    /// No attempts are left, or the account is locked.
    TriesUsedUp,
    /// The second factor cannot be checked now.
    Unavailable,
    /// No answer came.
    NoAnswer,
    /// A trusted device stands in for the code. Not in `twofa/1`.
    Trusted,
}

/// From a joined host, on the connection on which it waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWatcher {
    /// What has become of sessions and orders; answered by [`ToWatcher::Noted`]. A host that was waiting does so no longer.
    Report(WatchReport),
    /// Say when there is something to do, or 15 seconds have passed; answered by [`ToWatcher::News`].
    Wait {
        /// The version of the fleet's rules that the host has; 0: none.
        policy: i64,
        /// The version of the twofa on the host, for a listing.
        version: String,
    },
}

/// What a host reports. A session is named by the conversation of its login, which a server must have let pass on this host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WatchReport {
    /// Sessions that began, with the numbers that the host gave them.
    pub begun: Vec<(ConversationId, i64)>,
    /// Sessions that ended.
    pub ended: Vec<ConversationId>,
    /// Orders that are done.
    pub done: Vec<i64>,
}

/// From a server, to a host that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWatcher {
    /// The report is on record, but for this.
    Noted {
        /// Sessions that are not this host's to report.
        sessions: Vec<ConversationId>,
        /// Orders that are not this host's.
        orders: Vec<i64>,
    },
    /// What there is to do.
    News {
        /// The version of the rules that is in force.
        policy: i64,
        /// What the host is to do. What it has confirmed is in it no longer.
        orders: Vec<EndOrder>,
    },
    /// The host is not served, and why.
    Refused(String),
}

/// The order to end sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndOrder {
    /// Its number.
    pub id: i64,
    /// The conversations of the logins of these sessions.
    pub conversations: Vec<ConversationId>,
}

/// From a host that joins: all that it sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The secret of the token.
    pub secret: Secret,
    /// The request for a certificate (PKCS #10, DER).
    pub request: Vec<u8>,
}

/// The answer to a host that joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinAnswer {
    /// It is a host of the fleet.
    Joined {
        /// The name that the administrator gave it.
        name: String,
        /// Its certificate, as PEM.
        certificate: String,
    },
    /// It is not, and why.
    Refused(String),
}

/// From a joined host, about itself; one for each connection, behind which it may ask for the authorities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberRequest {
    /// Where are servers?
    Servers,
    /// The same, and it needs a certificate for this key.
    Renew {
        /// The request for a certificate (PKCS #10, DER).
        request: Vec<u8>,
    },
    /// Which user IDs do people have on record who have passed on this host? It knows their names.
    People,
    /// Which rescue codes is it to take? It says which it has, and what became of them.
    Rescue(RescueReport),
    /// Which certificate authorities does the fleet have? The host knows them as of this version; 0: it knows those with which it
    /// joined.
    Authorities {
        /// The version.
        known: i64,
    },
}

/// What a host says of its rescue codes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RescueReport {
    /// The number of the newest set that it has; `None`: none.
    pub held: Option<i64>,
    /// A code of that set was used.
    pub is_used: bool,
    /// Too many wrong codes were typed for an account.
    pub is_locked: bool,
    /// Logins with a rescue code of which no server has been told.
    pub uses: Vec<RescueUse>,
}

/// A login with a rescue code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescueUse {
    /// The login name.
    pub user: String,
    /// The uid that the name has on the host.
    pub uid: u32,
    /// `PAM_SERVICE`
    pub service: String,
    /// When, as the host has it, in seconds since 1970.
    pub at: i64,
}

/// The hashes of a host's rescue codes: Argon2id (RFC 9106) of 16 characters, with the salt and the host's id behind it as salt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescueHashes {
    /// The number of the set.
    pub number: i64,
    /// The salt.
    pub salt: [u8; 16],
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// The hashes.
    pub digests: Vec<[u8; 32]>,
}

/// The answer to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberAnswer {
    /// It is a host of the fleet.
    Member {
        /// Where servers are.
        servers: Vec<String>,
        /// Its new certificate, as PEM, if it asked for one.
        certificate: Option<String>,
    },
    /// It is none, and why.
    Refused(String),
    /// Names and user IDs on record.
    People(Vec<(String, u32)>),
    /// Its rescue codes.
    Rescue {
        /// The number of the set that the servers know it to have: any older one is over.
        confirmed: Option<i64>,
        /// The set that it is to have as well, until it has said that it has it.
        next: Option<RescueHashes>,
    },
    /// The certificate authorities of the fleet; `None`: those that the host knows.
    Authorities(Option<FleetAuthorities>),
}

/// The certificate authorities of a fleet, when they are rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetAuthorities {
    /// Each change has a greater one.
    pub version: i64,
    /// Those for servers, all of which the host is to trust and no other, as PEM.
    pub servers: String,
    /// The one for hosts that is to sign the host's certificate, as PEM; `None`: any.
    pub hosts: Option<String>,
    /// Over how many seconds hosts are to spread asking for a certificate of it.
    pub spread: u32,
}

/// From a server that joins: all that it sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerJoinRequest {
    /// What shows that it has the token, and tells nothing of the token's secret: see [`crate::token::proof`].
    pub proof: Secret,
}

/// The answer to a server that joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerJoinAnswer {
    /// It is a server of the fleet.
    Joined(Box<ServerAdmission>),
    /// It is not, and why.
    Refused(String),
}

/// What makes a machine a server of the fleet; certificates and keys as PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAdmission {
    /// The fleet's id.
    pub fleet: String,
    /// Its own id.
    pub id: String,
    /// The name that the administrator gave it.
    pub name: String,
    /// Where hosts reach it.
    pub addresses: Vec<String>,
    /// The root.
    pub root: String,
    /// The authority for servers.
    pub servers: String,
    /// The authority for hosts.
    pub hosts: String,
    /// The key of the authority for hosts.
    pub hosts_key: Secret,
    /// Its own certificate and key, sealed with the secret of its token.
    pub package: Vec<u8>,
    /// What seals the secrets in the store: numbers, and 32 bytes in hexadecimal digits.
    pub sealing_keys: Vec<(u32, Secret)>,
}

impl FromHost {
    /// A [`Self::LoginFrom`] as a [`Self::Login`] and what it says of the device; other messages as they are.
    pub fn without_device(self) -> (Self, Option<DeviceClaim>) {
        match self {
            Self::LoginFrom(login, device) => (Self::Login(login), Some(device)),
            other => (other, None),
        }
    }

    /// The kind of this message.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Login(_)
            | Self::LoginFrom(..)
            | Self::Policy { .. }
            | Self::Resume(_)
            | Self::Own(_) => MessageKind::Open,
            Self::Answer(_) => MessageKind::Answer,
        }
    }
}

impl FromServer {
    /// The kind of this message.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Accepted(_) => MessageKind::Accepted,
            Self::Prompt { .. } => MessageKind::Prompt,
            Self::Info(_) => MessageKind::Info,
            Self::Error(_) => MessageKind::Error,
            Self::Done { .. } | Self::Policy { .. } | Self::Own(_) => MessageKind::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        number: 7,
        at: 3,
        value: *b"mmmmmmmmmmmmmmmm",
    };

    fn bytes(message: &impl Serialize) -> Vec<u8> {
        postcard::to_stdvec(message).unwrap()
    }

    /// A host of this version may meet a server of the next, so a change of these bytes needs a new protocol number.
    #[test]
    fn the_messages_of_twofa_1_are_these_bytes() {
        let login = HostLogin {
            conversation: *b"0123456789abcdef",
            is_again: false,
            deadline: 15_000,
            user: "al".into(),
            uid: 1000,
            asked_by: 0,
            service: "sshd".into(),
            is_sshd: true,
            remote_host: Some("::1".into()),
            remote_user: None,
            terminal: Some("ssh".into()),
            first_factor: FirstFactor::Shown,
            behind_password: false,
            is_account: true,
            may_ask: false,
            cannot_answer: true,
            version: "0.1".into(),
            seen: Some(MARK),
        };
        let expected =
            b"\x000123456789abcdef\0\x98\x75\x02al\xe8\x07\0\x04sshd\x01\x01\x03::1\0\x01\x03ssh\x01\0\x01\0\x01\x030.1\x01\x07\x06mmmmmmmmmmmmmmmm";
        assert_eq!(bytes(&FromHost::Login(login)), expected);
        assert_eq!(bytes(&FromServer::Accepted(None)), b"\0\0");
        assert_eq!(
            bytes(&FromServer::Accepted(Some(MARK))),
            b"\0\x01\x07\x06mmmmmmmmmmmmmmmm"
        );
        let answer = HostAnswer {
            conversation: *b"0123456789abcdef",
            number: 2,
            deadline: 1,
            answer: Some("123456".into()),
        };
        let sent = b"\x010123456789abcdef\x02\x01\x01\x06123456";
        assert_eq!(bytes(&FromHost::Answer(answer.clone())), sent);
        assert_eq!(bytes(&FromHost::Resume(answer))[0], 3);
        let prompt = FromServer::Prompt {
            text: "Code: ".into(),
            echo: true,
            digits_behind_password: Some(6),
            link: None,
        };
        assert_eq!(bytes(&prompt), b"\x01\x06Code: \x01\x01\x06\0");
    }

    #[test]
    fn the_verdicts_and_the_other_messages_of_twofa_1_are_these_bytes() {
        for (number, verdict) in [
            Verdict::Passed,
            Verdict::NotRequired,
            Verdict::Exempt,
            Verdict::Later,
            Verdict::Denied,
            Verdict::TriesUsedUp,
            Verdict::Unavailable,
            Verdict::NoAnswer,
            Verdict::Trusted,
        ]
        .into_iter()
        .enumerate()
        {
            let done = FromServer::Done {
                verdict,
                why: "so".into(),
            };
            let number = u8::try_from(number).unwrap();
            assert_eq!(bytes(&done), [4, number, 2, b's', b'o']);
        }
        let join = JoinRequest {
            secret: "S".into(),
            request: vec![7],
        };
        assert_eq!(bytes(&join), b"\x01S\x01\x07");
    }

    #[test]
    fn what_twofa_2_has_of_devices_are_these_bytes() {
        let (boot, id) = ("b".to_owned(), "c1".to_owned());
        let claim = DeviceClaim {
            ssh_auth_info: Some("k".into()),
            is_from_this_machine: true,
            session: Some(SessionClaim { boot, id, start: 1 }),
            terminal: Some(TerminalClaim {
                uid: 2,
                boot: "b".into(),
                device: 3,
                leader: 4,
                start: 5,
            }),
            password: Some([b'p'; 32]),
            at_most: 6,
            only_if_asked: true,
            is_for_fleet: false,
        };
        let sent = b"\x01\x01k\x01\x01\x01b\x02c1\x01\x01\x02\x01b\x03\x04\x05\x01pppppppppppppppppppppppppppppppp\x06\x01\0";
        assert_eq!(bytes(&claim), sent);
        let login = HostLogin::default();
        let expected = [&[5][..], &bytes(&login), sent].concat();
        assert_eq!(bytes(&FromHost::LoginFrom(login, claim)), expected);
    }

    #[test]
    fn the_messages_about_people_are_these_bytes() {
        assert_eq!(bytes(&MemberRequest::People), [2]);
        assert_eq!(bytes(&MemberRequest::Authorities { known: 3 }), [4, 6]);
        assert_eq!(bytes(&MemberAnswer::Authorities(None)), [4, 0]);
        let authorities = MemberAnswer::Authorities(Some(FleetAuthorities {
            version: 3,
            servers: "s".to_owned(),
            hosts: Some("h".to_owned()),
            spread: 4,
        }));
        assert_eq!(bytes(&authorities), [4, 1, 6, 1, b's', 1, 1, b'h', 4]);
        let people = MemberAnswer::People(vec![("al".to_owned(), 1000)]);
        assert_eq!(bytes(&people), [2, 1, 2, b'a', b'l', 0xe8, 7]);
    }

    #[test]
    fn the_messages_about_rescue_codes_are_these_bytes() {
        let report = RescueReport {
            held: Some(3),
            is_used: true,
            is_locked: false,
            uses: vec![RescueUse {
                user: "al".into(),
                uid: 0,
                service: "su".into(),
                at: 4,
            }],
        };
        let sent = b"\x03\x01\x06\x01\0\x01\x02al\0\x02su\x08";
        assert_eq!(bytes(&MemberRequest::Rescue(report)), sent);
        let next = RescueHashes {
            number: 4,
            salt: *b"0123456789abcdef",
            memory_kib: 4096,
            passes: 2,
            digests: vec![*b"01234567890123456789012345678901"],
        };
        let answer = MemberAnswer::Rescue {
            confirmed: Some(3),
            next: Some(next),
        };
        let sent =
            b"\x03\x01\x06\x01\x080123456789abcdef\x80\x20\x02\x0101234567890123456789012345678901";
        assert_eq!(bytes(&answer), sent);
    }

    #[test]
    fn the_messages_about_the_policy_are_these_bytes() {
        assert_eq!(bytes(&FromHost::Policy { known: 3 }), [2, 6]);
        let policy = FromServer::Policy {
            version: 3,
            at: 4,
            signed: Some("p".into()),
        };
        assert_eq!(bytes(&policy), [5, 6, 8, 1, 1, b'p']);
    }

    #[test]
    fn the_messages_about_ones_own_record_are_these_bytes() {
        let request = |act| HostRequest {
            conversation: *b"0123456789abcdef",
            deadline: 1,
            user: "al".into(),
            uid: 1000,
            act,
            version: "0.1".into(),
            seen: None,
        };
        let before = b"\x040123456789abcdef\x01\x02al\xe8\x07";
        let app = OwnAct::EnrolApp {
            label: None,
            counter: false,
            algorithm: "SHA1".into(),
            digits: 6,
            period: 30,
        };
        let set = OwnAct::Set {
            verify: None,
            email: Some("a@b".into()),
            phone: None,
            prefer: None,
        };
        let (method, address) = ("sms".to_owned(), None);
        for (act, sent) in [
            (OwnAct::Show, &b"\0"[..]),
            (app, b"\x01\0\0\x04SHA1\x06\x1e"),
            (OwnAct::EnrolAddress { method, address }, b"\x02\x03sms\0"),
            (OwnAct::Remove { method: "x".into() }, b"\x03\x01x"),
            (set, b"\x04\0\x01\x03a@b\0\0"),
            (OwnAct::NewBackupCodes, b"\x05"),
        ] {
            let expected = [&before[..], sent, b"\x030.1\0"].concat();
            assert_eq!(bytes(&FromHost::Own(request(act))), expected);
        }
        let record = FromServer::Own(OwnEnd::Record("{}".into()));
        assert_eq!(bytes(&record), b"\x06\0\x02{}");
        assert_eq!(bytes(&FromServer::Own(OwnEnd::Changed)), [6, 1]);
        let failed = FromServer::Own(OwnEnd::Failed {
            failure: Failure::Denied,
            message: "m".into(),
            hint: None,
        });
        assert_eq!(bytes(&failed), [6, 2, 4, 1, b'm', 0]);
    }

    #[test]
    fn the_messages_of_twofa_watch_1_are_these_bytes() {
        let id = *b"0123456789abcdef";
        let report = WatchReport {
            begun: vec![(id, 3)],
            ended: vec![id],
            done: vec![4],
        };
        let sent = b"\0\x010123456789abcdef\x06\x010123456789abcdef\x01\x08";
        assert_eq!(bytes(&FromWatcher::Report(report)), sent);
        let wait = FromWatcher::Wait {
            policy: 3,
            version: "0.1".into(),
        };
        assert_eq!(bytes(&wait), b"\x01\x06\x030.1");
        let noted = ToWatcher::Noted {
            sessions: vec![id],
            orders: vec![4],
        };
        assert_eq!(bytes(&noted), b"\0\x010123456789abcdef\x01\x08");
        let conversations = vec![id];
        let news = ToWatcher::News {
            policy: 3,
            orders: vec![EndOrder {
                id: 4,
                conversations,
            }],
        };
        assert_eq!(bytes(&news), b"\x01\x06\x01\x08\x010123456789abcdef");
        assert_eq!(bytes(&ToWatcher::Refused("no".into())), b"\x02\x02no");
    }

    #[test]
    fn no_message_prints_a_secret() {
        let messages = [
            format!(
                "{:?}",
                FromHost::Answer(HostAnswer {
                    conversation: [0; 16],
                    number: 1,
                    deadline: 0,
                    answer: Some("943287".into()),
                })
            ),
            format!("{:?}", FromServer::Info("943287".into())),
            format!(
                "{:?}",
                JoinRequest {
                    secret: "943287".into(),
                    request: Vec::new()
                }
            ),
        ];
        for message in messages {
            assert!(!message.contains("943287"), "{message}");
        }
    }
}
