//! At which services a line of the module asks, to be held against those that the policy names.

use twofa_core::service::{ServiceKind, Services};

/// The services of a machine, by whether their stacks ask for a code where the policy says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    /// Those that ask, or may ask, because some of their files cannot be followed.
    pub(super) asking: Vec<String>,
    /// Those that never ask.
    pub(super) silent: Vec<String>,
    /// The service of sshd, which may have any name.
    pub(super) sshd: Option<String>,
}

impl Coverage {
    /// The entries of `services` that people expect to be asked by, and at which nothing asks. None where nothing asks at
    /// all, which is another finding.
    pub(super) fn missing(&self, services: &Services) -> Vec<String> {
        if self.asking.is_empty() || *services == Services::All {
            return Vec::new();
        }
        let parts = services.parts().into_iter();
        let missing = parts.filter(|part| !self.has(&self.asking, part) && self.is_expected(part));
        let missing: Vec<_> = missing.map(|part| part.to_string()).collect();
        if missing.is_empty() && !self.has(&self.asking, services) {
            return services.parts().iter().map(Services::to_string).collect();
        }
        missing
    }

    /// Whether a list of one entry is about something of this machine. A machine need not have services of each kind, and
    /// of the kind `other` it has many that nobody means.
    fn is_expected(&self, part: &Services) -> bool {
        let is_named = part.names().next().is_some();
        let others = Services::read(ServiceKind::Other.name());
        is_named || (Some(part) != others.as_ref() && self.has(&self.silent, part))
    }

    fn has(&self, names: &[String], services: &Services) -> bool {
        names.iter().any(|name| {
            let is_sshd = self.sshd.as_ref() == Some(name);
            services.include(Some(name), is_sshd)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(asking: &[&str], silent: &[&str], services: &str) -> String {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let coverage = Coverage {
            asking: owned(asking),
            silent: owned(silent),
            sshd: Some("sshd-internal".to_owned()),
        };
        coverage
            .missing(&Services::read(services).unwrap())
            .join(" ")
    }

    #[test]
    fn an_entry_at_which_no_line_asks_is_missing() {
        let (asking, silent) = (&["sshd-internal", "sudo", "cron"], &["login", "chfn"]);
        for (services, expected) in [
            ("all", ""),
            ("ssh,sudo", ""),
            ("sshsudo", "sshsudo"),
            ("ssh,sudo-i", "sudo-i"),
            // It runs jobs, and asks nobody.
            ("ssh,cron", "cron"),
            ("ssh,login", "login"),
            ("ssh,console", "console"),
            // This machine has no lockers, and nobody means chfn.
            ("ssh,unlock,other", ""),
            // But nobody is asked anywhere.
            ("unlock", "unlock"),
        ] {
            assert_eq!(missing(asking, silent, services), expected, "{services}");
        }
    }

    #[test]
    fn where_nothing_asks_at_all_no_entry_is_to_blame() {
        assert_eq!(missing(&[], &["sshd", "sudo"], "ssh,sudoo"), "");
    }
}
