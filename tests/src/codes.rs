//! The app on the user's phone. Codes come from oathtool, so that the test does not repeat a mistake of our code.

use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::wait;

/// How far ahead of now a code is still accepted: RFC 6238 §5.2 recommends one step.
const WINDOW: u64 = 1;

/// The time, in seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the phone's clock is the real one"
)]
pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs()
}

/// The time-based code of `key` (base32) at a time that oathtool understands, `@1700000000` or `now - 90 seconds`;
/// `extra` are further arguments of oathtool, for instance `--digits=8`.
///
/// # Panics
///
/// If oathtool fails; the message contains its output.
pub fn oathtool(key: &str, at: Option<&str>, extra: &[&str]) -> String {
    let mut command = Command::new("oathtool");
    // oathtool uses the last --totp, so `extra` may contain --totp=SHA256.
    command.args(["--base32", "--totp"]).args(extra);
    if let Some(at) = at {
        command.args(["--now", at]);
    }
    let output = command.arg(key).output().expect("oathtool is installed");
    assert!(
        output.status.success(),
        "oathtool: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// An authenticator app with one account in it, and the user's backup codes beside it.
#[derive(Debug)]
pub struct Authenticator {
    /// The key in base32, without spaces.
    pub key: String,
    /// The backup codes shown during enrolment.
    pub backup_codes: Vec<String>,
    period: u64,
    extra: Vec<String>,
    /// The last step whose code [`next_code`](Self::next_code) returned.
    used: Mutex<u64>,
}

impl Authenticator {
    /// An app that has scanned `key`: six digits, SHA-1, every 30 seconds.
    pub fn new(key: &str) -> Self {
        let key = key
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .collect();
        Self {
            key,
            backup_codes: Vec::new(),
            period: 30,
            extra: Vec::new(),
            used: Mutex::new(0),
        }
    }

    /// The same app with another period in seconds and more arguments for oathtool, such as `--digits=8`.
    #[must_use]
    pub fn with(mut self, period: u64, extra: &[&str]) -> Self {
        self.period = period;
        self.extra = extra.iter().map(ToString::to_string).collect();
        self.extra.push(format!("--time-step-size={period}s"));
        self
    }

    /// The code the app shows now, used or not.
    pub fn code(&self) -> String {
        self.code_at(0)
    }

    /// The code that the app shows this many steps from now.
    pub fn code_at(&self, steps: i64) -> String {
        self.code_of(
            self.step()
                .checked_add_signed(steps)
                .expect("a time after 1970"),
        )
    }

    /// A valid code that has not been used; every step is accepted once. Repeated calls run ahead of the clock as far as
    /// the window allows, and only then wait for it.
    pub fn next_code(&self) -> String {
        let mut used = self.used.lock().unwrap();
        let step = self.step().max(*used + 1);
        let longest = Duration::from_secs(self.period * (WINDOW + 1));
        wait::until("the next step of the clock", longest, || {
            (step <= self.step() + WINDOW).then_some(())
        });
        *used = step;
        self.code_of(step)
    }

    fn code_of(&self, step: u64) -> String {
        let extra: Vec<&str> = self.extra.iter().map(String::as_str).collect();
        oathtool(&self.key, Some(&format!("@{}", step * self.period)), &extra)
    }

    fn step(&self) -> u64 {
        unix_now() / self.period
    }
}

#[cfg(test)]
mod tests {
    use super::{Authenticator, oathtool};

    /// The key of RFC 6238 appendix B.
    const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_the_standard() {
        assert_eq!(
            oathtool(KEY, Some("@1111111109"), &["--digits=8"]),
            "07081804"
        );
        assert_eq!(
            Authenticator::new(KEY)
                .with(30, &["--digits=8"])
                .code_of(1_111_111_109 / 30),
            "07081804"
        );
    }

    #[test]
    fn the_next_code_is_never_the_one_before() {
        let app = Authenticator::new("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        let codes = [app.next_code(), app.next_code()];
        assert_ne!(codes[0], codes[1]);
        assert!(codes.iter().all(|code| code.len() == 6));
    }
}
