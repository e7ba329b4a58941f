//! Verifying an address: a code goes there, and somebody types it back.

use twofa_core::{Account, Timestamp};
use twofa_delivery::{Channel, Courier, DeliveryError};
use twofa_store::{AddressKind, Origin, Store, StoreError};
use zeroize::Zeroizing;

use crate::dialogue::{Dialogue, Gone};
use crate::words;

/// How often the code may be mistyped.
const TRIES: u32 = 3;
const DIGITS: usize = 6;

/// Why an address was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// The code did not go out.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The terminal went away.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// A verification that is to be made.
#[derive(Debug)]
pub struct Verification<'a> {
    /// Where it will be marked.
    pub store: &'a Store,
    /// Who carries the code.
    pub courier: &'a dyn Courier,
    /// Whose address it is.
    pub account: &'a Account,
    /// By whose hand.
    pub origin: &'a Origin,
    /// What the clock says, each time it matters.
    pub clock: fn() -> Timestamp,
}

impl Verification<'_> {
    /// Sends a code to `address` and marks it verified when the code comes back. Answers whether it did.
    pub fn of(
        &self,
        which: AddressKind,
        address: &str,
        dialogue: &mut dyn Dialogue,
    ) -> Result<bool, VerificationError> {
        let code = code()?;
        let channel = match which {
            AddressKind::Email => Channel::Email,
            AddressKind::Phone => Channel::Sms,
        };
        self.courier.send(channel, address, &code)?;
        let mut text = format!("A code was sent to {address}. Type it here: ");
        for left in (0..TRIES).rev() {
            let Some(typed) = dialogue.ask(text)? else { return Ok(false) };
            let typed = Zeroizing::new(typed.expose().trim().to_owned());
            if bool::from(subtle::ConstantTimeEq::ct_eq(typed.as_bytes(), code.as_bytes())) {
                let Self { store, account, origin, clock, .. } = self;
                return Ok(store.verify_address(account, which, address, origin, clock())?);
            }
            text = format!(
                "That is not the code. ({})\nThe code that was sent to {address}: ",
                words::tries_left(left.max(1))
            );
        }
        Ok(false)
    }
}

/// Six random digits without bias: bytes above the last whole ten are drawn again.
fn code() -> Result<Zeroizing<String>, StoreError> {
    let mut code = Zeroizing::new(String::with_capacity(DIGITS));
    while code.len() < DIGITS {
        let mut byte = Zeroizing::new([0]);
        getrandom::fill(&mut *byte)?;
        if byte[0] < 250 {
            code.push(char::from(b'0' + byte[0] % 10));
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use twofa_core::text::printable;
    use twofa_proto::{Prompt, Secret};
    use twofa_store::{Location, Owner, Settings};

    /// Keeps what was sent, as a mailbox would.
    #[derive(Debug, Default)]
    struct Mailbox(Mutex<Vec<String>>);

    impl Courier for Mailbox {
        fn send(&self, _: Channel, address: &str, code: &str) -> Result<(), DeliveryError> {
            if address.ends_with("example.invalid") {
                return Err(DeliveryError("no such host".to_owned()));
            }
            self.0.lock().unwrap().push(code.to_owned());
            Ok(())
        }
    }

    /// Types what is in the mailbox, or something else.
    struct Reader<'a> {
        mailbox: &'a Mailbox,
        wrong_first: u32,
    }

    impl Dialogue for Reader<'_> {
        fn prompt(&mut self, _: Prompt) -> Result<Option<Secret>, Gone> {
            if self.wrong_first > 0 {
                self.wrong_first -= 1;
                return Ok(Some("not a code".into()));
            }
            Ok(self.mailbox.0.lock().unwrap().last().map(|code| code.as_str().into()))
        }

        fn info(&mut self, _: Secret) -> Result<(), Gone> {
            Ok(())
        }

        fn error(&mut self, _: &str) -> Result<(), Gone> {
            Ok(())
        }
    }

    fn verified(address: &str, wrong_first: u32) -> Result<bool, String> {
        let folder = tempfile::tempdir().unwrap();
        let location =
            Location { database: folder.path().join("db/twofa.db"), key: folder.path().join("etc/key") };
        let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        let store = Store::create(location, owner).unwrap();
        let alice = Account { name: "alice".into(), uid: 1000 };
        let settings = Settings { email: Some(Some(address.to_owned())), ..Settings::default() };
        let now = || Timestamp::from_unix(1_800_000_000);
        store.set_user(&alice, &settings, &Origin::default(), now()).unwrap();
        let mailbox = Mailbox::default();
        let mut reader = Reader { mailbox: &mailbox, wrong_first };
        let origin = Origin::default();
        let verification =
            Verification { store: &store, courier: &mailbox, account: &alice, origin: &origin, clock: now };
        let result = verification.of(AddressKind::Email, address, &mut reader);
        let stored = store.situation(&alice).unwrap().user.email.unwrap().verified;
        let answered = result.map_err(|error| printable(&error.to_string()))?;
        assert_eq!(answered, stored);
        Ok(answered)
    }

    #[test]
    fn an_address_is_verified_when_its_code_comes_back() {
        assert_eq!(verified("alice@example.org", 0), Ok(true));
        assert_eq!(verified("alice@example.org", 2), Ok(true));
    }

    #[test]
    fn an_address_is_not_verified_after_three_wrong_codes_or_when_nothing_could_be_sent() {
        assert_eq!(verified("alice@example.org", 3), Ok(false));
        assert!(verified("alice@example.invalid", 0).unwrap_err().contains("no such host"));
    }

    #[test]
    fn a_code_has_six_digits() {
        for _ in 0..100 {
            let code = code().unwrap();
            assert!(code.len() == DIGITS && code.bytes().all(|b| b.is_ascii_digit()));
        }
    }
}
