//! What a host of the fleet may have done on its word.
//!
//! A host's word is good for one login on that host. Root there administers nothing here: whether its program runs as root is
//! a claim like any other, and is used only to describe the login. Users see their own record, without addresses, and change
//! it with a code.

use twofa_proto::Request;
use twofa_store::event::FleetHost;
use twofa_store::{AnswerVerdict, Answering, Host, HostRights};

use super::authority::{Peer, Permission};

/// A host of the fleet that relays a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayedPeer {
    /// The name that an administrator gave it.
    pub name: String,
    /// SHA-256 of the public key of the certificate with which it connected.
    pub key: [u8; 32],
    /// What it may do.
    pub rights: HostRights,
    /// The uid that the program on the host has, as the host says.
    pub asked_by: u32,
    /// The answer with which a conversation on record goes on; `None`: the login begins, or is held by this process.
    pub turn: Option<AnswerTurn>,
}

/// An answer in a conversation on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerTurn {
    /// The answer.
    pub answering: Answering,
    /// The verdict on it, if it was verified before.
    pub verdict: Option<AnswerVerdict>,
    /// Whether an earlier answer was wrong: then the login is on record as refused.
    pub has_failed: bool,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Have somebody logged in on the host.
    Login,
    /// Set up a first method, or a new one in the place of one that is no longer allowed, within a login.
    SetUp,
    /// Show people their own record.
    ReadOwn,
    /// Have people change it, which takes a code that this server verifies.
    ChangeOwn,
    /// Anything else: devices, sessions, passwords, keys that a host reports, and all that root would do.
    Other,
}

/// Every combination that is permitted, with whether it takes [`HostRights::may_enrol`]; all others are refused.
const PERMISSIONS: [(Act, bool); 4] = [
    (Act::Login, false),
    (Act::SetUp, true),
    (Act::ReadOwn, false),
    (Act::ChangeOwn, false),
];

impl RelayedPeer {
    /// The `host` whose certificate has `key`, for a program of `asked_by`.
    pub fn new(host: Host, key: [u8; 32], asked_by: u32) -> Self {
        let Host { name, rights, .. } = host;
        Self {
            name,
            key,
            rights,
            asked_by,
            turn: None,
        }
    }

    /// The same host in the middle of a conversation.
    #[must_use]
    pub fn at(self, turn: AnswerTurn) -> Self {
        let turn = Some(turn);
        Self { turn, ..self }
    }

    /// The same host, where the answer proves the person and a right one lets nobody in.
    #[must_use]
    pub fn going_on(mut self) -> Self {
        if let Some(turn) = &mut self.turn {
            turn.answering.goes_on = true;
        }
        self
    }

    /// Whether it may make this request. The account is of no account: it may be asked about anyone who logs in there. A host
    /// that is limited to services has logins at these and nothing else.
    pub fn may(&self, request: &Request) -> Permission {
        let (act, service) = match request {
            Request::Login(login) | Request::Account(login) => (Act::Login, Some(&login.service)),
            _ if self.asked_by == 0 => (Act::Other, None),
            Request::Status { .. } => (Act::ReadOwn, None),
            Request::EnrolApp { .. }
            | Request::EnrolAddress { .. }
            | Request::Remove { .. }
            | Request::Set { .. }
            | Request::NewBackupCodes { .. } => (Act::ChangeOwn, None),
            Request::EnrolSecurityKey { .. }
            | Request::Devices { .. }
            | Request::RevokeDevices { .. }
            | Request::OpenSession(_)
            | Request::CloseSession { .. }
            | Request::PasswordChanged { .. }
            | Request::Sessions { .. } => (Act::Other, None),
        };
        let services = &self.rights.services;
        let is_its_service =
            services.is_empty() || service.is_some_and(|service| services.contains(service));
        if is_its_service && self.is_permitted(act) {
            Permission::Granted
        } else {
            Permission::Refused
        }
    }

    /// Whether people may set up a method in a login there.
    pub fn may_set_up(&self) -> bool {
        self.is_permitted(Act::SetUp)
    }

    fn is_permitted(&self, act: Act) -> bool {
        let row = PERMISSIONS.iter().find(|(permitted, _)| *permitted == act);
        row.is_some_and(|(_, takes_right)| self.rights.may_enrol || !takes_right)
    }

    /// The host, for the log; nothing is changed for it unless its key is in force at that moment.
    pub fn origin(&self) -> FleetHost {
        let answering = self.turn.as_ref().map(|turn| turn.answering);
        FleetHost::connected(self.name.clone(), self.key).answering(answering)
    }
}

/// Who asks about a login.
#[derive(Debug, Clone, Copy)]
pub enum Asker<'a> {
    /// A process of this machine.
    Process(Peer),
    /// A host of the fleet.
    Host(&'a RelayedPeer),
}

impl<'a> Asker<'a> {
    /// The answer with which a conversation on record goes on.
    pub const fn turn(self) -> Option<&'a AnswerTurn> {
        match self {
            Self::Process(_) => None,
            Self::Host(host) => host.turn.as_ref(),
        }
    }
}

impl Asker<'_> {
    /// The process, as far as it is root's of this machine. What a host says of its devices, keys and tickets counts for nothing.
    pub const fn is_root_here(self) -> bool {
        match self {
            Self::Process(peer) => peer.is_root(),
            Self::Host(_) => false,
        }
    }

    /// Whether a program that runs as root asks, here or on the host. Only such a program's refusals are recorded: a user
    /// can ask about themselves as often as they like.
    pub const fn is_root(self) -> bool {
        match self {
            Self::Process(peer) => peer.is_root(),
            Self::Host(host) => host.asked_by == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::authority::tests::{reports, requests};
    use super::*;

    fn host(may_enrol: bool, services: &[&str]) -> RelayedPeer {
        RelayedPeer {
            name: "web1".into(),
            key: [0; 32],
            rights: HostRights {
                services: services.iter().map(ToString::to_string).collect(),
                people: None,
                may_enrol,
            },
            asked_by: 0,
            turn: None,
        }
    }

    #[test]
    fn a_host_may_log_people_in_and_for_themselves_they_may_change_their_own_record() {
        for (may_enrol, asked_by, services, expected) in [
            (false, 0, &[][..], 2),
            (true, 0, &[], 2),
            (false, 1000, &[], 8),
            (true, 1000, &[], 8),
            (true, 1000, &["sshd"], 0),
        ] {
            let host = RelayedPeer {
                asked_by,
                ..host(may_enrol, services)
            };
            let granted: Vec<_> = requests()
                .into_iter()
                .chain(reports())
                .filter(|request| host.may(request) != Permission::Refused)
                .collect();
            let is_local = |request: &Request| {
                matches!(
                    request,
                    Request::EnrolSecurityKey { .. }
                        | Request::Devices { .. }
                        | Request::RevokeDevices { .. }
                        | Request::Sessions { .. }
                )
            };
            assert_eq!(granted.len(), expected, "{granted:?}");
            assert!(!granted.iter().any(is_local), "{granted:?}");
        }
    }

    #[test]
    fn a_host_may_be_limited_to_services_and_sets_up_methods_only_with_the_right() {
        let login = |service: &str| {
            Request::Login(twofa_proto::Login {
                user: "alice".into(),
                service: service.into(),
                ..twofa_proto::Login::default()
            })
        };
        let host_of_sshd = host(false, &["sshd"]);
        assert_eq!(host_of_sshd.may(&login("sshd")), Permission::Granted);
        assert_eq!(host_of_sshd.may(&login("sudo")), Permission::Refused);
        assert!(!host(false, &[]).may_set_up() && host(true, &[]).may_set_up());
    }
}
