//! Exemptions: accounts that nobody can answer a prompt for.
//!
//! PCI DSS 4.0.1 §8.5.1: nobody gets past the second factor unless it is documented, authorised and for a
//! limited time. So an exemption always says why, by whom and until when.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::account::Account;
use crate::group::{Group, Membership};
use crate::time::Timestamp;

/// Who is exempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One account; one made anew with another uid is another.
    User(Account),
    /// The members of a Unix group.
    Group(Group),
}

/// An exemption from the second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// Who.
    pub subject: Subject,
    /// Only from addresses in this network.
    pub network: Option<IpNet>,
    /// Only at this PAM service.
    pub service: Option<String>,
    /// Why.
    pub reason: String,
    /// The uid of the administrator who granted it.
    pub granted_by: u32,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it ends; `None` only where somebody wrote `never`.
    pub until: Option<Timestamp>,
}

/// Where a login comes from, as far as it can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Source<'a> {
    /// The PAM service. `None` where the one who says so could say anything.
    pub service: Option<&'a str>,
    /// The numeric address of the client. Never a name (CVE-2024-10963, pam_access).
    pub address: Option<IpAddr>,
}

impl Exemption {
    /// Whether it holds at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it holds wherever the login comes from.
    pub const fn is_general(&self) -> bool {
        self.network.is_none() && self.service.is_none()
    }

    /// Whether it holds for a login from `source`.
    pub fn fits(&self, source: Source<'_>) -> bool {
        let network = self
            .network
            .is_none_or(|network| source.address.is_some_and(|from| contains(network, from)));
        let service = self
            .service
            .as_deref()
            .is_none_or(|service| source.service == Some(service));
        network && service
    }
}

/// Whether `address` is in `network`; an IPv4 address seen through IPv6 (RFC 4291 §2.5.5.2) is itself.
fn contains(network: IpNet, address: IpAddr) -> bool {
    network.contains(&address.to_canonical())
}

/// The exemption that spares `account` the second factor at `now`, from `source`. Whether the account is in a
/// group `membership` tells; one that is not settled spares nobody.
pub fn covering<'a>(
    exemptions: &'a [Exemption],
    account: &Account,
    source: Source<'_>,
    now: Timestamp,
    mut membership: impl FnMut(&Group) -> Membership,
) -> Option<&'a Exemption> {
    let mut possible = exemptions
        .iter()
        .filter(|exemption| exemption.is_in_force(now) && exemption.fits(source));
    possible.find(|exemption| match &exemption.subject {
        Subject::User(exempt) => exempt == account,
        Subject::Group(group) => membership(group) == Membership::Member,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn backup() -> Account {
        Account {
            name: "backup".into(),
            uid: 900,
        }
    }

    fn exemption() -> Exemption {
        Exemption {
            subject: Subject::User(backup()),
            network: None,
            service: None,
            reason: "nightly copies".into(),
            granted_by: 0,
            granted_at: NOW,
            until: Some(NOW.after(60)),
        }
    }

    fn from<'a>(service: &'a str, address: &str) -> Source<'a> {
        Source {
            service: Some(service),
            address: address.parse().ok(),
        }
    }

    fn covers(exemption: Exemption, account: &Account, source: Source<'_>, now: Timestamp) -> bool {
        let membership = |group: &Group| match group.name.as_str() {
            "robots" => Membership::Member,
            "unsettled" => Membership::Unknown,
            _ => Membership::NotMember,
        };
        covering(&[exemption], account, source, now, membership).is_some()
    }

    #[test]
    fn an_exemption_ends_at_its_end() {
        assert!(covers(
            exemption(),
            &backup(),
            Source::default(),
            NOW.after(59)
        ));
        assert!(!covers(
            exemption(),
            &backup(),
            Source::default(),
            NOW.after(60)
        ));
    }

    #[test]
    fn an_exemption_is_for_its_account_and_not_for_one_made_anew() {
        assert!(!covers(
            exemption(),
            &Account {
                uid: 901,
                ..backup()
            },
            Source::default(),
            NOW
        ));
        assert!(!covers(
            exemption(),
            &Account {
                name: "alice".into(),
                uid: 900
            },
            Source::default(),
            NOW
        ));
    }

    #[test]
    fn an_exemption_of_a_group_is_for_its_members() {
        let group = |name: &str| Exemption {
            subject: Subject::Group(Group::called(name)),
            ..exemption()
        };
        assert!(covers(group("robots"), &backup(), Source::default(), NOW));
        assert!(!covers(group("people"), &backup(), Source::default(), NOW));
    }

    #[test]
    fn a_membership_that_is_not_settled_exempts_nobody() {
        let unsettled = Exemption {
            subject: Subject::Group(Group::called("unsettled")),
            ..exemption()
        };
        assert!(!covers(unsettled, &backup(), Source::default(), NOW));
    }

    #[test]
    fn a_network_is_matched_by_number_and_never_by_name() {
        let office = Exemption {
            network: Some("192.0.2.0/24".parse().unwrap()),
            ..exemption()
        };
        for (address, expected) in [
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.3.7", false),
            ("office.example.org", false),
        ] {
            assert_eq!(
                covers(office.clone(), &backup(), from("sshd", address), NOW),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn a_service_must_be_the_very_one() {
        let sshd = Exemption {
            service: Some("sshd".into()),
            ..exemption()
        };
        assert!(covers(sshd.clone(), &backup(), from("sshd", ""), NOW));
        assert!(!covers(sshd.clone(), &backup(), from("su", ""), NOW));
        assert!(!covers(sshd, &backup(), Source::default(), NOW));
    }
}
