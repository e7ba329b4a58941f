//! Which sshd this process belongs to, and whether that has the configuration that the broker reads.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process;

use super::process_stat::Stat;

/// Where distributions have the programs that read [`CONFIG`] unless they are told otherwise.
const PROGRAMS: [&str; 2] = ["/usr/sbin/sshd", "/usr/bin/sshd"];
const CONFIG: &str = "/etc/ssh/sshd_config";
/// sshd asks in a child of a child of the process that listens.
const MAX_GENERATIONS: usize = 4;

/// Whether this process runs sshd, which is three programs since OpenSSH 9.8 and 10.0. A program that others than root can
/// change is none, whatever its name.
pub(super) fn is_sshd() -> bool {
    program(process::id()).is_some()
}

/// Whether the sshd that this process belongs to has read `/etc/ssh/sshd_config`, and no option on its command line (`-f`,
/// `-o`) changes what that demands of security keys. Without a listening process, as with `sshd -i`, that is unknown: no.
pub(super) fn has_default_config() -> bool {
    let mut pid = process::id();
    for _ in 0..MAX_GENERATIONS {
        let Some(program) = program(pid) else {
            return false;
        };
        let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let title = String::from_utf8_lossy(&title);
        if let Some(options) = listener_options(&title) {
            return leave_config_alone(options, PROGRAMS.iter().any(|known| program == **known));
        }
        // Beyond a session, in which somebody started another sshd, comes the one that listens for the session.
        if !is_logging_in(&title) {
            return false;
        }
        let parent = Stat::read(pid).and_then(|stat| stat.number(4));
        let Some(parent) = parent.and_then(|parent| u32::try_from(parent).ok()) else {
            return false;
        };
        pid = parent;
    }
    false
}

/// The program of the process, if that is sshd.
fn program(pid: u32) -> Option<PathBuf> {
    let link = format!("/proc/{pid}/exe");
    let path = fs::read_link(&link).ok()?;
    // A program that was replaced since it started (proc(5)).
    let path = path.to_str()?.trim_end_matches(" (deleted)");
    let path = PathBuf::from(path);
    let is_sshd = matches!(
        path.file_name()?.to_str()?,
        "sshd" | "sshd-session" | "sshd-auth"
    );
    let file = fs::metadata(&link).ok()?;
    let is_roots = file.uid() == 0 && file.mode() & 0o022 == 0;
    (is_sshd && is_roots).then_some(path)
}

/// The options in the title of the process that listens: `sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups` (sshd.c,
/// `prepare_proctitle`). All other titles begin with the name of a user, which is no path.
fn listener_options(title: &str) -> Option<&str> {
    let (command, _) = title.strip_prefix("sshd: ")?.rsplit_once(" [listener] ")?;
    let (program, options) = command.split_once(' ').unwrap_or((command, ""));
    program.starts_with('/').then_some(options)
}

/// Whether a process with this title serves a login: `sshd-session: alice [priv]`, or `[pam]`. That of a session has another
/// (session.c, `session_proctitle`): `sshd-session: alice@pts/0`.
fn is_logging_in(title: &str) -> bool {
    title.trim_end_matches(['\0', ' ']).ends_with(']')
}

/// Whether options leave [`CONFIG`] in force; `is_default`: it is without `-f`. The title does not show where an option ends,
/// so that a value may be taken for one: never the other way round.
fn leave_config_alone(options: &str, is_default: bool) -> bool {
    let lower = options.to_ascii_lowercase();
    let changes = ["pubkeyauthoptions", "include", "match", "\""];
    if changes.iter().any(|keyword| lower.contains(keyword)) {
        return false;
    }
    let mut is_default = is_default;
    let mut words = options.split(' ').peekable();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-') else {
            continue;
        };
        // Those that a value follows (sshd(8)).
        let Some(at) = letters.find(|c| "CEbcfghkopu".contains(c)) else {
            continue;
        };
        let (_, option) = letters.split_at(at);
        let Some(value) = option.strip_prefix('f') else {
            continue;
        };
        let value = if value.is_empty() {
            words.peek().copied().unwrap_or_default()
        } else {
            value
        };
        if value != CONFIG {
            return false;
        }
        is_default = true;
    }
    is_default
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listening_process_is_known_by_its_title() {
        let listener = "sshd: /usr/sbin/sshd -D -oCiphers=a [listener] 0 of 10-100 startups\0\0";
        assert_eq!(listener_options(listener), Some("-D -oCiphers=a"));
        let bare = "sshd: /usr/sbin/sshd [listener] 0 of 10-100 startups";
        assert_eq!(listener_options(bare), Some(""));
        for other in [
            "sshd: alice [priv]",
            "sshd-session: alice [pam]",
            "sshd: a [listener] 0 of 1-1 startups [priv]",
            "/usr/sbin/sshd\0-D\0",
            "sshd: /usr/sbin/sshd -D -oCiphers=a-title-that-was-cut",
            "",
        ] {
            assert_eq!(listener_options(other), None, "{other}");
        }
    }

    #[test]
    fn a_process_that_serves_a_login_is_not_one_of_a_session() {
        for title in ["sshd: alice [priv]\0\0", "sshd-session: alice [pam]\0"] {
            assert!(is_logging_in(title), "{title}");
        }
        for title in [
            "sshd: root@pts/0\0\0",
            "sshd-session: root@notty\0",
            "sshd: root\0",
            "/usr/sbin/sshd\0-d\0",
            "",
        ] {
            assert!(!is_logging_in(title), "{title}");
        }
    }

    #[test]
    fn options_that_may_change_what_is_demanded_of_keys_are_found() {
        for (options, is_alone) in [
            ("", true),
            ("-D", true),
            ("-D -e -p 2222 -E /var/log/f", true),
            ("-D -oCiphers=aes256-ctr -oMACs=hmac-sha2-256", true),
            ("-f /etc/ssh/sshd_config -D", true),
            ("-Df/etc/ssh/sshd_config", true),
            ("-f /root/sshd_config", false),
            ("-Df /root/sshd_config", false),
            ("-f/root/sshd_config", false),
            ("-f", false),
            ("-o PubkeyAuthOptions=none", false),
            ("-opubkeyauthoptions=touch-required", false),
            ("-o PubkeyAuthOptions touch-required", false),
            ("-o Include /root/more", false),
            ("-o \"PubkeyAuth\"Options=none", false),
        ] {
            assert_eq!(leave_config_alone(options, true), is_alone, "{options}");
        }
        // A program from elsewhere has another file.
        assert!(!leave_config_alone("-D", false));
        assert!(leave_config_alone("-D -f /etc/ssh/sshd_config", false));
    }
}
