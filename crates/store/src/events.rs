//! The audit log: what happened, to whom, from where, by whose hand.

use rusqlite::Transaction;
use twofa_core::{Account, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::notices;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A code was right: at a login, which may still fail for other reasons, or to allow a change.
    Passed,
    /// A backup code did.
    BackupCodeUsed,
    /// A login was refused, or a code for a change.
    Refused,
    /// Wrong codes locked an account.
    Locked,
    /// An app was enrolled.
    AppEnrolled,
    /// An app was removed.
    AppRemoved,
    /// An e-mail address became a method.
    EmailEnrolled,
    /// It is none any more.
    EmailRemoved,
    /// A phone number became a method.
    SmsEnrolled,
    /// It is none any more.
    SmsRemoved,
    /// Backup codes were made where there were none.
    BackupCodesMade,
    /// Backup codes were made anew; the ones before died.
    BackupCodesReplaced,
    /// The backup codes were removed.
    BackupCodesRemoved,
    /// An administrator requires a second factor.
    Required,
    /// An administrator no longer requires it.
    Released,
    /// An administrator opened a lock.
    Unlocked,
    /// An administrator removed all of a user's methods.
    Reset,
    /// An administrator removed a user's record.
    UserRemoved,
    /// An administrator changed the policy.
    PolicyChanged,
    /// An administrator exempted somebody.
    Exempted,
    /// An administrator ended an exemption.
    ExemptionEnded,
    /// An administrator made a record.
    UserAdded,
    /// What somebody set for themselves, or an administrator for them.
    UserChanged,
    /// A code was sent.
    CodeSent,
    /// A code was not sent: it could not be, or too many were.
    CodeNotSent,
    /// An administrator added a provider.
    ProviderAdded,
    /// An administrator changed a provider.
    ProviderChanged,
    /// An administrator removed a provider.
    ProviderRemoved,
    /// An administrator changed the order in which providers are tried.
    ProviderOrderChanged,
    /// Many text messages were sent.
    SmsLimit,
}

const NAMES: [(EventKind, &str); 30] = [
    (EventKind::Passed, "passed"),
    (EventKind::BackupCodeUsed, "backup-code-used"),
    (EventKind::Refused, "refused"),
    (EventKind::Locked, "locked"),
    (EventKind::AppEnrolled, "app-enrolled"),
    (EventKind::AppRemoved, "app-removed"),
    (EventKind::EmailEnrolled, "email-enrolled"),
    (EventKind::EmailRemoved, "email-removed"),
    (EventKind::SmsEnrolled, "sms-enrolled"),
    (EventKind::SmsRemoved, "sms-removed"),
    (EventKind::BackupCodesMade, "backup-codes-made"),
    (EventKind::BackupCodesReplaced, "backup-codes-replaced"),
    (EventKind::BackupCodesRemoved, "backup-codes-removed"),
    (EventKind::Required, "required"),
    (EventKind::Released, "released"),
    (EventKind::Unlocked, "unlocked"),
    (EventKind::Reset, "reset"),
    (EventKind::UserRemoved, "user-removed"),
    (EventKind::PolicyChanged, "policy-changed"),
    (EventKind::Exempted, "exempted"),
    (EventKind::ExemptionEnded, "exemption-ended"),
    (EventKind::UserAdded, "user-added"),
    (EventKind::UserChanged, "user-changed"),
    (EventKind::CodeSent, "code-sent"),
    (EventKind::CodeNotSent, "code-not-sent"),
    (EventKind::ProviderAdded, "provider-added"),
    (EventKind::ProviderChanged, "provider-changed"),
    (EventKind::ProviderRemoved, "provider-removed"),
    (EventKind::ProviderOrderChanged, "provider-order-changed"),
    (EventKind::SmsLimit, "sms-limit"),
];

impl EventKind {
    fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }
}

/// Where something was asked for, and by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The uid of the process that asked.
    pub actor: u32,
    /// PAM service.
    pub service: Option<String>,
    /// Where a login came from.
    pub remote_host: Option<String>,
    /// Who asked for it, where somebody logs in as another user: `PAM_RUSER`.
    pub remote_user: Option<String>,
    /// Terminal.
    pub terminal: Option<String>,
}

impl Origin {
    /// The place this is from, to tell one from another: service, remote host and terminal of a login, or somebody's
    /// command line.
    pub(crate) fn place(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        match (self.is_command_line(), self.remote_host.as_deref()) {
            (true, _) => format!("command line of uid {}", self.actor),
            (false, host) => {
                let host = host.unwrap_or("this machine");
                format!(
                    "service {} of {host} at {}",
                    text(&self.service),
                    text(&self.terminal)
                )
            }
        }
    }

    /// Whether it is the command line: no door was opened there.
    pub(crate) fn is_command_line(&self) -> bool {
        self.service.as_deref() == Some("twofa")
    }
}

/// An event that is to be logged.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// To whom, where it happened to somebody.
    pub user: Option<&'a Account>,
    /// More, in words. Never a secret.
    pub detail: Option<String>,
}

/// An event as it was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Rises with each event.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What, such as `passed`.
    pub kind: String,
    /// To whom: the login name.
    pub user: Option<String>,
    /// From where and by whom.
    pub origin: Origin,
    /// More, in words.
    pub detail: Option<String>,
}

/// Which events [`Store::events`] gives.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only those of this user.
    pub user: Option<String>,
    /// Only the last so many.
    pub last: Option<u32>,
}

impl Store {
    /// Logs an event by itself.
    pub fn record(
        &self,
        event: &Event<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| record(db, event, origin, now).map(drop))
    }

    /// Gives the events that `filter` lets through to `each`, oldest first, until it answers `false`.
    pub fn events(
        &self,
        filter: &EventFilter,
        mut each: impl FnMut(LoggedEvent) -> bool,
    ) -> Result<(), StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT * FROM (
                     SELECT id, at, kind, name, actor, service, remote_host, terminal, detail, remote_user FROM event
                     WHERE ?1 IS NULL OR name = ?1 ORDER BY id DESC LIMIT ?2
                 ) ORDER BY id",
            )?;
            let last = filter.last.map_or(-1, i64::from);
            let mut rows = statement.query((&filter.user, last))?;
            while let Some(row) = rows.next()? {
                let event = LoggedEvent {
                    id: row.get(0)?,
                    at: Timestamp::from_unix(row.get(1)?),
                    kind: row.get(2)?,
                    user: row.get(3)?,
                    origin: Origin {
                        actor: row.get(4)?,
                        service: row.get(5)?,
                        remote_host: row.get(6)?,
                        terminal: row.get(7)?,
                        remote_user: row.get(9)?,
                    },
                    detail: row.get(8)?,
                };
                if !each(event) {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// Logs `event`, queues what the user is to be told of it, and gives its id.
pub(crate) fn record(
    db: &Transaction<'_>,
    event: &Event<'_>,
    origin: &Origin,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let mut statement = db.prepare_cached(
        "INSERT INTO event (at, kind, name, uid, actor, service, remote_host, terminal, detail, remote_user)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let id = statement.insert((
        now.unix(),
        event.kind.name(),
        event.user.map(|user| &user.name),
        event.user.map(|user| user.uid),
        origin.actor,
        &origin.service,
        &origin.remote_host,
        &origin.terminal,
        &event.detail,
        &origin.remote_user,
    ))?;
    if let Some(user) = event.user
        && id % PRUNED_EVERY == 0
    {
        prune(db, user)?;
    }
    notices::queue(db, event, origin, now)?;
    Ok(id)
}

/// How many logins and refusals of one user are kept: nobody fills the disk by logging in.
const KEPT_OF_A_USER: u32 = 5_000;
/// How many codes that were sent or not. They are counted apart: whoever asks for one code after the other does not
/// wipe out what else there is on record.
const CODES_KEPT_OF_A_USER: u32 = 1_000;
/// Every so many events the oldest of the user at hand are removed.
const PRUNED_EVERY: i64 = 64;

/// Removes the oldest logins and refusals of `user`, what the user did to their own record, and the oldest codes. What an
/// administrator did stays.
fn prune(db: &Transaction<'_>, user: &Account) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(
        "DELETE FROM event WHERE name = ?1 AND kind NOT IN ('code-sent', 'code-not-sent')
         AND (kind IN ('passed', 'refused') OR actor = uid) AND id <= (
             SELECT id FROM event WHERE name = ?1 AND kind NOT IN ('code-sent', 'code-not-sent')
             ORDER BY id DESC LIMIT 1 OFFSET ?2
         )",
    )?;
    statement.execute((&user.name, KEPT_OF_A_USER))?;
    let mut statement = db.prepare_cached(
        "DELETE FROM event WHERE name = ?1 AND kind IN ('code-sent', 'code-not-sent') AND id <= (
             SELECT id FROM event WHERE name = ?1 AND kind IN ('code-sent', 'code-not-sent')
             ORDER BY id DESC LIMIT 1 OFFSET ?2
         )",
    )?;
    statement.execute((&user.name, CODES_KEPT_OF_A_USER))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> =
            NAMES.iter().map(|(kind, _)| kind.name()).collect();
        assert_eq!(names.len(), NAMES.len());
    }

    #[test]
    fn nobody_fills_the_disk_with_refusals_and_changes_are_kept() {
        let bench = Bench::new();
        let store = bench.create();
        let alice = alice();
        let event = |kind| Event {
            kind,
            user: Some(&alice),
            detail: None,
        };
        store
            .record(&event(EventKind::AppEnrolled), &origin(), bench.now)
            .unwrap();
        store
            .write(|db| {
                (0..i64::from(KEPT_OF_A_USER) + 200).try_for_each(|_| {
                    record(db, &event(EventKind::Refused), &origin(), bench.now).map(drop)
                })
            })
            .unwrap();
        let mut kinds = Vec::new();
        let mut each = |event: LoggedEvent| {
            kinds.push(event.kind);
            true
        };
        store.events(&EventFilter::default(), &mut each).unwrap();
        assert!(kinds.len() <= 5_000 + 1 + 64, "{}", kinds.len());
        assert_eq!(kinds[0], "app-enrolled");
    }

    #[test]
    fn nobody_fills_the_disk_with_codes_or_wipes_out_logins_with_them() {
        let bench = Bench::new();
        let store = bench.create();
        let alice = alice();
        let event = |kind| Event {
            kind,
            user: Some(&alice),
            detail: Some("a***e@example.org".into()),
        };
        store
            .record(&event(EventKind::Passed), &origin(), bench.now)
            .unwrap();
        store
            .write(|db| {
                (0..i64::from(KEPT_OF_A_USER) + 200).try_for_each(|i| {
                    let kind = if i % 2 == 0 {
                        EventKind::CodeSent
                    } else {
                        EventKind::CodeNotSent
                    };
                    record(db, &event(kind), &origin(), bench.now).map(drop)
                })
            })
            .unwrap();
        let mut kinds = Vec::new();
        let mut each = |event: LoggedEvent| {
            kinds.push(event.kind);
            true
        };
        store.events(&EventFilter::default(), &mut each).unwrap();
        assert!(kinds.len() <= 1_000 + 1 + 64, "{}", kinds.len());
        assert_eq!(kinds[0], "passed", "codes wipe out nothing else");
    }

    #[test]
    fn events_come_back_in_order_and_for_one_user() {
        let bench = Bench::new();
        let store = bench.create();
        let alice = alice();
        for (i, user) in [None, Some(&alice), Some(&alice), None]
            .into_iter()
            .enumerate()
        {
            let event = Event {
                kind: EventKind::Refused,
                user,
                detail: Some(i.to_string()),
            };
            store.record(&event, &origin(), bench.now).unwrap();
        }
        let details = |filter: EventFilter| {
            let mut details = String::new();
            store
                .events(&filter, |event| {
                    details.push_str(&event.detail.unwrap());
                    true
                })
                .unwrap();
            details
        };
        assert_eq!(details(EventFilter::default()), "0123");
        assert_eq!(
            details(EventFilter {
                user: Some("alice".into()),
                last: None
            }),
            "12"
        );
        assert_eq!(
            details(EventFilter {
                user: None,
                last: Some(2)
            }),
            "23"
        );
    }
}
