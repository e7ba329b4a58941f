//! A moment, always handed in from outside.

/// Seconds since the Unix epoch, UTC. Never read from a clock in this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `seconds` after the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The moment `seconds` later, held at the end of time rather than wrapping round.
    #[must_use]
    pub const fn after(self, seconds: u64) -> Self {
        Self(self.0.saturating_add_unsigned(seconds))
    }

    /// The moment `seconds` earlier.
    #[must_use]
    pub const fn before(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(seconds))
    }

    /// Whole seconds since the epoch for a time-based code; a clock before 1970 reads as 1970.
    pub(crate) const fn for_totp(self) -> u64 {
        if self.0 < 0 { 0 } else { self.0.unsigned_abs() }
    }
}
