//! Authenticator apps and hardware tokens: TOTP (RFC 6238) and HOTP (RFC 4226).
//!
//! Both count: TOTP in time steps, HOTP in presses of a button. An [`App`] remembers the highest count
//! whose code was accepted, and only a higher one is accepted after it, which is how a code works once
//! (RFC 6238 §5.2). Remembering it is the store's task: a verification here changes nothing.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use crate::key::Key;
use crate::time::Timestamp;

/// How many steps a clock may be off to either side (RFC 6238 §5.2 recommends one).
pub const WINDOW_STEPS: u16 = 1;
/// How many presses of its button a token may be ahead (RFC 4226 §7.4, parameter s).
pub const LOOK_AHEAD: u64 = 10;
/// How far a token may have run ahead to be found again by two codes in a row (RFC 4226 §7.4).
pub const RESYNC_AHEAD: u64 = 100;
/// Ten minutes of 30 s steps: within these a refused code is told to the administrator as a wrong clock.
const DRIFT_STEPS: u16 = 20;

/// The hash of the HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-1, what every app can do.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// The name the key URI format uses, `SHA1`, `SHA256` or `SHA512`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }
}

/// The text is no algorithm we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an algorithm is SHA1, SHA256 or SHA512")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        [Self::Sha1, Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|a| a.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownAlgorithm)
    }
}

/// What makes the code change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtpKind {
    /// TOTP: the time, in steps of this many seconds.
    Time {
        /// Seconds in a step: 30 or 60.
        period: u32,
    },
    /// HOTP: a counter that goes up with every code.
    Counter,
}

/// How codes are made from the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    kind: OtpKind,
    algorithm: Algorithm,
    digits: u8,
}

/// Parameters outside of what RFC 4226 §5.3 and common authenticators allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadParameters {
    /// RFC 4226 §5.3: six at least; seven is allowed there and found nowhere.
    #[error("a code has 6 or 8 digits, not {0}")]
    Digits(u8),
    /// RFC 6238 §5.2 recommends 30 s.
    #[error("a code changes every 30 or 60 seconds, not every {0}")]
    Period(u32),
}

impl Default for Parameters {
    /// What every app can do: SHA-1, six digits, 30 seconds.
    fn default() -> Self {
        Self {
            kind: OtpKind::Time { period: 30 },
            algorithm: Algorithm::Sha1,
            digits: 6,
        }
    }
}

impl Parameters {
    /// Checked parameters.
    pub fn new(kind: OtpKind, algorithm: Algorithm, digits: u8) -> Result<Self, BadParameters> {
        if digits != 6 && digits != 8 {
            return Err(BadParameters::Digits(digits));
        }
        match kind {
            OtpKind::Time { period } if period != 30 && period != 60 => {
                Err(BadParameters::Period(period))
            }
            OtpKind::Time { .. } | OtpKind::Counter => Ok(Self {
                kind,
                algorithm,
                digits,
            }),
        }
    }

    /// What makes the code change.
    pub const fn kind(&self) -> OtpKind {
        self.kind
    }

    /// The hash of the HMAC.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Digits of a code, 6 or 8.
    pub const fn digits(&self) -> u8 {
        self.digits
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            algorithm,
            digits,
        } = self;
        match kind {
            OtpKind::Time { period } => {
                write!(f, "TOTP {}, {digits} digits, {period} s", algorithm.name())
            }
            OtpKind::Counter => write!(f, "HOTP {}, {digits} digits", algorithm.name()),
        }
    }
}

/// An authenticator app or token as it is enrolled.
#[derive(Debug, Clone)]
pub struct App {
    /// How codes are made.
    pub parameters: Parameters,
    /// The shared key.
    pub key: Key,
    /// The highest time step or counter whose code was accepted, if any was.
    pub used: Option<u64>,
}

/// What a code was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Right. This step or counter must be stored as used before anyone is let in.
    Accepted {
        /// The time step or counter the code belongs to.
        count: u64,
    },
    /// It was right once: its step, or a later one, was used already.
    Replayed,
    /// Right for a token that ran far ahead. With the code after it, [`App::resync`] accepts.
    Ahead {
        /// The counter this code belongs to.
        count: u64,
    },
    /// Right at another time: the clock of the phone or of this machine is off. For the log only.
    Drifted {
        /// Seconds by which the phone is ahead of this machine (negative: behind).
        seconds: i64,
    },
    /// It is the code of now, but one from the future was used: the clock of this machine went back.
    ClockWentBack,
    /// Nothing this app would show.
    Wrong,
}

impl App {
    /// Verifies `code` at `now`. `code` is digits only ([`crate::Answer::Code`]).
    pub fn verify(&self, code: &str, now: Timestamp) -> Verification {
        match self.parameters.kind {
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

    /// Finds a token again that ran ahead (RFC 4226 §7.4): `ahead` is the count of its last code
    /// ([`Verification::Ahead`]), `code` must be the very next.
    pub fn resync(&self, ahead: u64, code: &str) -> Verification {
        let next = ahead.saturating_add(1);
        let right = self.parameters.kind == OtpKind::Counter
            && self.is_new(ahead)
            && self.totp(1, 0).check(code, next).is_some();
        if right {
            Verification::Accepted { count: next }
        } else {
            Verification::Wrong
        }
    }

    /// The `otpauth://` URL of this key for a QR code, as in the Key URI Format: the issuer is the
    /// relying application's name, the account the login name. What has its default is left out, which
    /// makes a code that is easier to scan.
    pub fn url(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        // RFC 3986 §2.3: these need no escape.
        const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'-')
            .remove(b'.')
            .remove(b'_')
            .remove(b'~');
        let issuer = utf8_percent_encode(issuer, ESCAPED);
        let account = utf8_percent_encode(account, ESCAPED);
        let Parameters {
            kind,
            algorithm,
            digits,
        } = self.parameters;
        let name = if kind == OtpKind::Counter {
            "hotp"
        } else {
            "totp"
        };
        let key = self.key.base32();
        let mut url = Zeroizing::new(format!(
            "otpauth://{name}/{issuer}:{account}?secret={}&issuer={issuer}",
            *key
        ));
        if algorithm != Algorithm::Sha1 {
            url.push_str("&algorithm=");
            url.push_str(algorithm.name());
        }
        if digits != 6 {
            url.push_str(&format!("&digits={digits}"));
        }
        match kind {
            OtpKind::Time { period: 30 } => {}
            OtpKind::Time { period } => url.push_str(&format!("&period={period}")),
            OtpKind::Counter => {
                let next = self.used.map_or(0, |used| used.saturating_add(1));
                url.push_str(&format!("&counter={next}"));
            }
        }
        url
    }

    fn is_new(&self, count: u64) -> bool {
        self.used.is_none_or(|used| count > used)
    }

    /// The generator for steps of `period` seconds; with a period of one it takes a counter for a time,
    /// which makes it HOTP (RFC 6238 §4.2: TOTP = HOTP(K, T)).
    fn totp(&self, period: u64, window: u16) -> Totp {
        Builder::new()
            .with_algorithm(match self.parameters.algorithm {
                Algorithm::Sha1 => totp_rs::Algorithm::SHA1,
                Algorithm::Sha256 => totp_rs::Algorithm::SHA256,
                Algorithm::Sha512 => totp_rs::Algorithm::SHA512,
            })
            .with_digits(self.parameters.digits)
            .with_step_duration(period)
            .with_skew(window)
            .with_secret(self.key.expose().to_vec())
            // `Parameters` and `Key` were checked when they were made; a period of one is ours.
            .build_noncompliant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEED: &[u8] = b"1234567890123456789012345678901234567890123456789012345678901234";

    fn app(kind: OtpKind, algorithm: Algorithm, digits: u8) -> App {
        let length = match algorithm {
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        };
        App {
            parameters: Parameters::new(kind, algorithm, digits).unwrap(),
            key: Key::new(SEED[..length].to_vec()).unwrap(),
            used: None,
        }
    }

    fn code_of(app: &App, count: u64) -> String {
        app.totp(1, 0).generate(count).to_string()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(i64::try_from(seconds).unwrap())
    }

    #[test]
    fn the_codes_of_rfc_4226_appendix_d_are_accepted() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        let mut token = app(OtpKind::Counter, Algorithm::Sha1, 6);
        for (count, code) in (0..).zip(codes) {
            assert_eq!(token.verify(code, at(0)), Verification::Accepted { count });
            token.used = Some(count);
        }
    }

    #[test]
    fn the_codes_of_rfc_6238_appendix_b_are_accepted() {
        let times = [
            59,
            1_111_111_109,
            1_111_111_111,
            1_234_567_890,
            2_000_000_000,
            20_000_000_000,
        ];
        let rows = [
            (
                Algorithm::Sha1,
                [
                    "94287082", "07081804", "14050471", "89005924", "69279037", "65353130",
                ],
            ),
            (
                Algorithm::Sha256,
                [
                    "46119246", "68084774", "67062674", "91819424", "90698825", "77737706",
                ],
            ),
            (
                Algorithm::Sha512,
                [
                    "90693936", "25091201", "99943326", "93441116", "38618901", "47863826",
                ],
            ),
        ];
        for (algorithm, codes) in rows {
            let app = app(OtpKind::Time { period: 30 }, algorithm, 8);
            for (time, code) in times.into_iter().zip(codes) {
                assert_eq!(
                    app.verify(code, at(time)),
                    Verification::Accepted { count: time / 30 },
                    "{algorithm:?} {time}"
                );
            }
        }
    }

    #[test]
    fn parameters_nobody_uses_are_refused() {
        let time = |period| OtpKind::Time { period };
        assert_eq!(
            Parameters::new(time(30), Algorithm::Sha1, 7),
            Err(BadParameters::Digits(7))
        );
        assert_eq!(
            Parameters::new(time(0), Algorithm::Sha1, 6),
            Err(BadParameters::Period(0))
        );
    }

    #[test]
    fn a_phone_five_minutes_behind_is_named_as_such_and_refused() {
        let app = app(OtpKind::Time { period: 30 }, Algorithm::Sha1, 6);
        assert_eq!(
            app.verify(&code_of(&app, 990), at(30_000)),
            Verification::Drifted { seconds: -300 }
        );
    }

    #[test]
    fn a_clock_that_went_back_is_named_and_accepts_nothing() {
        let mut app = app(OtpKind::Time { period: 30 }, Algorithm::Sha1, 6);
        app.used = Some(1_002);
        assert_eq!(
            app.verify(&code_of(&app, 1_000), at(30_000)),
            Verification::ClockWentBack
        );
        assert_eq!(
            app.verify(&code_of(&app, 1_001), at(30_030)),
            Verification::Replayed
        );
    }

    #[test]
    fn a_token_pressed_ten_times_is_found_and_one_pressed_more_often_needs_two_codes() {
        let mut token = app(OtpKind::Counter, Algorithm::Sha1, 6);
        token.used = Some(4);
        assert_eq!(
            token.verify(&code_of(&token, 14), at(0)),
            Verification::Accepted { count: 14 }
        );
        assert_eq!(
            token.verify(&code_of(&token, 15), at(0)),
            Verification::Ahead { count: 15 }
        );
        assert_eq!(
            token.resync(15, &code_of(&token, 16)),
            Verification::Accepted { count: 16 }
        );
        assert_eq!(token.resync(15, &code_of(&token, 17)), Verification::Wrong);
        assert_eq!(
            token.verify(&code_of(&token, 4), at(0)),
            Verification::Replayed
        );
        assert_eq!(
            token.verify(&code_of(&token, 105), at(0)),
            Verification::Wrong
        );
    }

    #[test]
    fn the_url_names_issuer_and_account_and_escapes_them() {
        let app = app(OtpKind::Time { period: 30 }, Algorithm::Sha1, 6);
        assert_eq!(
            &**app.url("Büro & Co", "alice"),
            "otpauth://totp/B%C3%BCro%20%26%20Co:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=B%C3%BCro%20%26%20Co"
        );
    }

    #[test]
    fn the_url_says_what_differs_from_the_defaults() {
        let ending = |kind, algorithm| {
            let url = app(kind, algorithm, 8).url("vm", "alice");
            url.split_once("issuer=vm").unwrap().1.to_owned()
        };
        assert_eq!(
            ending(OtpKind::Time { period: 60 }, Algorithm::Sha256),
            "&algorithm=SHA256&digits=8&period=60"
        );
        assert_eq!(
            ending(OtpKind::Counter, Algorithm::Sha1),
            "&digits=8&counter=0"
        );
    }

    fn any_totp() -> impl Strategy<Value = App> {
        let algorithm = prop_oneof![
            Just(Algorithm::Sha1),
            Just(Algorithm::Sha256),
            Just(Algorithm::Sha512)
        ];
        (
            algorithm,
            prop_oneof![Just(6_u8), Just(8)],
            prop_oneof![Just(30_u32), Just(60)],
        )
            .prop_map(|(algorithm, digits, period)| {
                app(OtpKind::Time { period }, algorithm, digits)
            })
    }

    fn period_of(app: &App) -> u64 {
        match app.parameters.kind {
            OtpKind::Time { period } => period.into(),
            OtpKind::Counter => unreachable!(),
        }
    }

    proptest! {
        #[test]
        fn a_code_is_accepted_one_step_to_either_side_and_no_further(app in any_totp(), now in 10_000_u64..4_000_000_000, off in -5_i64..=5) {
            let step = now / period_of(&app);
            let count = step.checked_add_signed(off).unwrap();
            let accepted = matches!(app.verify(&code_of(&app, count), at(now)), Verification::Accepted { .. });
            // A code of another step may be the same digits by chance; then it is right.
            let in_window = (step - 1..=step + 1).any(|s| code_of(&app, s) == code_of(&app, count));
            prop_assert_eq!(accepted, in_window);
            prop_assert!(in_window || off.abs() > 1);
        }

        #[test]
        fn no_code_is_accepted_twice_nor_any_older_one_after_it(app in any_totp(), now in 10_000_u64..4_000_000_000, later in 0_u64..120) {
            let mut app = app;
            let step = now / period_of(&app);
            let Verification::Accepted { count } = app.verify(&code_of(&app, step), at(now)) else {
                return Err(TestCaseError::fail("the code of now is right"));
            };
            app.used = Some(count);
            for old in step.saturating_sub(3)..=count {
                let again = app.verify(&code_of(&app, old), at(now + later));
                if let Verification::Accepted { count: newer } = again {
                    prop_assert!(newer > count, "step {old} was accepted again as {newer}");
                }
            }
        }

        #[test]
        fn a_counter_never_goes_back(used in 0_u64..1_000_000, count in 0_u64..1_000_200) {
            let mut token = app(OtpKind::Counter, Algorithm::Sha1, 6);
            token.used = Some(used);
            if let Verification::Accepted { count: accepted } = token.verify(&code_of(&token, count), at(0)) {
                prop_assert!(accepted > used && accepted <= used + LOOK_AHEAD);
            }
        }

        #[test]
        fn whatever_is_typed_nothing_breaks(app in any_totp(), typed in ".{0,20}", now: i64) {
            let _ = app.verify(&typed, Timestamp::from_unix(now));
        }
    }
}
