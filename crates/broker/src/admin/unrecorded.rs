//! The services at which `mode=report` records nothing.

use twofa_core::service;
use twofa_core::{Mode, Rulebook};
use twofa_stacks::{Host, OwnLine, Phase, Service};

/// Those of the services `names` that call the module where a policy only reports, and whose logins with a password are
/// never recorded. Of people who may not have shown the first factor nothing is, and only of a program with root's rights it
/// is certain who logs in.
pub(super) fn unrecorded(
    names: impl IntoIterator<Item = String>,
    host: &dyn Host,
    rulebook: &Rulebook,
) -> Vec<String> {
    let reporting: Vec<_> = rulebook
        .policies()
        .map(|(_, policy)| policy)
        .filter(|policy| policy.mode == Mode::Report)
        .collect();
    let is_reported = |name: &String| {
        let mut policies = reporting.iter();
        policies.any(|policy| policy.services.include(Some(name), name == "sshd"))
    };
    let is_unrecorded = |name: &String| {
        Service::read(name, host).is_ok_and(|service| {
            let mut lines = service.own_lines();
            lines.retain(|line| line.reached);
            !lines.is_empty() && (service::is_locker(name) || !lines.iter().any(is_recorded))
        })
    };
    let names = names.into_iter();
    names
        .filter(|name| is_reported(name) && is_unrecorded(name))
        .collect()
}

/// Whether the broker records a login when this line is called.
fn is_recorded(line: &OwnLine) -> bool {
    line.phase == Phase::Account || !line.unproved
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use twofa_core::policy::Policy;
    use twofa_stacks::File;

    use super::*;

    struct Files(BTreeMap<String, &'static str>);

    impl Host for Files {
        fn read(&self, path: &str) -> File {
            let text = self.0.get(path).map(|text| (*text).to_owned());
            text.map_or(File::Missing, File::Text)
        }

        fn debian(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_stack_that_calls_the_module_after_a_wrong_password_too_is_named() {
        let early =
            "auth optional pam_unix.so\nauth required pam_twofa.so\naccount required pam_unix.so\n";
        let usual =
            "auth required pam_unix.so\nauth required pam_twofa.so\naccount required pam_unix.so\n";
        let requisite = "auth requisite pam_unix.so\nauth required pam_twofa.so\naccount required pam_unix.so\n";
        let confirmed = "auth optional pam_unix.so\nauth required pam_twofa.so\naccount required pam_twofa.so\n";
        let without = "auth required pam_unix.so\naccount required pam_unix.so\n";
        let stacks = [
            ("sshd", early),
            ("login", requisite),
            ("sudo", confirmed),
            ("su", without),
            ("swaylock", requisite),
            ("testapp", usual),
        ];
        let files = stacks.map(|(name, text)| (format!("/etc/pam.d/{name}"), text));
        let found = |settings: &[(&str, &str)]| {
            let policy = Policy::from_settings(settings.iter().copied()).unwrap();
            let rulebook = Rulebook::new(policy, Vec::new()).unwrap();
            let names = stacks.map(|(name, _)| name.to_owned());
            unrecorded(names, &Files(files.clone().into()), &rulebook).join(" ")
        };
        // pam_unix.so with 'required' lets the stack go on after a wrong password.
        assert_eq!(found(&[("mode", "report")]), "sshd swaylock testapp");
        let some = [("mode", "report"), ("services", "console,unlock")];
        assert_eq!(found(&some), "swaylock");
        assert_eq!(found(&[("mode", "mandatory")]), "");
    }
}
