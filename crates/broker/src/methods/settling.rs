//! When a right code becomes a login, and whether it makes the device trusted.

use twofa_core::Duration;
use twofa_core::policy::Offer;
use twofa_store::{NewTrust, Pass, Settlement};

/// How the codes of one login are settled.
#[derive(Debug, Clone, Copy)]
pub struct Settling<'a> {
    /// What is known of the login.
    pub passing: Passing<'a>,
    /// For how long a code can make the device trusted; `None`: it cannot.
    pub trust_for: Option<Duration>,
    /// Which codes do.
    pub offer: Offer,
    /// Whether the first factor is known to be right. If not, the account phase settles it, where there is one.
    pub is_first_factor_shown: bool,
    /// Whether the login comes to a line of ours in the account phase.
    pub can_confirm: bool,
}

/// What is known of a login.
#[derive(Debug, Clone, Copy)]
pub enum Passing<'a> {
    /// It is one on this machine.
    Here(Pass<'a>),
    /// It is one on a host of the fleet, where a code makes this trusted.
    OnHost(NewTrust<'a>),
}

impl<'a> Settling<'a> {
    /// How a right code is settled; `trusts_device`: it was typed with a `+`.
    pub fn settlement(&self, trusts_device: bool) -> Settlement<'a> {
        let is_wanted = trusts_device || self.offer == Offer::Always;
        let trust_for = self.trust_for.filter(|_| is_wanted && self.can_confirm);
        let pass = match self.passing {
            Passing::Here(pass) => Pass { trust_for, ..pass },
            Passing::OnHost(trust) => {
                return match trust_for {
                    Some(duration) => Settlement::Trusting(NewTrust { duration, ..trust }),
                    None => Settlement::Now(None),
                };
            }
        };
        if self.can_confirm && (trust_for.is_some() || !self.is_first_factor_shown) {
            Settlement::InAccount(pass)
        } else {
            Settlement::Now(Some(pass))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_store::{LoginProcess, ProcessId, TicketNumber};

    const DAY: Duration = Duration::from_minutes(24 * 60);

    /// How a right code is settled: whether it waits for the account phase, and whether it makes the device trusted.
    fn settled(
        offer: Offer,
        trust_for: Option<Duration>,
        is_first_factor_shown: bool,
        can_confirm: bool,
        trusts_device: bool,
    ) -> (bool, bool) {
        let process = LoginProcess {
            boot: "boot".into(),
            own: ProcessId { pid: 1, start: 1 },
            parent: None,
        };
        let settling = Settling {
            passing: Passing::Here(Pass {
                ticket: TicketNumber(1),
                process: &process,
                device: None,
                trust_for: None,
                class: "everyone",
                password: None,
                ssh_auth_info: None,
            }),
            trust_for,
            offer,
            is_first_factor_shown,
            can_confirm,
        };
        match settling.settlement(trusts_device) {
            Settlement::Now(pass) => (false, pass.is_some_and(|pass| pass.trust_for.is_some())),
            Settlement::InAccount(pass) => (true, pass.trust_for.is_some()),
            Settlement::Trusting(_) => panic!("it is no login on a host"),
        }
    }

    #[test]
    fn a_device_is_trusted_if_that_is_wanted_and_there_is_an_account_phase() {
        for (offer, trust_for, can_confirm, plus, expected) in [
            (Offer::Ask, Some(DAY), true, true, (true, true)),
            (Offer::Ask, Some(DAY), true, false, (false, false)),
            (Offer::Always, Some(DAY), true, false, (true, true)),
            (Offer::Ask, None, true, true, (false, false)),
            (Offer::Always, None, true, false, (false, false)),
            (Offer::Ask, Some(DAY), false, true, (false, false)),
        ] {
            let outcome = settled(offer, trust_for, true, can_confirm, plus);
            assert_eq!(
                outcome, expected,
                "{offer:?} {trust_for:?} {can_confirm} {plus}"
            );
        }
    }

    #[test]
    fn if_the_first_factor_may_be_wrong_the_account_phase_settles_the_code() {
        assert_eq!(settled(Offer::Ask, None, false, true, false), (true, false));
        assert_eq!(
            settled(Offer::Ask, Some(DAY), false, true, true),
            (true, true)
        );
        assert_eq!(
            settled(Offer::Ask, None, false, false, false),
            (false, false)
        );
    }
}
