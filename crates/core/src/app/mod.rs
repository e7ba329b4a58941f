//! Authenticator apps and hardware tokens: TOTP (RFC 6238) and HOTP (RFC 4226).
//!
//! Both count: TOTP in time steps, HOTP in presses of a button. An [`App`] keeps the highest count whose code was
//! accepted, and only a higher one is accepted after it, so that a code works once (RFC 6238 §5.2). Storing that count
//! is the store's task: verification changes nothing here.
//!
//! [`Parameters`] say how codes are made; [`check_app_code`] verifies a code against all apps of a person. An [`AppEntry`]
//! is how an app lists the key, and [`App::ignored_settings`] explains a code of an app that ignores some of the parameters.

mod check;
mod entry;
mod ignored;
mod parameters;

pub use check::{AppCodeOutcome, PendingResync, check_app_code};
pub use entry::{AppEntry, DEFAULT_LABEL};
pub use ignored::IgnoredSetting;
pub use parameters::{Algorithm, BadParameters, OtpKind, Parameters, UnknownAlgorithm};

use totp_rs::{Builder, Totp};

use crate::key::Key;
use crate::time::Timestamp;

/// How many time steps a clock may be off, in either direction (RFC 6238 §5.2 recommends one).
pub const WINDOW_STEPS: u16 = 1;
/// How many button presses a token may be ahead (RFC 4226 §7.4, parameter s).
pub const LOOK_AHEAD: u64 = 10;
/// How many button presses a token may be ahead to be resynchronised by two codes in a row (RFC 4226 §7.4).
pub const RESYNC_AHEAD: u64 = 100;
/// How many time steps a clock may be off for the log to say so (ten minutes, with steps of 30 s). Such a code is refused.
const DRIFT_STEPS: u16 = 20;

/// An enrolled authenticator app or hardware token.
#[derive(Debug, Clone)]
pub struct App {
    /// How codes are made.
    pub parameters: Parameters,
    /// The shared key.
    pub key: Key,
    /// The highest time step or counter whose code was accepted, if any was.
    pub used: Option<u64>,
}

/// The result of verifying a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Right. `count` must be stored as used before anyone is let in.
    Accepted {
        /// The time step or counter the code belongs to.
        count: u64,
    },
    /// It was right once: its count, or a later one, is used already.
    Replayed,
    /// Right for a token that is far ahead. [`App::resync`] accepts it together with the next code.
    Ahead {
        /// The counter the code belongs to.
        count: u64,
    },
    /// Right at another time: the clock of the phone or of this machine is wrong. Refused; the log says so.
    Drifted {
        /// How far the phone is ahead of this machine, in seconds; negative: behind.
        seconds: i64,
    },
    /// Right now, but a code from the future is used already: the clock of this machine was set back. Refused.
    ClockWentBack,
    /// Not a code of this app.
    Wrong,
}

impl App {
    /// Verifies `code` at `now`. `code` is digits only ([`crate::Answer::Code`]).
    pub fn verify(&self, code: &str, now: Timestamp) -> Verification {
        match self.parameters.kind() {
            OtpKind::Time { period } => self.verify_time(code, now.for_totp(), u64::from(period)),
            OtpKind::Counter => self.verify_counter(code),
        }
    }

    fn verify_time(&self, code: &str, now: u64, period: u64) -> Verification {
        if let Some(step) = self.totp(period, WINDOW_STEPS).check(code, now) {
            let newest = now / period + u64::from(WINDOW_STEPS);
            return match self.used {
                Some(used) if used > newest => Verification::ClockWentBack,
                Some(used) if used >= step => Verification::Replayed,
                _ => Verification::Accepted { count: step },
            };
        }
        match self.totp(period, DRIFT_STEPS).check(code, now) {
            Some(step) if !self.is_new(step) => Verification::Replayed,
            Some(step) => {
                let steps = i64::try_from(step)
                    .unwrap_or(i64::MAX)
                    .saturating_sub_unsigned(now / period);
                Verification::Drifted {
                    seconds: steps.saturating_mul(period.cast_signed()),
                }
            }
            None => Verification::Wrong,
        }
    }

    fn verify_counter(&self, code: &str) -> Verification {
        let hotp = self.totp(1, 0);
        let next = self.used.map_or(0, |used| used.saturating_add(1));
        let found = |from: u64, many: u64| {
            (from..from.saturating_add(many)).find(|c| hotp.check(code, *c).is_some())
        };
        if let Some(count) = found(next, LOOK_AHEAD) {
            Verification::Accepted { count }
        } else if let Some(count) =
            found(next.saturating_add(LOOK_AHEAD), RESYNC_AHEAD - LOOK_AHEAD)
        {
            Verification::Ahead { count }
        } else if found(next.saturating_sub(LOOK_AHEAD), LOOK_AHEAD.min(next)).is_some() {
            Verification::Replayed
        } else {
            Verification::Wrong
        }
    }

    /// Resynchronises a token that is far ahead (RFC 4226 §7.4): `ahead` is the count of its last code
    /// ([`Verification::Ahead`]), and `code` must be the next one.
    pub fn resync(&self, ahead: u64, code: &str) -> Verification {
        let next = ahead.saturating_add(1);
        let right = self.parameters.kind() == OtpKind::Counter
            && self.is_new(ahead)
            && self.totp(1, 0).check(code, next).is_some();
        if right {
            Verification::Accepted { count: next }
        } else {
            Verification::Wrong
        }
    }

    fn is_new(&self, count: u64) -> bool {
        self.used.is_none_or(|used| count > used)
    }

    /// The generator for steps of `period` seconds. With a period of one a counter can be given as the time, which makes
    /// it HOTP (RFC 6238 §4.2: TOTP = HOTP(K, T)).
    fn totp(&self, period: u64, window: u16) -> Totp {
        Builder::new()
            .with_algorithm(match self.parameters.algorithm() {
                Algorithm::Sha1 => totp_rs::Algorithm::SHA1,
                Algorithm::Sha256 => totp_rs::Algorithm::SHA256,
                Algorithm::Sha512 => totp_rs::Algorithm::SHA512,
            })
            .with_digits(self.parameters.digits())
            .with_step_duration(period)
            .with_skew(window)
            .with_secret(self.key.expose().to_vec())
            // `Parameters` and `Key` were checked when they were made; a period of one is for HOTP.
            .build_noncompliant()
    }
}

#[cfg(test)]
mod tests;
