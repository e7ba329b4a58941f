//! Apps whose key was shown and whose first code has not come back yet.

use twofa_core::app::{App, Parameters};
use twofa_core::{Account, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::Origin;
use crate::methods::{Parts, app_of, generation, parts};
use crate::seal::{Place, Whose};
use crate::users::{Generation, find, unchanged};

/// How long a key that was shown and not confirmed is shown again, in seconds.
const PENDING_FOR: u64 = 900;

impl Store {
    /// The app of these `parameters` whose key was shown a moment ago and not confirmed, so that a scanned QR code
    /// is not wasted. Only to the service, host and terminal it was shown to, and for a quarter of an hour: what somebody
    /// else has seen must not become this person's second factor.
    pub fn pending_app(
        &self,
        account: &Account,
        parameters: Parameters,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<App>, StoreError> {
        self.read(|db| {
            let Some(user) = find(db, account)? else {
                return Ok(None);
            };
            let mut statement = db.prepare_cached(
                "SELECT period, algorithm, digits, key FROM pending_app
                 WHERE user = ?1 AND made_at BETWEEN ?2 AND ?3 AND shown_to = ?4",
            )?;
            let (from, to) = (now.before(PENDING_FOR).unix(), now.unix());
            let mut rows = statement.query((user.id, from, to, origin.place()))?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let app = app_of(row, 0, self.key(), pending_place(user.id, account), None)?;
            Ok(Some(app).filter(|app| app.parameters == parameters))
        })
    }

    /// Keeps `app`, whose key is about to be shown, until its first code comes back or its time is over.
    pub fn keep_pending_app(
        &self,
        account: &Account,
        expected: Generation,
        app: &App,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Generation, StoreError> {
        self.write(|db| {
            let user = unchanged(db, account, expected)?;
            let sealed = self.key().seal(pending_place(user, account), app.key.expose())?;
            let Parts { period, algorithm, digits } = parts(app.parameters);
            db.execute(
                "INSERT OR REPLACE INTO pending_app (user, period, algorithm, digits, key, shown_to, made_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (user, period, algorithm, digits, sealed, origin.place(), now.unix()),
            )?;
            generation(db, account)
        })
    }
}

fn pending_place(row: i64, owner: &Account) -> Place<'_> {
    Place {
        table: "pending_app",
        column: "key",
        row,
        whose: Whose::User(owner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewApp;
    use crate::testing::{Bench, alice, app, origin};
    use twofa_core::app::{Algorithm, OtpKind};

    #[test]
    fn a_key_that_was_shown_is_shown_again_where_it_was_for_a_quarter_of_an_hour() {
        let bench = Bench::new();
        let store = bench.create();
        let shown = app("phone").app;
        let generation = Bench::generation(&store, &alice());
        let generation = store
            .keep_pending_app(&alice(), generation, &shown, &origin(), bench.now)
            .unwrap();
        let pending = |parameters, now| {
            let app = store
                .pending_app(&alice(), parameters, &origin(), now)
                .unwrap();
            app.map(|app| app.key.expose().to_vec())
        };
        let standard = Parameters::default();
        assert_eq!(
            pending(standard, bench.now.after(900)).as_deref(),
            Some(shown.key.expose())
        );
        assert_eq!(pending(standard, bench.now.after(901)), None);
        assert_eq!(
            pending(standard, bench.now.before(1)),
            None,
            "the clock went back"
        );
        for elsewhere in [
            Origin {
                remote_host: Some("203.0.113.9".into()),
                ..origin()
            },
            Origin {
                service: Some("cockpit".into()),
                ..origin()
            },
            Origin {
                terminal: Some("/dev/tty2".into()),
                ..origin()
            },
            Origin {
                service: Some("twofa".into()),
                actor: 1000,
                ..Origin::default()
            },
        ] {
            let found = store
                .pending_app(&alice(), standard, &elsewhere, bench.now)
                .unwrap();
            assert!(found.is_none(), "{elsewhere:?}");
        }
        let other = Parameters::new(OtpKind::Counter, Algorithm::Sha1, 6).unwrap();
        assert_eq!(pending(other, bench.now), None);
        let new = NewApp {
            label: "phone".into(),
            app: shown,
        };
        store
            .enrol_app(&alice(), generation, &new, &origin(), bench.now)
            .unwrap();
        assert_eq!(pending(standard, bench.now), None);
    }
}
