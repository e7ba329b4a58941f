//! The commands, a file for each noun.

pub(crate) mod class;
pub(crate) mod completions;
mod confirm;
pub(crate) mod doctor;
pub(crate) mod exemption;
pub(crate) mod log;
pub(crate) mod method;
pub(crate) mod policy;
pub(crate) mod provider;
pub(crate) mod self_service;
pub(crate) mod user;

use twofa_core::Timestamp;
use twofa_proto::UserStatus;
use twofa_store::Origin;

use crate::messages::{moment, rfc3339};
use crate::output::Value;

/// Where somebody stands, in the words of the manual.
fn standing(standing: UserStatus) -> Value {
    match standing {
        UserStatus::Off => Value::Text("off".to_owned()),
        UserStatus::Pending => Value::Warning("pending setup at next login".to_owned()),
        UserStatus::NotAllowed => Value::Warning("enrolled method no longer allowed".to_owned()),
        UserStatus::Enabled => Value::Good("enabled".to_owned()),
        UserStatus::LockedUntil(until) => Value::Bad(format!(
            "locked until {}",
            moment(Timestamp::from_unix(until))
        )),
        UserStatus::Locked => Value::Bad("locked until unlocked".to_owned()),
        UserStatus::Exempt(Some(until)) => Value::Warning(format!(
            "exempt until {}",
            moment(Timestamp::from_unix(until))
        )),
        UserStatus::Exempt(None) => Value::Warning("exempt without end".to_owned()),
    }
}

/// The same for scripts.
const fn standing_word(standing: UserStatus) -> &'static str {
    match standing {
        UserStatus::Off => "off",
        UserStatus::Pending => "pending",
        UserStatus::NotAllowed => "not-allowed",
        UserStatus::Enabled => "enabled",
        UserStatus::LockedUntil(_) | UserStatus::Locked => "locked",
        UserStatus::Exempt(_) => "exempt",
    }
}

/// When a lock or an exemption ends by itself, for scripts.
fn standing_until(standing: UserStatus) -> Option<String> {
    match standing {
        UserStatus::LockedUntil(until) | UserStatus::Exempt(Some(until)) => {
            Some(rfc3339(Timestamp::from_unix(until)))
        }
        _ => None,
    }
}

/// What root does here, in the audit log.
fn by_root() -> Origin {
    Origin {
        actor: administrator(),
        service: Some("twofa".to_owned()),
        ..Origin::default()
    }
}

/// The uid of whoever logged in and became root since (`/proc/self/loginuid`, proc(5)), where the kernel keeps it; else
/// root's.
fn administrator() -> u32 {
    let login_uid = std::fs::read_to_string("/proc/self/loginuid")
        .ok()
        .and_then(|uid| uid.trim().parse().ok());
    login_uid.filter(|uid| *uid != u32::MAX).unwrap_or(0)
}
