//! Sentences about trusted devices.

use twofa_broker::text::messages::span;
use twofa_core::{DeviceKind, Duration};

use super::enumerate;

/// For how long a code makes which kinds of devices trusted; `None`: it does not.
pub(crate) fn trust(kinds: &[(DeviceKind, Duration)]) -> Option<String> {
    let parts: Vec<_> = kinds
        .chunk_by(|(_, one), (_, other)| one == other)
        .filter_map(|run| {
            let nouns: Vec<_> = run.iter().map(|(kind, _)| noun(*kind)).collect();
            let (_, duration) = run.first()?;
            Some(format!("{} for {}", enumerate(&nouns), span(*duration)))
        })
        .collect();
    (!parts.is_empty()).then(|| format!("A code can make trusted: {}.", parts.join(", ")))
}

/// Devices of this kind, for people.
const fn noun(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Key => "SSH keys",
        DeviceKind::Host => "client machines",
        DeviceKind::Address => "addresses",
        DeviceKind::Seat => "consoles",
        DeviceKind::Session => "sessions (su, sudo)",
        DeviceKind::Terminal => "terminals (su, sudo)",
    }
}

/// What became of the devices that were to be revoked.
pub(crate) fn revoked(count: u64) -> String {
    match count {
        0 => "No device was trusted.".to_owned(),
        1 => "One device is no longer trusted.".to_owned(),
        n => format!("{n} devices are no longer trusted."),
    }
}

/// How many users trust a device, where there are several.
pub(crate) fn shared(users: u32) -> String {
    match users {
        0 | 1 => "-".to_owned(),
        n => format!("shared by {n} users"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_with_the_same_duration_are_named_together() {
        let (day, month) = (
            Duration::from_minutes(24 * 60),
            Duration::from_minutes(30 * 24 * 60),
        );
        let kinds = [
            (DeviceKind::Key, month),
            (DeviceKind::Host, month),
            (DeviceKind::Address, day),
        ];
        assert_eq!(
            trust(&kinds).as_deref(),
            Some(
                "A code can make trusted: SSH keys and client machines for 30 days, addresses for 1 day."
            )
        );
        assert_eq!(trust(&[]), None);
    }
}
