//! Exemptions: who is not asked for a second factor, why and until when.

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use twofa_core::Timestamp;
use twofa_core::duration::Duration;
use twofa_core::exemption::{Exemption, Subject};
use twofa_core::text::is_unprintable;
use twofa_store::StoredExemption;

use super::{AdminError, Administration};
use crate::identity::accounts;

/// So many characters a reason has at most.
const LONGEST_REASON: usize = 200;

/// An exemption that somebody wants to grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExemptionRequest {
    /// Who is to be exempt.
    pub subject: SubjectName,
    /// Why: 1 to 200 visible characters.
    pub reason: String,
    /// When it ends; `None`: never.
    pub until: Option<Timestamp>,
    /// Only from addresses in this network.
    pub network: Option<IpNet>,
    /// Only at this PAM service.
    pub service: Option<String>,
}

/// Who is to be exempt, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectName {
    /// The user with this login name.
    User(String),
    /// The members of this Unix group, as they are at each login.
    Group(String),
}

/// Why a text is no end of an exemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEnd {
    /// It cannot be read.
    #[error("that is neither a date nor a length of time")]
    Unreadable,
    /// The calendar has no such day, or time ends before it.
    #[error("there is no such day")]
    NoSuchDay,
    /// It is not in the future.
    #[error("that date has passed")]
    Passed,
}

/// The moment that `text` means: the end of a day in `zone` (`2027-06-30`), a length of time from `now` (`30d`), or
/// `never`.
pub fn read_end(text: &str, now: Timestamp, zone: TimeZone) -> Result<Option<Timestamp>, BadEnd> {
    if text == "never" {
        return Ok(None);
    }
    let end = if let Ok(duration) = text.parse::<Duration>() {
        now.after(duration.seconds())
    } else {
        let day: Date = text.parse().map_err(|_| BadEnd::Unreadable)?;
        let next = day.tomorrow().and_then(|next| next.to_zoned(zone));
        let next = next.map_err(|_| BadEnd::NoSuchDay)?;
        Timestamp::from_unix(next.timestamp().as_second())
    };
    if end <= now {
        Err(BadEnd::Passed)
    } else {
        Ok(Some(end))
    }
}

impl Administration {
    /// Every exemption, those that have ended too, in the order in which they were granted.
    pub fn exemptions(&self) -> Result<Vec<StoredExemption>, AdminError> {
        Ok(self.store().exemptions()?)
    }

    /// Grants an exemption, and returns its number.
    pub fn grant_exemption(&self, request: &ExemptionRequest) -> Result<i64, AdminError> {
        let (reason, service) = (request.reason.trim(), request.service.as_deref());
        check_reason(reason)?;
        check_service(service)?;
        let now = self.now();
        let exemption = Exemption {
            subject: find_subject(&request.subject)?,
            network: request.network,
            service: service.map(str::to_owned),
            reason: reason.to_owned(),
            granted_by: self.login_uid.unwrap_or(0),
            granted_at: now,
            until: request.until,
        };
        Ok(self.store().grant(&exemption, &self.origin(), now)?)
    }

    /// Ends the exemption number `id`, and returns what it was.
    pub fn end_exemption(&self, id: i64) -> Result<Exemption, AdminError> {
        let ended = self
            .store()
            .revoke_exemption(id, &self.origin(), self.now())?;
        ended.ok_or(AdminError::NoExemption(id))
    }
}

fn find_subject(name: &SubjectName) -> Result<Subject, AdminError> {
    Ok(match name {
        SubjectName::User(name) => {
            Subject::User(accounts::find(name)?.ok_or_else(|| AdminError::NoAccount(name.clone()))?)
        }
        SubjectName::Group(name) => {
            Subject::Group(accounts::group(name)?.ok_or_else(|| AdminError::NoGroup(name.clone()))?)
        }
    })
}

fn check_reason(reason: &str) -> Result<(), AdminError> {
    let is_good = !reason.is_empty()
        && !reason.chars().any(is_unprintable)
        && reason.chars().count() <= LONGEST_REASON;
    is_good.then_some(()).ok_or(AdminError::BadReason)
}

fn check_service(service: Option<&str>) -> Result<(), AdminError> {
    let is_bad = |service: &str| service.trim().is_empty() || service.chars().any(is_unprintable);
    if service.is_some_and(is_bad) {
        return Err(AdminError::BadService);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::Bench;

    #[test]
    fn an_end_is_a_day_a_length_of_time_or_never() {
        let now = Timestamp::from_unix(1_800_000_000); // 2027-01-15
        let end = |text| read_end(text, now, TimeZone::UTC);
        assert_eq!(end("never"), Ok(None));
        assert_eq!(end("30d"), Ok(Some(now.after(30 * 86_400))));
        // The last second of the day is still covered.
        assert_eq!(
            end("2027-06-30"),
            Ok(Some(Timestamp::from_unix(1_814_400_000)))
        );
        for (text, why) in [
            ("", BadEnd::Unreadable),
            ("soon", BadEnd::Unreadable),
            ("Never", BadEnd::Unreadable),
            ("2027-02-30", BadEnd::Unreadable),
            ("0", BadEnd::Passed),
            ("2026-01-01", BadEnd::Passed),
        ] {
            assert_eq!(end(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_reason_and_a_service_can_be_read_by_people() {
        let long = "x".repeat(LONGEST_REASON + 1);
        for reason in ["", "a\nb", &long] {
            assert!(check_reason(reason).is_err(), "{reason:?}");
        }
        assert!(check_reason("nightly copies").is_ok());
        assert!(check_service(Some(" ")).is_err() && check_service(Some("sshd")).is_ok());
        assert!(check_service(None).is_ok());
    }

    fn request(subject: SubjectName) -> ExemptionRequest {
        ExemptionRequest {
            subject,
            reason: " nightly copies ".into(),
            until: None,
            network: None,
            service: None,
        }
    }

    #[test]
    fn an_exemption_is_granted_by_name_listed_and_ended() {
        let bench = Bench::new();
        let id = bench
            .grant_exemption(&request(SubjectName::User("root".into())))
            .unwrap();
        let [stored] = bench.exemptions().unwrap().try_into().unwrap();
        assert_eq!((stored.id, stored.exemption.granted_by), (id, 1000));
        assert_eq!(bench.end_exemption(id).unwrap().reason, "nightly copies");
        assert!(matches!(
            bench.end_exemption(id),
            Err(AdminError::NoExemption(gone)) if gone == id
        ));
    }

    #[test]
    fn no_exemption_is_granted_under_a_name_that_does_not_exist() {
        let bench = Bench::new();
        let name = "no-such-name".to_owned();
        assert!(matches!(
            bench.grant_exemption(&request(SubjectName::User(name.clone()))),
            Err(AdminError::NoAccount(_))
        ));
        assert!(matches!(
            bench.grant_exemption(&request(SubjectName::Group(name))),
            Err(AdminError::NoGroup(_))
        ));
        assert_eq!(bench.exemptions().unwrap(), []);
    }
}
