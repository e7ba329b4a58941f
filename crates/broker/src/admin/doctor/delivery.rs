//! Whether codes and notices would reach people.

use std::path::PathBuf;

use twofa_core::{Channel, Method, Timestamp};
use twofa_delivery::templates::Templates;
use twofa_delivery::{Catalogue, ConfigDirs, Provider, SendError, first_end};
use twofa_store::{ProviderRecord, Providers, SmsAlarm};

use super::finding::{DeliveryFinding, Finding};
use crate::admin::providers::test::check_all;
use crate::admin::{AdminError, Administration, checks};
use crate::sending::providers::configuration;

/// A notice that has been due for this many seconds is overdue.
const OVERDUE: u64 = 300;

/// A certificate that ends within this many seconds ends soon.
const CERTIFICATE_SOON: u64 = 30 * 86_400;
/// The same of a server's certificate: many are renewed by a program when 30 days are left, or fewer.
const SERVER_CERTIFICATE_SOON: u64 = 14 * 86_400;

/// What is wrong with the providers, their files, and what waits to be sent.
pub(super) fn findings(admin: &Administration) -> Result<Vec<Finding>, AdminError> {
    let dirs = ConfigDirs::default();
    let problems = Templates::load(&dirs.templates).problems();
    let mut findings: Vec<_> = problems.into_iter().map(template).collect();
    let (catalogue, bad) = Catalogue::load(dirs);
    findings.extend(bad.iter().map(|bad| DeliveryFinding::KindLeftOut {
        error: bad.to_string(),
    }));
    let stored = admin.store().providers()?;
    let sealed = stored.broken.iter().cloned();
    findings.extend(sealed.map(|(name, error)| DeliveryFinding::ProviderSealed { name, error }));
    let opened = open(&catalogue, &stored, &mut findings);
    let failed = check_all(&opened).into_iter();
    findings.extend(
        failed.map(|(name, failure)| DeliveryFinding::ProviderFailed {
            name: name.to_owned(),
            failure,
        }),
    );
    findings.extend(certificates(&stored, admin.now()));
    findings.extend(server_certificates(&opened, admin.now()));
    findings.extend(email_is_weak(admin, &stored)?);
    findings.extend(uncarried(admin, &stored)?);
    findings.extend(text_messages(admin, &stored)?);
    findings.extend(overdue(admin)?);
    Ok(findings.into_iter().map(Finding::Delivery).collect())
}

fn template(SendError { reason, hint, .. }: SendError) -> DeliveryFinding {
    DeliveryFinding::Template { reason, hint }
}

/// Opens the providers that are used, and adds findings about those that cannot be.
fn open(
    catalogue: &Catalogue,
    providers: &Providers,
    findings: &mut Vec<DeliveryFinding>,
) -> Vec<(String, Box<dyn Provider>)> {
    let mut opened = Vec::new();
    for record in &providers.all {
        let name = record.name.clone();
        if !providers
            .order
            .iter()
            .any(|(_, order)| order.contains(&name))
        {
            findings.push(DeliveryFinding::ProviderUnused { name });
            continue;
        }
        match catalogue.open(&configuration(record)) {
            Ok(provider) => opened.push((name, provider)),
            Err(error) => findings.push(DeliveryFinding::ProviderUnusable {
                name,
                error: error.to_string(),
            }),
        }
    }
    opened
}

/// The providers of which a certificate that they are trusted by ends soon, or has ended. A bundle may have old ones in it
/// that no server uses.
fn certificates(providers: &Providers, now: Timestamp) -> Vec<DeliveryFinding> {
    let ends = |record: &ProviderRecord| {
        let file = PathBuf::from(record.settings.get("ca-file")?.text());
        let at = first_end(&file).filter(|at| *at <= now.after(CERTIFICATE_SOON))?;
        let name = record.name.clone();
        Some(DeliveryFinding::CertificateEnds { name, file, at })
    };
    providers.all.iter().filter_map(ends).collect()
}

/// The providers whose server has shown a certificate that ends soon. One that has ended is no longer accepted.
fn server_certificates(
    opened: &[(String, Box<dyn Provider>)],
    now: Timestamp,
) -> Vec<DeliveryFinding> {
    let ends = |(name, provider): &(String, Box<dyn Provider>)| {
        let soon = now.after(SERVER_CERTIFICATE_SOON);
        let at = provider.certificate_end().filter(|at| *at <= soon)?;
        let name = name.clone();
        Some(DeliveryFinding::ServerCertificateEnds { name, at })
    };
    opened.iter().filter_map(ends).collect()
}

/// What the standards say of codes that are sent: an administrator may be bound by them.
fn email_is_weak(
    admin: &Administration,
    providers: &Providers,
) -> Result<Option<DeliveryFinding>, AdminError> {
    let methods = admin.store().rulebook()?.machine().methods;
    let is_sent = methods.contains(Method::Email) && !providers.order[Channel::Email].is_empty();
    Ok(is_sent.then_some(DeliveryFinding::EmailIsWeak))
}

/// The channels by which people get their codes, and that nobody carries.
fn uncarried(
    admin: &Administration,
    providers: &Providers,
) -> Result<Vec<DeliveryFinding>, AdminError> {
    let carried = checks::carried(providers);
    let users = checks::users_by_channel(admin.store())?;
    let uncarried = users
        .iter()
        .filter(|(channel, users)| **users > 0 && !carried.contains(channel.method()))
        .map(|(channel, users)| DeliveryFinding::Uncarried {
            channel,
            users: *users,
        });
    Ok(uncarried.collect())
}

/// What text messages cost, and who can have them.
fn text_messages(
    admin: &Administration,
    providers: &Providers,
) -> Result<Vec<DeliveryFinding>, AdminError> {
    let rulebook = admin.store().rulebook()?;
    let policy = rulebook.machine();
    let (limits, count) = (policy.limits, admin.store().sms_count(admin.now())?);
    let mut findings: Vec<_> = SmsAlarm::due(count, limits)
        .map(|alarm| DeliveryFinding::ManyTextMessages {
            alarm,
            count,
            limits,
        })
        .collect();
    let is_sent = policy.methods.contains(Method::Sms) && !providers.order[Channel::Sms].is_empty();
    if is_sent && policy.countries().is_empty() {
        findings.push(DeliveryFinding::NoPhoneCountry);
    }
    Ok(findings)
}

/// Notices to users that nobody sends.
fn overdue(admin: &Administration) -> Result<Option<DeliveryFinding>, AdminError> {
    let now = admin.now();
    let next = admin.store().next_notice_due()?;
    Ok(next.map(|due| {
        if due.after(OVERDUE) <= now {
            DeliveryFinding::NoticeOverdue { since: due }
        } else if due > now {
            DeliveryFinding::NoticeWaiting { next: due }
        } else {
            DeliveryFinding::NoticeDue
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use twofa_delivery::{Message, Receipt};

    /// A provider whose server has shown a certificate that ends then.
    #[derive(Debug)]
    struct Shown(Option<Timestamp>);

    impl Provider for Shown {
        fn channel(&self) -> Channel {
            Channel::Email
        }

        fn send(&self, _: &str, _: &Message, _: Instant) -> Result<Receipt, SendError> {
            Ok(Receipt::default())
        }

        fn check(&self, _: Instant) -> Result<(), SendError> {
            Ok(())
        }

        fn certificate_end(&self) -> Option<Timestamp> {
            self.0
        }

        fn sender_address(&self) -> Option<&str> {
            None
        }
    }

    #[test]
    fn a_server_whose_certificate_ends_within_two_weeks_is_found() {
        let now = Timestamp::from_unix(1_800_000_000);
        let soon = now.after(14 * 86_400);
        let providers = [
            ("later", Some(soon.after(1))),
            ("soon", Some(soon)),
            ("none", None),
        ];
        let providers = providers
            .map(|(name, end)| (name.to_owned(), Box::new(Shown(end)) as Box<dyn Provider>));
        let ends = DeliveryFinding::ServerCertificateEnds {
            name: "soon".to_owned(),
            at: soon,
        };
        assert_eq!(server_certificates(&providers, now), [ends]);
    }
}
