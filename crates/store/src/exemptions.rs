//! Exemptions as they are kept.

use rusqlite::{Row, Transaction};
use twofa_core::duration::Duration;
use twofa_core::exemption::{Exemption, Subject};
use twofa_core::{Account, Group, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};

/// An exemption with the number it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredExemption {
    /// Its number, never given to another.
    pub id: i64,
    /// The exemption.
    pub exemption: Exemption,
}

impl Store {
    /// Every exemption, also those that have ended, in the order in which they were granted.
    pub fn exemptions(&self) -> Result<Vec<StoredExemption>, StoreError> {
        self.read(all)
    }

    /// Grants an exemption and gives its number.
    pub fn grant(
        &self,
        exemption: &Exemption,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        let Exemption {
            subject,
            network,
            service,
            reason,
            granted_by,
            granted_at,
            until,
        } = exemption;
        let (user, group) = match subject {
            Subject::User(account) => (Some(account), None),
            Subject::Group(group) => (None, Some(group)),
        };
        self.write(|db| {
            self.forget_rules();
            db.execute(
                "INSERT INTO exemption
                 (name, uid, unix_group, unix_gid, network, service, reason, granted_by, granted_at, until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                (
                    user.map(|account| &account.name),
                    user.map(|account| account.uid),
                    group.map(|group| &group.name),
                    group.and_then(|group| group.gid),
                    network.map(|network| network.to_string()),
                    service,
                    reason,
                    granted_by,
                    granted_at.unix(),
                    until.map(Timestamp::unix),
                ),
            )?;
            let id = db.last_insert_rowid();
            log(db, EventKind::Exempted, id, exemption, origin, now)?;
            Ok(id)
        })
    }

    /// Ends the exemption number `id`. Answers what it was, if there was one.
    pub fn revoke_exemption(
        &self,
        id: i64,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Exemption>, StoreError> {
        self.write(|db| {
            self.forget_rules();
            let Some(stored) = all(db)?.into_iter().find(|stored| stored.id == id) else {
                return Ok(None);
            };
            db.execute("DELETE FROM exemption WHERE id = ?1", [id])?;
            log(
                db,
                EventKind::ExemptionEnded,
                id,
                &stored.exemption,
                origin,
                now,
            )?;
            Ok(Some(stored.exemption))
        })
    }
}

fn log(
    db: &Transaction<'_>,
    kind: EventKind,
    id: i64,
    exemption: &Exemption,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (user, whom) = match &exemption.subject {
        Subject::User(account) => (Some(account), String::new()),
        Subject::Group(group) => (None, format!(" of group {group}")),
    };
    let until = exemption.until.map_or("without end".to_owned(), |until| {
        let length = until.unix().saturating_sub(exemption.granted_at.unix());
        format!(
            "for {}",
            Duration::from_seconds(u64::try_from(length).unwrap_or_default())
        )
    });
    let network = exemption
        .network
        .map_or(String::new(), |network| format!(" from {network}"));
    let service = exemption
        .service
        .as_ref()
        .map_or(String::new(), |service| format!(" at {service}"));
    let detail = Some(format!(
        "number {id}{whom} {until}{network}{service}: {}",
        exemption.reason
    ));
    events::record(db, &Event { kind, user, detail }, origin, now).map(drop)
}

pub(crate) fn all(db: &Transaction<'_>) -> Result<Vec<StoredExemption>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, name, uid, unix_group, network, service, reason, granted_by, granted_at, until, unix_gid
         FROM exemption ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut exemptions = Vec::new();
    while let Some(row) = rows.next()? {
        exemptions.push(stored(row)?);
    }
    Ok(exemptions)
}

fn stored(row: &Row<'_>) -> Result<StoredExemption, StoreError> {
    let subject = match row.get(1)? {
        Some(name) => Subject::User(Account {
            name,
            uid: row.get(2)?,
        }),
        None => Subject::Group(Group {
            name: row.get(3)?,
            gid: row.get(10)?,
        }),
    };
    let network: Option<String> = row.get(4)?;
    let network = network.map(|text| text.parse()).transpose();
    let exemption = Exemption {
        subject,
        network: network.map_err(|_| {
            StoreError::Damaged("an exemption has no network we can read".to_owned())
        })?,
        service: row.get(5)?,
        reason: row.get(6)?,
        granted_by: row.get(7)?,
        granted_at: Timestamp::from_unix(row.get(8)?),
        until: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_unix),
    };
    Ok(StoredExemption {
        id: row.get(0)?,
        exemption,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};

    #[test]
    fn an_exemption_comes_back_as_it_was_granted_and_goes_when_revoked() {
        let bench = Bench::new();
        let store = bench.create();
        let of = |subject| Exemption {
            subject,
            network: Some("2001:db8::/32".parse().unwrap()),
            service: Some("sshd".into()),
            reason: "backups".into(),
            granted_by: 0,
            granted_at: bench.now,
            until: Some(bench.now.after(60)),
        };
        let user = of(Subject::User(alice()));
        let robots = Group {
            name: "robots".into(),
            gid: Some(987),
        };
        let group = Exemption {
            network: None,
            service: None,
            until: None,
            ..of(Subject::Group(robots))
        };
        let first = store.grant(&user, &origin(), bench.now).unwrap();
        let second = store.grant(&group, &origin(), bench.now).unwrap();
        let stored = |id, exemption: &Exemption| StoredExemption {
            id,
            exemption: exemption.clone(),
        };
        assert_eq!(
            store.exemptions().unwrap(),
            [stored(first, &user), stored(second, &group)]
        );
        assert_eq!(
            store.revoke_exemption(first, &origin(), bench.now).unwrap(),
            Some(user)
        );
        assert_eq!(
            store.revoke_exemption(first, &origin(), bench.now).unwrap(),
            None
        );
        assert_eq!(store.exemptions().unwrap(), [stored(second, &group)]);
    }
}
