//! Exemptions, granted and ended.

use twofa_core::Timestamp;
use twofa_core::exemption::{Exemption, Subject};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, ExemptionFields, Origin};
use crate::sql::exemptions::{self, StoredExemption};
use crate::sql::row_hashes::EXEMPTION;
use crate::tx::Tx;

impl Store {
    /// Every exemption, also those that have ended, in the order in which they were granted.
    pub fn exemptions(&self) -> Result<Vec<StoredExemption>, StoreError> {
        let all = self.read(|view| exemptions::all(view.db))?;
        Ok(all.into_iter().map(|(exemption, _)| exemption).collect())
    }

    /// Grants an exemption and returns its number.
    pub fn grant(
        &self,
        exemption: &Exemption,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        self.change(origin, now, |tx| {
            tx.rules.forget(tx.db)?;
            let id = exemptions::insert(tx.db, exemption)?;
            tx.hash_row(&EXEMPTION, &id.to_string())?;
            record(tx, exemption, &Event::Exempted(fields(id, exemption)))?;
            Ok(id)
        })
    }

    /// Ends the exemption number `id`. Returns what it was, if there was one.
    pub fn revoke_exemption(
        &self,
        id: i64,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Exemption>, StoreError> {
        self.change(origin, now, |tx| {
            tx.rules.forget(tx.db)?;
            let found = exemptions::all(tx.db)?
                .into_iter()
                .find(|(stored, _)| stored.id == id);
            let Some((StoredExemption { exemption, .. }, _)) = found else {
                return Ok(None);
            };
            exemptions::delete(tx.db, id)?;
            record(
                tx,
                &exemption,
                &Event::ExemptionEnded(fields(id, &exemption)),
            )?;
            Ok(Some(exemption))
        })
    }
}

fn record(tx: &Tx<'_>, exemption: &Exemption, event: &Event) -> Result<(), StoreError> {
    let user = match &exemption.subject {
        Subject::User(account) => Some(account),
        Subject::Group(_) => None,
    };
    tx.record(user, event).map(drop)
}

pub(crate) fn fields(id: i64, exemption: &Exemption) -> ExemptionFields {
    let seconds = |until: Timestamp| {
        let seconds = until.unix().saturating_sub(exemption.granted_at.unix());
        u64::try_from(seconds).unwrap_or_default()
    };
    ExemptionFields {
        id,
        group: match &exemption.subject {
            Subject::User(_) => None,
            Subject::Group(group) => Some(group.name.clone()),
        },
        network: exemption.network.map(|network| network.to_string()),
        service: exemption.service.clone(),
        seconds: exemption.until.map(seconds),
        reason: exemption.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};
    use twofa_core::Group;

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
