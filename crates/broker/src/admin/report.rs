//! What `mode=mandatory` would do: to everybody on record or in the name service, and to the logins that `mode=report` has
//! recorded.

use std::collections::{BTreeMap, BTreeSet};

use twofa_core::{Mode, Timestamp};
use twofa_store::event::{Record, ReportedOutcome};
use twofa_store::{Event, EventFilter};

use super::listing::ListingGaps;
use super::pam::Machine;
use super::unrecorded::unrecorded;
use super::users::{ListedUser, StatusFilter, UserFilter};
use super::{AdminError, Administration};

/// What would happen if the mode became mandatory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Since when the mode is report: of the machine (`everyone`) or of a class, by name. `None`: the log does not say.
    pub since: BTreeMap<String, Option<Timestamp>>,
    /// How many users there are for each class and outcome.
    pub users: BTreeMap<(String, ReportedOutcome), u64>,
    /// The login names of those who would be refused.
    pub refused: BTreeMap<(String, ReportedOutcome), Vec<String>>,
    /// The recorded logins, by class, service and outcome.
    pub logins: BTreeMap<(String, String, ReportedOutcome), Logins>,
    /// The services whose logins with a password are never recorded although the module is called there, because it is called
    /// after a wrong password too, or by a program without root's rights.
    pub unrecorded: Vec<String>,
    /// What the name service did not list.
    pub gaps: ListingGaps,
}

/// Logins that were recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logins {
    /// How many there were.
    pub count: u64,
    /// The login names of their users.
    pub users: BTreeSet<String>,
}

impl Administration {
    /// What would happen if the mode became mandatory, with the logins that were recorded in the last `days` days.
    pub fn forecast(&self, days: u16) -> Result<Forecast, AdminError> {
        let machine = Machine::this();
        let mut forecast = Forecast {
            since: self.reporting_since()?,
            unrecorded: unrecorded(machine.services(), &machine, &self.rulebook()?),
            ..Forecast::default()
        };
        self.users(&UserFilter::default(), |user| {
            // Those without a method come with the accounts that are not on record.
            if !user.methods.is_empty() {
                forecast.count_user(user);
            }
            true
        })?;
        let without = UserFilter {
            status: Some(StatusFilter::WithoutSecondFactor),
            ..UserFilter::default()
        };
        forecast.gaps = self.users(&without, |user| {
            if user.methods.is_empty() {
                forecast.count_user(user);
            }
            true
        })?;
        let filter = EventFilter {
            since: Some(self.now().before(u64::from(days) * 86_400)),
            kinds: vec!["reported".to_owned()],
            ..EventFilter::default()
        };
        self.events(&filter, |logged| {
            let service = logged.origin.service().unwrap_or_default().to_owned();
            if let Record::Event(event) = logged.record
                && let Event::Reported { class, outcome } = *event
            {
                let logins = forecast.logins.entry((class, service, outcome));
                let logins = logins.or_default();
                logins.count += 1;
                logins.users.extend(logged.user);
            }
            true
        })?;
        Ok(forecast)
    }

    /// Since when the mode is report, where it is: of the machine (`everyone`) and of classes.
    pub fn reporting_since(&self) -> Result<BTreeMap<String, Option<Timestamp>>, AdminError> {
        let rulebook = self.rulebook()?;
        let reporting = rulebook
            .policies()
            .filter(|(_, policy)| policy.mode == Mode::Report);
        let mut since: BTreeMap<_, _> =
            reporting.map(|(name, _)| (name.to_owned(), None)).collect();
        if since.is_empty() {
            return Ok(since);
        }
        let filter = EventFilter {
            kinds: vec!["policy-changed".to_owned()],
            ..EventFilter::default()
        };
        let mut machine = None;
        self.events(&filter, |logged| {
            if let Record::Event(event) = logged.record
                && let Event::PolicyChanged { what, to, .. } = *event
            {
                let at = (to.as_deref() == Some(Mode::Report.name())).then_some(logged.at);
                if what == "mode" {
                    machine = at;
                } else if let Some(class) = what.strip_prefix("class ")
                    && let Some(class) = class.strip_suffix(": mode")
                    && let Some(since) = since.get_mut(class)
                {
                    *since = at;
                }
            }
            true
        })?;
        for since in since.values_mut() {
            // A class without a mode of its own has the machine's.
            *since = since.or(machine);
        }
        Ok(since)
    }
}

impl Forecast {
    fn count_user(&mut self, user: ListedUser) {
        let Some(outcome) = user.if_mandatory else {
            return;
        };
        let key = (user.class, outcome);
        if outcome.is_refusal() {
            let names = self.refused.entry(key.clone()).or_default();
            names.push(user.account.name);
        }
        *self.users.entry(key).or_default() += 1;
    }
}
