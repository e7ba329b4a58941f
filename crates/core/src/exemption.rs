//! Exemptions, for accounts whose prompts nobody can answer.
//!
//! PCI DSS 4.0.1 §8.5.1: bypassing the second factor must be documented, authorised and limited in time. So an exemption
//! always says why, by whom and until when.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::account::Account;
use crate::group::{Group, Membership};
use crate::time::Timestamp;

/// Who is exempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One account. It does not pass to an account that is created again with another uid.
    User(Account),
    /// The members of a Unix group.
    Group(Group),
}

/// An exemption from the second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// The account or group that is exempt.
    pub subject: Subject,
    /// The network that logins must come from; `None`: any.
    pub network: Option<IpNet>,
    /// The PAM service that it is limited to; `None`: any.
    pub service: Option<String>,
    /// The administrator's reason.
    pub reason: String,
    /// The uid of the administrator who granted it.
    pub granted_by: u32,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it ends; `None`: never, as the administrator wrote explicitly.
    pub until: Option<Timestamp>,
}

/// Where a login comes from, as far as it is trustworthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginSource<'a> {
    /// The PAM service; `None`: the caller could claim any.
    pub service: Option<&'a str>,
    /// The client's numeric address, never a name (CVE-2024-10963, pam_access); `None`: there is none, or the caller could
    /// claim any.
    pub address: Option<IpAddr>,
    /// Whether sshd asks, as root's module sees it. Its service can have any name.
    pub is_sshd: bool,
}

impl Exemption {
    /// Whether it has not ended at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it is limited to no network and no service.
    pub const fn is_general(&self) -> bool {
        self.network.is_none() && self.service.is_none()
    }

    /// Whether it applies to a login from `source`.
    pub fn fits(&self, source: LoginSource<'_>) -> bool {
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

/// Whether `address` is in `network`. An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) counts as the IPv4 address, and a
/// network of such addresses as one of IPv4 addresses.
pub fn contains(network: IpNet, address: IpAddr) -> bool {
    canonical(network).contains(&address.to_canonical())
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn canonical(network: IpNet) -> IpNet {
    let length = network.prefix_len().checked_sub(96);
    match (network.addr().to_canonical(), network, length) {
        (IpAddr::V4(address), IpNet::V6(_), Some(length)) => {
            Ipv4Net::new(address, length).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

/// The first of `exemptions` that covers a login of `account` from `source` at `now`. `membership` says whether the account
/// is a member of a group; where that is unknown, a group's exemption covers nobody.
pub fn find_covering<'a>(
    exemptions: &'a [Exemption],
    account: &Account,
    source: LoginSource<'_>,
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
    use crate::address::parse_address;

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

    fn from<'a>(service: &'a str, address: &str) -> LoginSource<'a> {
        LoginSource {
            service: Some(service),
            address: address.parse().ok(),
            is_sshd: false,
        }
    }

    fn covers(
        exemption: Exemption,
        account: &Account,
        source: LoginSource<'_>,
        now: Timestamp,
    ) -> bool {
        let membership = |group: &Group| match group.name.as_str() {
            "robots" => Membership::Member,
            "unknown" => Membership::Unknown,
            _ => Membership::NotMember,
        };
        find_covering(&[exemption], account, source, now, membership).is_some()
    }

    #[test]
    fn an_exemption_is_not_in_force_after_its_end() {
        assert!(covers(
            exemption(),
            &backup(),
            LoginSource::default(),
            NOW.after(59)
        ));
        assert!(!covers(
            exemption(),
            &backup(),
            LoginSource::default(),
            NOW.after(60)
        ));
    }

    #[test]
    fn an_exemption_is_for_its_account_and_not_for_one_that_was_created_again() {
        assert!(!covers(
            exemption(),
            &Account {
                uid: 901,
                ..backup()
            },
            LoginSource::default(),
            NOW
        ));
        assert!(!covers(
            exemption(),
            &Account {
                name: "alice".into(),
                uid: 900
            },
            LoginSource::default(),
            NOW
        ));
    }

    #[test]
    fn an_exemption_of_a_group_is_for_its_members() {
        let group = |name: &str| Exemption {
            subject: Subject::Group(Group::called(name)),
            ..exemption()
        };
        assert!(covers(
            group("robots"),
            &backup(),
            LoginSource::default(),
            NOW
        ));
        assert!(!covers(
            group("people"),
            &backup(),
            LoginSource::default(),
            NOW
        ));
    }

    #[test]
    fn an_unknown_membership_exempts_nobody() {
        let unknown = Exemption {
            subject: Subject::Group(Group::called("unknown")),
            ..exemption()
        };
        assert!(!covers(unknown, &backup(), LoginSource::default(), NOW));
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
    fn a_network_fits_its_addresses_however_they_are_written() {
        for (network, address, expected) in [
            ("fe80::/10", "fe80::1%eth0", true),
            ("fe80::/10", "[FE80::1%eth0]", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "11.0.0.1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("10.0.0.0/8", "10.0.0.1.", false),
        ] {
            let exemption = Exemption {
                network: Some(network.parse().unwrap()),
                ..exemption()
            };
            let source = LoginSource {
                service: None,
                address: parse_address(address),
                is_sshd: false,
            };
            assert_eq!(exemption.fits(source), expected, "{network} {address}");
        }
    }

    #[test]
    fn a_service_must_match_exactly() {
        let sshd = Exemption {
            service: Some("sshd".into()),
            ..exemption()
        };
        assert!(covers(sshd.clone(), &backup(), from("sshd", ""), NOW));
        assert!(!covers(sshd.clone(), &backup(), from("su", ""), NOW));
        assert!(!covers(sshd, &backup(), LoginSource::default(), NOW));
    }
}
