//! Giving up root, and keeping secrets in memory.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use twofa_names::{Unanswered, listed_groups, system_user};
use twofa_proto::SERVICE_USER;
use twofa_store::Owner;

/// Why the process does not have the privileges that it must have.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The system user does not exist.
    #[error(
        "there is no system user '{SERVICE_USER}': the package or 'make install' makes it, see sysusers.d(5)"
    )]
    NoServiceUser,
    /// The system user is root, by uid or group.
    #[error("the system user '{SERVICE_USER}' is root: it must be a user of its own")]
    ServiceUserIsRoot,
    /// The process was started neither by root nor by the service.
    #[error("only root and '{SERVICE_USER}' can do this")]
    NotPermitted,
    /// The name service failed.
    #[error("cannot look up the system user: {0}")]
    Names(#[from] Unanswered),
    /// The kernel refused.
    #[error("cannot {0}: {1}")]
    Refused(&'static str, nix::Error),
}

/// The service's user and group.
fn service_user() -> Result<(Uid, Gid), PrivilegeError> {
    let (uid, gid) = system_user(SERVICE_USER)?.ok_or(PrivilegeError::NoServiceUser)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    if uid.is_root() || gid == Gid::from_raw(0) {
        return Err(PrivilegeError::ServiceUserIsRoot);
    }
    Ok((uid, gid))
}

/// The service's user as the owner of a store.
pub fn service_owner() -> Result<Owner, PrivilegeError> {
    let (uid, gid) = service_user()?;
    Ok(Owner {
        uid: uid.as_raw(),
        gid: gid.as_raw(),
    })
}

/// Becomes the service's user irrevocably: all three uids and gids, and its groups.
///
/// Its groups are those of `/etc/group`, such as `dialout` for a modem. `initgroups(3)` would ask every directory, and
/// logins would wait for one that hangs.
pub fn become_service_user() -> Result<(), PrivilegeError> {
    let (uid, gid) = service_user()?;
    if geteuid() == uid {
        return Ok(());
    }
    if !geteuid().is_root() {
        return Err(PrivilegeError::NotPermitted);
    }
    let others = listed_groups(SERVICE_USER)
        .into_iter()
        .map(Gid::from_raw)
        .filter(|other| *other != gid);
    let groups: Vec<_> = std::iter::once(gid).chain(others).collect();
    setgroups(&groups).map_err(refused("give up root's groups"))?;
    setresgid(gid, gid, gid).map_err(refused("give up root's group"))?;
    setresuid(uid, uid, uid).map_err(refused("give up root"))?;
    // The kernel reported success three times; check that it is true.
    match setresuid(
        Uid::from_raw(u32::MAX),
        Uid::from_raw(0),
        Uid::from_raw(u32::MAX),
    ) {
        Err(_) => Ok(()),
        Ok(()) => Err(PrivilegeError::NotPermitted),
    }
}

/// Forbids core dumps, debuggers of the same user, and gaining privileges by exec, so that secrets stay in this process.
pub fn harden() -> Result<(), PrivilegeError> {
    prctl::set_no_new_privs().map_err(refused("forbid new privileges"))?;
    forbid_core_dumps()
}

/// Has a crash of this process leave nothing that could hold a password, and other processes not read its memory.
pub fn forbid_core_dumps() -> Result<(), PrivilegeError> {
    prctl::set_dumpable(false).map_err(refused("forbid core dumps"))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(refused("forbid core dumps"))
}

fn refused(what: &'static str) -> impl FnOnce(nix::Error) -> PrivilegeError {
    move |error| PrivilegeError::Refused(what, error)
}
