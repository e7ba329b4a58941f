//! What `Match` blocks of sshd make of its stack, where that is another thing than outside of them.

use crate::admin::doctor::complaints::Complaints;
use crate::admin::doctor::finding::{Complaint, SshdComplaint};
use crate::admin::doctor::sshd::Sshd;

/// What of the stack matters.
#[derive(Debug, Clone, Copy)]
pub(super) struct StackNeeds {
    /// It asks, with a prompt of its own.
    pub(super) asks_question: bool,
    /// Its `account` phase lets in without a code.
    pub(super) account_lets_in: bool,
}

/// Complains of blocks that do worse than the settings outside of them.
pub(super) fn check_blocks(
    service: &str,
    sshd: &Sshd,
    needs: StackNeeds,
    complaints: &mut Complaints,
) {
    let places = |is_worse: &dyn Fn(&str, &Sshd) -> bool| -> Vec<String> {
        let blocks = sshd.blocks.iter().filter(|block| {
            let mut logins = block.logins.iter();
            logins.any(|(user, settings)| is_worse(user, settings))
        });
        blocks.map(|block| block.place.clone()).collect()
    };
    // Those who can use a key alone wherever they come from are named by another complaint.
    let is_named = |user: &str| {
        let mut accounts = sshd.accounts.iter();
        accounts.any(|account| account.name == user && account.key_alone_lets_in)
    };
    let keys = |user: &str, settings: &Sshd| {
        needs.account_lets_in
            && settings.key_alone_lets_in()
            && !sshd.key_alone_lets_in()
            && !is_named(user)
    };
    let passwords = |_: &str, settings: &Sshd| {
        needs.asks_question && settings.takes_passwords() && !sshd.takes_passwords()
    };
    let mute = |_: &str, settings: &Sshd| {
        let is_mute = !settings.can_ask() && !settings.key_alone_lets_in();
        needs.asks_question && is_mute && !settings.takes_passwords() && sshd.can_ask()
    };
    for (places, complaint) in [
        (
            places(&keys),
            SshdComplaint::KeyAloneLetsInBlocks as fn(Vec<String>) -> SshdComplaint,
        ),
        (places(&passwords), SshdComplaint::PasswordMethodInBlocks),
        (places(&mute), SshdComplaint::CannotAskInBlocks),
    ] {
        if !places.is_empty() {
            complaints.add(service, Complaint::Sshd(complaint(places)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::doctor::finding::Finding;
    use crate::admin::doctor::sshd::SshdBlock;

    const BASE: &str = "usepam yes\npubkeyauthentication yes\nkbdinteractiveauthentication yes\n\
        passwordauthentication no\nauthenticationmethods publickey,keyboard-interactive\n";

    fn found(change: (&str, &str)) -> Vec<Finding> {
        let block = SshdBlock {
            place: "f:1".to_owned(),
            logins: vec![(
                "bob".to_owned(),
                Sshd::read(&BASE.replace(change.0, change.1)),
            )],
        };
        let mut sshd = Sshd::read(BASE);
        sshd.blocks = vec![block];
        let mut complaints = Complaints::default();
        let needs = StackNeeds {
            asks_question: true,
            account_lets_in: true,
        };
        check_blocks("sshd", &sshd, needs, &mut complaints);
        complaints.into_findings()
    }

    #[test]
    fn a_block_that_lets_in_with_less_or_cannot_ask_is_named() {
        let places = || vec!["f:1".to_owned()];
        let key_first = "methods publickey,keyboard-interactive";
        for (change, complaint) in [
            (
                (key_first, "methods publickey"),
                SshdComplaint::KeyAloneLetsInBlocks(places()),
            ),
            (
                (
                    "passwordauthentication no\nauthenticationmethods publickey,keyboard-interactive",
                    "passwordauthentication yes\nauthenticationmethods password",
                ),
                SshdComplaint::PasswordMethodInBlocks(places()),
            ),
            (
                (
                    "kbdinteractiveauthentication yes",
                    "kbdinteractiveauthentication no",
                ),
                SshdComplaint::CannotAskInBlocks(places()),
            ),
        ] {
            let services = vec!["sshd".to_owned()];
            let complaint = Complaint::Sshd(complaint);
            let finding = Finding::Services {
                services,
                complaint,
            };
            assert_eq!(found(change), [finding], "{change:?}");
        }
        assert_eq!(found(("", "")), []);
    }
}
