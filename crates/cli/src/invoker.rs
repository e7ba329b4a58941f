//! Files that are named on the command line are opened with the rights of the person who called `sudo`, not with root's.
//!
//! A site may let its help desk run `sudo twofa user unlock --from-file FILE` and nothing else as root. That must not become
//! a way to read files, to learn whether they exist, or to open devices and FIFOs. sudo(8), run0(1), pkexec(1) and doas(1)
//! each say in the environment who called them; nobody who is not root already can set these variables for a process of
//! root's.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use nix::unistd::{
    Gid, Uid, User, getegid, geteuid, getgrouplist, getgroups, getuid, setegid, seteuid, setgroups,
};

/// Does `act` with the effective uid, gid and groups of the caller of sudo; without one, as this process is. Nothing else
/// may run in this process meanwhile, because its threads share their rights.
pub(crate) fn as_invoker<T>(act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if !getuid().is_root() || !geteuid().is_root() {
        return act();
    }
    let Some(invoker) = invoker(|name| std::env::var_os(name), is_shell)? else {
        return act();
    };
    let user = find(&invoker)?;
    let (own_groups, own_group) = (getgroups()?, getegid());
    setgroups(&user.groups)?;
    setegid(user.gid)?;
    seteuid(user.uid)?;
    let result = act();
    // The real and the saved uid are still root's.
    seteuid(Uid::from_raw(0))?;
    setegid(own_group)?;
    setgroups(&own_groups)?;
    result
}

/// Who called sudo, for messages; `None`: nobody, or root.
pub(crate) fn name() -> Option<String> {
    if !getuid().is_root() {
        return None;
    }
    match invoker(|name| std::env::var_os(name), is_shell).ok()?? {
        Invoker::Name(name) => Some(name),
        Invoker::Uid(uid) => Some(match User::from_uid(uid) {
            Ok(Some(user)) => user.name,
            _ => format!("uid {uid}"),
        }),
    }
}

/// Somebody on whose behalf root runs this.
#[derive(Debug, PartialEq, Eq)]
enum Invoker {
    Uid(Uid),
    Name(String),
}

struct Rights {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// Who is behind this process, by the environment that `variable` reads. In a shell that sudo started, which `is_shell`
/// recognises, a person has become root for everything.
fn invoker(
    variable: impl Fn(&str) -> Option<OsString>,
    is_shell: impl Fn(&str) -> bool,
) -> io::Result<Option<Invoker>> {
    let text = |name: &str| {
        let value = variable(name).map(OsString::into_string).transpose();
        value.map_err(|_| unreadable(name))
    };
    if let Some(command) = text("SUDO_COMMAND")?
        && is_shell(&command)
    {
        return Ok(None);
    }
    for name in ["SUDO_UID", "PKEXEC_UID"] {
        if let Some(uid) = text(name)? {
            let uid: u32 = uid.parse().map_err(|_| unreadable(name))?;
            return Ok((uid != 0).then(|| Invoker::Uid(Uid::from_raw(uid))));
        }
    }
    let name = text("DOAS_USER")?;
    Ok(name.filter(|name| name != "root").map(Invoker::Name))
}

/// Whether sudo was asked for a shell (`sudo -i`, `sudo -s`, `sudo su -`) and for nothing in it.
fn is_shell(command: &str) -> bool {
    if let "/bin/su" | "/usr/bin/su" = command.trim_end_matches(" -") {
        return true;
    }
    let shells = std::fs::read_to_string("/etc/shells").unwrap_or_default();
    command.starts_with('/') && shells.lines().any(|shell| shell == command)
}

fn find(invoker: &Invoker) -> io::Result<Rights> {
    let user = match invoker {
        Invoker::Uid(uid) => User::from_uid(*uid)?,
        Invoker::Name(name) => User::from_name(name)?,
    };
    match (user, invoker) {
        (Some(user), _) => {
            let name = std::ffi::CString::new(user.name)?;
            Ok(Rights {
                uid: user.uid,
                gid: user.gid,
                groups: getgrouplist(&name, user.gid)?,
            })
        }
        // Nobody's group: an account that is gone has none.
        (None, Invoker::Uid(uid)) => Ok(Rights {
            uid: *uid,
            gid: Gid::from_raw(65_534),
            groups: Vec::new(),
        }),
        (None, Invoker::Name(_)) => Err(unreadable("DOAS_USER")),
    }
}

fn unreadable(variable: &str) -> io::Error {
    io::Error::other(format!("{variable} does not name a user"))
}

/// Whether `file` is another name of standard input, which is open already.
pub(crate) fn is_standard_input(file: &Path) -> bool {
    ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"]
        .iter()
        .any(|name| file == Path::new(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> io::Result<Option<Invoker>> {
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        invoker(value, |command| command == "/bin/bash")
    }

    #[test]
    fn the_person_behind_root_is_the_one_whom_sudo_pkexec_or_doas_names() {
        let alice = || Some(Invoker::Uid(Uid::from_raw(1000)));
        for (variables, expected) in [
            (&[][..], None),
            (&[("SUDO_UID", "1000")], alice()),
            (
                &[
                    ("SUDO_UID", "1000"),
                    ("SUDO_COMMAND", "/usr/bin/twofa doctor"),
                ],
                alice(),
            ),
            (
                &[("SUDO_UID", "1000"), ("SUDO_COMMAND", "/bin/bash -c x")],
                alice(),
            ),
            (&[("SUDO_UID", "1000"), ("SUDO_COMMAND", "/bin/bash")], None),
            (&[("SUDO_UID", "0")], None),
            (&[("PKEXEC_UID", "1000")], alice()),
            (
                &[("DOAS_USER", "alice")],
                Some(Invoker::Name("alice".into())),
            ),
            (&[("DOAS_USER", "root")], None),
        ] {
            assert_eq!(with(variables).unwrap(), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_variable_that_does_not_read_opens_nothing() {
        for value in ["", "-1", "alice", "4294967296", " 0"] {
            assert!(with(&[("SUDO_UID", value)]).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_shell_is_one_that_was_asked_for_nothing() {
        for command in ["/usr/bin/su", "/usr/bin/su -"] {
            assert!(is_shell(command), "{command}");
        }
        for command in [
            "",
            "/usr/bin/twofa",
            "/usr/bin/su alice",
            "/bin/sh -c x",
            "#",
        ] {
            assert!(!is_shell(command), "{command}");
        }
    }
}
