//! The commands, a file for each noun.

mod checks;
pub(crate) mod class;
pub(crate) mod completions;
mod confirm;
pub(crate) mod doctor;
pub(crate) mod exemption;
pub(crate) mod log;
mod losses;
pub(crate) mod method;
pub(crate) mod policy;
pub(crate) mod provider;
pub(crate) mod self_service;
pub(crate) mod user;

use jiff::tz::TimeZone;
use twofa_core::Timestamp;
use twofa_proto::Standing;
use twofa_store::Origin;

use crate::output::Value;

/// A moment in local time.
fn moment(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(at.unix()).unwrap_or_default();
    at.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// A moment as JSON has it (RFC 3339).
fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.unix())
        .unwrap_or_default()
        .to_string()
}

/// Where somebody stands, in the words of the manual.
fn standing(standing: Standing) -> Value {
    match standing {
        Standing::Off => Value::Text("off".to_owned()),
        Standing::Pending => Value::Warning("pending setup at next login".to_owned()),
        Standing::NotAllowed => Value::Warning("enrolled method no longer allowed".to_owned()),
        Standing::Enabled => Value::Good("enabled".to_owned()),
        Standing::LockedUntil(until) => Value::Bad(format!(
            "locked until {}",
            moment(Timestamp::from_unix(until))
        )),
        Standing::Locked => Value::Bad("locked until unlocked".to_owned()),
        Standing::Exempt(Some(until)) => Value::Warning(format!(
            "exempt until {}",
            moment(Timestamp::from_unix(until))
        )),
        Standing::Exempt(None) => Value::Warning("exempt without end".to_owned()),
    }
}

/// The same for scripts.
const fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Off => "off",
        Standing::Pending => "pending",
        Standing::NotAllowed => "not-allowed",
        Standing::Enabled => "enabled",
        Standing::LockedUntil(_) | Standing::Locked => "locked",
        Standing::Exempt(_) => "exempt",
    }
}

/// When a lock or an exemption ends by itself, for scripts.
fn standing_until(standing: Standing) -> Option<String> {
    match standing {
        Standing::LockedUntil(until) | Standing::Exempt(Some(until)) => {
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
