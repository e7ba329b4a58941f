//! Providers.

use std::thread;
use std::time::Instant;

use twofa_delivery::{Provider, SendError};
use twofa_store::Providers;

use super::checks::{self, Concern};
use super::{AdminError, Administration};
use crate::sending::codes::SEND_TIMEOUT;

impl Administration {
    /// The concerns about a change of the providers.
    pub fn concerns_about_providers(
        &self,
        before: &Providers,
        after: &Providers,
    ) -> Result<Vec<Concern>, AdminError> {
        Ok(checks::concerns_about_providers(
            self.store(),
            before,
            after,
        )?)
    }
}

/// Checks all of `providers` at once, so that those that hang do so together.
pub fn check_all(providers: &[(String, Box<dyn Provider>)]) -> Vec<(&str, SendError)> {
    let deadline = Instant::now() + SEND_TIMEOUT;
    thread::scope(|scope| {
        let checks: Vec<_> = providers
            .iter()
            .map(|(name, provider)| (name.as_str(), scope.spawn(move || provider.check(deadline))))
            .collect();
        checks
            .into_iter()
            .filter_map(|(name, check)| Some((name, check.join().ok()?.err()?)))
            .collect()
    })
}
