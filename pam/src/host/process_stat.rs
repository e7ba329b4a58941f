//! What the kernel says of a process in `/proc/PID/stat`.

use std::fs;

/// `/proc/PID/stat` from its third field on.
pub(super) struct Stat(String);

impl Stat {
    pub(super) fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is the name of the program in parentheses, which may contain both and spaces.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        Some(Self(rest.trim().to_owned()))
    }

    /// The field of this number in proc(5), where the first is 1.
    pub(super) fn number(&self, field: usize) -> Option<u64> {
        let mut fields = self.0.split(' ');
        fields.nth(field.checked_sub(3)?)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let stat = "12 (a b) c) S 1 12 13 34816 12 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0";
        let stat = Stat::parse(stat).unwrap();
        assert_eq!(
            (stat.number(6), stat.number(7), stat.number(22)),
            (Some(13), Some(34816), Some(4711))
        );
        assert_eq!(stat.number(99), None);
    }
}
