//! What is wrong with a code, for the log and for the person.

use twofa_core::Verification;
use twofa_core::app::OtpKind;
use twofa_core::user::EnrolledApp;
use twofa_store::event::RefusalReason;

use super::refusals::{EXPIRED_CODE, WRONG_CODE};

/// What is wrong with a code.
#[derive(Debug, Clone, Copy)]
pub struct WrongAnswer {
    /// For the log.
    pub why: RefusalReason,
    /// For the person. It tells an attacker nothing about the code.
    pub hint: &'static str,
}

const NOT_A_BACKUP_CODE: &str = "That is not one of your unused backup codes.";
const USED_CODE: &str = "That code has already been used: wait for the next one.";
const WRONG_TOKEN_CODE: &str =
    "Wrong code. With a hardware token, press its button and type the next one.";
const CLOCK_WENT_BACK: &str =
    "The clock of this machine is wrong, so no code can be checked. Tell an administrator.";

impl WrongAnswer {
    /// There is no code in the answer.
    pub const NO_CODE: Self = Self::new(RefusalReason::NothingToVerify, WRONG_CODE);
    /// The record was removed since the login began.
    pub const USER_REMOVED: Self = Self::new(RefusalReason::UserRemoved, WRONG_CODE);
    /// The code that was sent has expired.
    pub const EXPIRED: Self = Self::new(RefusalReason::SentCodeExpired, EXPIRED_CODE);
    /// One that was recorded before.
    pub const fn on_record(why: RefusalReason) -> Self {
        match why {
            RefusalReason::SentCodeExpired => Self::EXPIRED,
            RefusalReason::Replayed => Self::new(why, USED_CODE),
            RefusalReason::UnknownBackupCode => Self::BACKUP_CODE,
            RefusalReason::BackupCodeJustUsed => Self::BACKUP_CODE_USED,
            _ => Self::new(why, WRONG_CODE),
        }
    }

    /// The policy no longer allows the method of the code.
    pub const METHOD_REMOVED: Self = Self::new(RefusalReason::MethodRemoved, WRONG_CODE);
    /// The code was sent to an address that is no longer the person's.
    pub const ADDRESS_CHANGED: Self = Self::new(RefusalReason::AddressChanged, WRONG_CODE);
    /// It is none of the backup codes.
    pub const BACKUP_CODE: Self = Self::new(RefusalReason::UnknownBackupCode, NOT_A_BACKUP_CODE);
    /// Another login was faster with the same backup code.
    pub const BACKUP_CODE_USED: Self =
        Self::new(RefusalReason::BackupCodeJustUsed, NOT_A_BACKUP_CODE);

    const fn new(why: RefusalReason, hint: &'static str) -> Self {
        Self { why, hint }
    }

    /// A code that none of `apps` accepts.
    pub fn app_code(verification: Verification, apps: &[EnrolledApp]) -> Self {
        let is_token = |app: &EnrolledApp| app.app.parameters.kind() == OtpKind::Counter;
        // The same whether a token ran ahead or a code was guessed: it says nothing about the code.
        let wrong = if apps.iter().any(is_token) {
            WRONG_TOKEN_CODE
        } else {
            WRONG_CODE
        };
        match verification {
            Verification::Replayed => Self::new(RefusalReason::Replayed, USED_CODE),
            Verification::ClockWentBack => Self::new(RefusalReason::ClockWentBack, CLOCK_WENT_BACK),
            Verification::Ahead { .. } => Self::new(RefusalReason::TokenAhead, wrong),
            Verification::Drifted { seconds } => {
                Self::new(RefusalReason::Drifted { seconds }, wrong)
            }
            Verification::Wrong | Verification::Accepted { .. } => {
                Self::new(RefusalReason::WrongCode, wrong)
            }
        }
    }
}

impl AsRef<RefusalReason> for WrongAnswer {
    fn as_ref(&self) -> &RefusalReason {
        &self.why
    }
}
