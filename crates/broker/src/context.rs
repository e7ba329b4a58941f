//! What a request is served with: the services of the broker, and who the request is about.

use std::time::{Duration, Instant};

use twofa_core::{Account, Policy, Timestamp, User};
use twofa_delivery::Sender;
use twofa_store::{AtHand, Origin, Store};

use crate::deferred::Deferred;
use crate::fleet::membership::Membership;
use crate::identity::first_factor::Stacks;
use crate::identity::person::Person;
use crate::text::messages;

/// What every request works with.
#[derive(Debug, Clone, Copy)]
pub struct Services<'a> {
    /// The store of users, policy and audit log.
    pub store: &'a Store,
    /// Carries codes and notices to addresses.
    pub sender: &'a dyn Sender,
    /// The PAM stacks that logins come from.
    pub stacks: &'a Stacks,
    /// The fleet that this machine may be a host of.
    pub fleet: &'a Membership,
    /// What is recorded once a login has its answer.
    pub deferred: &'a Deferred,
    /// The clock, asked each time that the time matters.
    pub clock: fn() -> Timestamp,
    /// When the one who asked stops waiting for what is being done; `None`: not before the usual time.
    pub deadline: Option<Instant>,
    /// What was read of the account with the message that is replied to, if it is a host's.
    pub at_hand: Option<&'a AtHand>,
}

impl<'a> Services<'a> {
    /// What was read of `account` with the message, if anything was.
    pub fn at_hand_of(&self, account: &Account) -> Option<&'a AtHand> {
        self.at_hand.filter(|at_hand| at_hand.account == *account)
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// `timeout` from now, or earlier if nobody waits for so long.
    pub fn deadline_within(&self, timeout: Duration) -> Instant {
        let latest = Instant::now() + timeout;
        self.deadline
            .map_or(latest, |deadline| deadline.min(latest))
    }
}

/// One request about one person.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Store, delivery, clock.
    pub services: Services<'a>,
    /// The account that the request is about.
    pub account: &'a Account,
    /// Where the request comes from, for the audit log.
    pub origin: &'a Origin,
    /// What was known of the person when the request was permitted.
    pub person: &'a Person,
    /// What the request is for, as a message with a code says it: `log in with sshd`.
    pub purpose: &'a str,
}

impl<'a> Context<'a> {
    /// The store that the request reads and changes.
    pub const fn store(&self) -> &'a Store {
        self.services.store
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.services.now()
    }

    /// What is stored of the person.
    pub const fn user(&self) -> &'a User {
        &self.person.snapshot.user
    }

    /// The policy that applies to the person.
    pub const fn policy(&self) -> &'a Policy {
        &self.person.policy
    }

    /// The name of this machine in prompts and apps.
    pub fn application(&self) -> String {
        messages::application_name(self.policy())
    }
}
