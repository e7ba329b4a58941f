//! Who may ask the broker for what.
//!
//! Authority comes from the uid of the peer, which the kernel reports (`SO_PEERCRED`), never from the message
//! (GHSA-6gp8-pp9v-gx45, himmelblau: any local user could enrol for anyone over the socket).

use twofa_core::Account;
use twofa_proto::Request;

/// The process at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective uid at the time it connected.
    pub uid: u32,
    /// The uid of the person who logged in and became root since, as root's program said; `None`: it is not known.
    pub login_uid: Option<u32>,
}

/// How the peer is related to the account it asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Root,
    Owner,
    Other,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Authenticate a login, or say whether one needs a second factor.
    Login,
    /// Report the beginning or end of a login session, or a new password.
    Report,
    /// Read a record.
    Read,
    /// End the trust in devices, which lets nobody in.
    EndTrust,
    /// Change a record.
    Change,
}

/// Whether a request is permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// The request is served at once.
    Granted,
    /// It is served after a fresh code of an enrolled method, if there is one.
    AfterCode,
    /// The request is not served.
    Refused,
}

/// Every combination that is permitted; all others are refused.
const PERMISSIONS: [(Act, Relation, Permission); 9] = [
    (Act::Login, Relation::Root, Permission::Granted),
    (Act::Login, Relation::Owner, Permission::Granted),
    (Act::Report, Relation::Root, Permission::Granted),
    (Act::Read, Relation::Root, Permission::Granted),
    (Act::Read, Relation::Owner, Permission::Granted),
    (Act::EndTrust, Relation::Root, Permission::Granted),
    (Act::EndTrust, Relation::Owner, Permission::Granted),
    (Act::Change, Relation::Root, Permission::Granted),
    (Act::Change, Relation::Owner, Permission::AfterCode),
];

impl Peer {
    /// Root, as on a command line that opens the store itself.
    pub const ROOT: Self = Self::new(0);

    /// The process of `uid`, about which no more is known.
    pub const fn new(uid: u32) -> Self {
        Self {
            uid,
            login_uid: None,
        }
    }

    /// The same process, which says that the person logged in as `login_uid`. Only root is believed.
    #[must_use]
    pub const fn with_login_uid(self, login_uid: Option<u32>) -> Self {
        Self {
            login_uid: if self.is_root() { login_uid } else { None },
            ..self
        }
    }

    /// Whether this is root.
    pub const fn is_root(self) -> bool {
        self.uid == 0
    }

    /// Whether this peer may make `request` about `account`.
    pub fn may(self, request: &Request, account: &Account) -> Permission {
        let relation = match self.uid {
            0 => Relation::Root,
            uid if uid == account.uid => Relation::Owner,
            _ => Relation::Other,
        };
        let act = match request {
            Request::Login(_) | Request::Account(_) => Act::Login,
            Request::OpenSession(_)
            | Request::CloseSession { .. }
            | Request::PasswordChanged { .. } => Act::Report,
            Request::Status { .. } | Request::Devices { .. } | Request::Sessions { .. } => {
                Act::Read
            }
            Request::RevokeDevices { .. } => Act::EndTrust,
            Request::EnrolApp { .. }
            | Request::EnrolAddress { .. }
            | Request::EnrolSecurityKey { .. }
            | Request::Remove { .. }
            | Request::Set { .. }
            | Request::NewBackupCodes { .. } => Act::Change,
        };
        let row = PERMISSIONS
            .iter()
            .find(|(a, r, _)| (*a, *r) == (act, relation));
        row.map_or(Permission::Refused, |(_, _, permission)| *permission)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use twofa_proto::{AppRequest, Login, SessionProcess, SessionStart};

    pub(in crate::identity) fn requests() -> Vec<Request> {
        let user = || "alice".to_owned();
        let app = AppRequest {
            label: None,
            counter: false,
            algorithm: "SHA1".into(),
            digits: 6,
            period: 30,
        };
        vec![
            Request::Login(Login {
                user: user(),
                ..Login::default()
            }),
            Request::Account(Login {
                user: user(),
                ..Login::default()
            }),
            Request::Status { user: user() },
            Request::EnrolApp { user: user(), app },
            Request::EnrolSecurityKey {
                user: user(),
                label: None,
                key: None,
            },
            Request::EnrolAddress {
                user: user(),
                method: "email".into(),
                address: None,
            },
            Request::Remove {
                user: user(),
                method: "phone".into(),
            },
            Request::Set {
                user: user(),
                verify: Some("never".into()),
                email: None,
                phone: None,
                prefer: None,
                attested: false,
            },
            Request::NewBackupCodes { user: user() },
            Request::Devices { user: user() },
            Request::RevokeDevices {
                user: user(),
                id: None,
            },
            Request::Sessions {
                user: user(),
                after: 0,
            },
        ]
    }

    /// What only root's module says.
    pub(in crate::identity) fn reports() -> Vec<Request> {
        let user = || "alice".to_owned();
        vec![
            Request::OpenSession(SessionStart {
                user: user(),
                ..SessionStart::default()
            }),
            Request::CloseSession {
                user: user(),
                process: SessionProcess::default(),
            },
            Request::PasswordChanged {
                user: user(),
                service: "passwd".into(),
                login_uid: None,
            },
        ]
    }

    #[test]
    fn a_stranger_is_refused_everything() {
        let alice = Account {
            name: "alice".into(),
            uid: 1000,
        };
        for request in requests().into_iter().chain(reports()) {
            assert_eq!(
                Peer::new(1001).may(&request, &alice),
                Permission::Refused,
                "{request:?}"
            );
        }
    }

    #[test]
    fn only_root_is_believed_who_logged_in() {
        let told = |uid| Peer::new(uid).with_login_uid(Some(1001)).login_uid;
        assert_eq!((told(0), told(1000)), (Some(1001), None));
    }

    #[test]
    fn owners_change_nothing_without_a_code_except_to_end_trust() {
        use Permission::{AfterCode, Granted, Refused};
        let alice = Account {
            name: "alice".into(),
            uid: 1000,
        };
        let permissions: Vec<_> = requests()
            .iter()
            .map(|r| Peer::new(1000).may(r, &alice))
            .collect();
        assert_eq!(
            permissions,
            [
                Granted, Granted, Granted, AfterCode, AfterCode, AfterCode, AfterCode, AfterCode,
                AfterCode, Granted, Granted, Granted
            ]
        );
        for report in reports() {
            assert_eq!(Peer::new(1000).may(&report, &alice), Refused);
        }
    }

    #[test]
    fn root_may_do_everything() {
        let alice = Account {
            name: "alice".into(),
            uid: 1000,
        };
        assert!(
            requests()
                .iter()
                .chain(&reports())
                .all(|r| Peer::ROOT.may(r, &alice) == Permission::Granted)
        );
    }
}
