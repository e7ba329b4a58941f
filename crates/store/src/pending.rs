//! Apps whose key was shown and whose first code has not come back yet.

use twofa_core::app::{App, Parameters};
use twofa_core::{Account, Timestamp};

use crate::app_sealing;
use crate::database::Store;
use crate::error::StoreError;
use crate::event::Origin;
use crate::generation::Generation;
use crate::sql::apps::{self, SealedApp};

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
        self.read(|view| {
            let Some(user) = view.find(account)? else {
                return Ok(None);
            };
            let from = now.before(PENDING_FOR);
            let Some(sealed) = apps::pending(view.db, user.id, from, now, &origin.place())? else {
                return Ok(None);
            };
            let data = app_sealing::pending(user.id, account);
            let app = app_sealing::open(view.key, data, &sealed, None)?;
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
        self.change(origin, now, |tx| {
            let user = tx.unchanged(account, expected)?;
            let data = app_sealing::pending(user, account);
            let sealed = SealedApp {
                parameters: app.parameters.into(),
                key: tx.seal(data, app.key.expose())?,
            };
            apps::set_pending(tx.db, user, &sealed, &origin.place(), now)?;
            tx.generation(account)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewApp;
    use crate::event::LoginOrigin;
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
        let at = |change: fn(&mut LoginOrigin)| {
            let mut login = origin().as_login().unwrap().clone();
            change(&mut login);
            Origin::login(0, login)
        };
        for elsewhere in [
            at(|login| login.remote_host = Some("203.0.113.9".into())),
            at(|login| login.service = Some("cockpit".into())),
            at(|login| login.terminal = Some("/dev/tty2".into())),
            Origin::command_line(1000),
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
