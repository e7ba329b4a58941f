//! Settings of an app's link that the app ignores: many apps make every code with SHA-1, or six digits, or each 30
//! seconds, whatever the link says.

use super::{Algorithm, App, OtpKind, Parameters, Verification};
use crate::time::Timestamp;

/// A setting of the link that differs from what every app supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoredSetting {
    /// HOTP instead of TOTP.
    Counter,
    /// Another hash function than SHA-1.
    Algorithm(Algorithm),
    /// Another number of digits than six.
    Digits(u8),
    /// Another number of seconds than 30.
    Period(u32),
}

impl App {
    /// The settings that an app ignores if it shows `code` at `now`, as few as explain it; none if `code` is not a code of
    /// this key. This explains a mistake: such a code is never accepted.
    pub fn ignored_settings(&self, code: &str, now: Timestamp) -> Vec<IgnoredSetting> {
        let settings = self.parameters.settings();
        let subset = |bits: usize| {
            let chosen = settings.iter().enumerate();
            let chosen = chosen.filter(|(index, _)| bits & 1 << index != 0);
            chosen.map(|(_, setting)| *setting).collect::<Vec<_>>()
        };
        let mut subsets: Vec<_> = (1..1 << settings.len()).map(subset).collect();
        subsets.sort_by_key(Vec::len);
        let explains = |ignored: &Vec<IgnoredSetting>| {
            let app = Self {
                parameters: self.parameters.without(ignored),
                key: self.key.clone(),
                used: None,
            };
            matches!(app.verify(code, now), Verification::Accepted { .. })
        };
        subsets.into_iter().find(explains).unwrap_or_default()
    }
}

impl Parameters {
    /// What differs from the defaults.
    fn settings(self) -> Vec<IgnoredSetting> {
        let mut settings = Vec::new();
        match self.kind {
            OtpKind::Time { period: 30 } => {}
            OtpKind::Time { period } => settings.push(IgnoredSetting::Period(period)),
            OtpKind::Counter => settings.push(IgnoredSetting::Counter),
        }
        if self.algorithm != Algorithm::Sha1 {
            settings.push(IgnoredSetting::Algorithm(self.algorithm));
        }
        if self.digits != 6 {
            settings.push(IgnoredSetting::Digits(self.digits));
        }
        settings
    }

    /// These parameters with the defaults in place of `ignored`.
    fn without(mut self, ignored: &[IgnoredSetting]) -> Self {
        let default = Self::default();
        for setting in ignored {
            match setting {
                IgnoredSetting::Counter | IgnoredSetting::Period(_) => self.kind = default.kind,
                IgnoredSetting::Algorithm(_) => self.algorithm = default.algorithm,
                IgnoredSetting::Digits(_) => self.digits = default.digits,
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    const NOW: u64 = 1_800_000_000;

    fn app(kind: OtpKind, algorithm: Algorithm, digits: u8) -> App {
        App {
            parameters: Parameters::new(kind, algorithm, digits).unwrap(),
            key: Key::new(vec![7; 64]).unwrap(),
            used: None,
        }
    }

    fn ignored(asked: &App, shown: &App) -> Vec<IgnoredSetting> {
        let count = match shown.parameters.kind() {
            OtpKind::Time { period } => NOW / u64::from(period),
            OtpKind::Counter => 0,
        };
        let code = shown.totp(1, 0).generate(count).to_string();
        let now = Timestamp::from_unix(NOW.cast_signed());
        asked.ignored_settings(&code, now)
    }

    #[test]
    fn every_combination_of_ignored_settings_is_told_and_nothing_else() {
        use IgnoredSetting::{Digits, Period};
        const SHA512: IgnoredSetting = IgnoredSetting::Algorithm(Algorithm::Sha512);
        let (half, whole) = (OtpKind::Time { period: 30 }, OtpKind::Time { period: 60 });
        let asked = app(whole, Algorithm::Sha512, 8);
        for (kind, algorithm, digits, told) in [
            (whole, Algorithm::Sha512, 8, vec![]),
            (half, Algorithm::Sha512, 8, vec![Period(60)]),
            (whole, Algorithm::Sha1, 8, vec![SHA512]),
            (whole, Algorithm::Sha512, 6, vec![Digits(8)]),
            (half, Algorithm::Sha1, 8, vec![Period(60), SHA512]),
            (half, Algorithm::Sha512, 6, vec![Period(60), Digits(8)]),
            (whole, Algorithm::Sha1, 6, vec![SHA512, Digits(8)]),
            (
                half,
                Algorithm::Sha1,
                6,
                vec![Period(60), SHA512, Digits(8)],
            ),
            (half, Algorithm::Sha256, 8, vec![]),
        ] {
            assert_eq!(ignored(&asked, &app(kind, algorithm, digits)), told);
        }
        let token = app(OtpKind::Counter, Algorithm::Sha1, 6);
        let plain = app(half, Algorithm::Sha1, 6);
        assert_eq!(ignored(&token, &plain), [IgnoredSetting::Counter]);
        assert_eq!(ignored(&plain, &asked), []);
    }
}
