//! What the doctor found about the machine: files, disk, clock, SELinux, and the store as a file.

use std::fmt;
use std::path::Path;

use twofa_broker::admin::doctor::finding::{
    EnvironmentFinding, Exposure, Hurry, Part, ProgramFinding,
};

use super::enumerate;

pub(crate) fn finding(finding: &EnvironmentFinding) -> String {
    match finding {
        EnvironmentFinding::Exposed { path, exposure } => exposed(&path.display(), *exposure),
        EnvironmentFinding::DiskNearlyFull { path, free } => format!(
            "{} has {free} MiB of room left: once there is none, attempts cannot be counted, and everybody who needs a \
             code is refused; free some",
            path.display()
        ),
        EnvironmentFinding::FilesNearlyUsedUp { path, left } => format!(
            "the file system of {} has room for {left} more files (inodes): once there is none, attempts cannot be counted, and \
             everybody who needs a code is refused; remove some files",
            path.display()
        ),
        EnvironmentFinding::StoreUnwritable { error } => format!(
            "nothing can be written next to the store ({error}), so no attempt can be counted, and everybody who needs a code \
             is refused"
        ),
        EnvironmentFinding::BrokerOutdated => "twofad was upgraded but is still running the old version: restart it with \
                                               'systemctl restart twofad'"
            .to_owned(),
        EnvironmentFinding::StoreUnavailable { error } => format!(
            "the store cannot be opened ({error}): everybody who needs a code is refused, and what is in it was not examined"
        ),
        EnvironmentFinding::KeyExposed { error } => format!(
            "a secret is not safe ({error}): the store is not opened, everybody who needs a code is refused, and what is in \
             it was not examined; if others may have read the sealing key, the secrets of all apps are known to them"
        ),
        EnvironmentFinding::StoreReadOnly => "the store can only be read, so no attempt can be counted, and everybody who \
                                              needs a code is refused: make its file system writable"
            .to_owned(),
        EnvironmentFinding::PamChangePending => "a change of PAM files is not final: if nobody is making it, it was \
                                                 interrupted, and 'twofa pam recover' brings back the files from before it"
            .to_owned(),
        EnvironmentFinding::SelinuxDenials { count, latest } => format!(
            "SELinux denied twofa something in the last 24 hours (denials: {count}; the latest: {latest}): install the \
             policy module of the package, and see 'ausearch -m avc -ts today'"
        ),
        EnvironmentFinding::Hurry(Hurry {
            setting,
            file,
            seconds,
        }) => format!(
            "logins time out after {seconds} seconds, which is too short to enrol: set '{setting} 300' in {file}"
        ),
        EnvironmentFinding::ClockUnsynchronised => "this machine's clock is not synchronised: app codes depend on the time \
                                                    and are refused if it drifts too far; start chrony or systemd-timesyncd ('timedatectl set-ntp true')"
            .to_owned(),
        EnvironmentFinding::StoreDamaged { error } => format!(
            "the store is damaged ({error}): restore a backup of it before logins depend on what is lost"
        ),
        EnvironmentFinding::LogAltered { count } => format!(
            "the log is not what was written ({}): somebody may have changed it; 'twofa log verify' says where",
            if *count == 1 {
                "one finding".to_owned()
            } else {
                format!("{count} findings")
            }
        ),
    }
}

fn exposed(path: &impl fmt::Display, exposure: Exposure) -> String {
    match exposure {
        Exposure::Owner(uid) => format!(
            "{path} is owned by user ID {uid}, who could use it to change who can log in: 'chown root {path}'"
        ),
        Exposure::Mode(mode) => format!(
            "{path} can be written by others than its owner (mode {mode:04o}), who could use it to change who can log in: \
             'chmod go-w {path}'"
        ),
    }
}

/// What is wrong with the installed programs.
pub(super) fn program(finding: &ProgramFinding) -> String {
    let install = "install the packages of one version together";
    match finding {
        ProgramFinding::ModuleMissing { folder } => format!(
            "pam_twofa.so is missing from {}: every service that names it refuses everybody",
            folder.display()
        ),
        ProgramFinding::ModuleMissingForSome { folders } => format!(
            "pam_twofa.so is missing from {}: programs of that architecture refuse everybody; install libpam-twofa for it too, \
             or leave it if no such program logs people in",
            enumerate(
                &folders
                    .iter()
                    .map(|path| displayed(path))
                    .collect::<Vec<_>>()
            )
        ),
        ProgramFinding::ModuleUnreadable { path, error } => format!(
            "{} cannot be examined ({error}): every service that names it may refuse everybody",
            path.display()
        ),
        ProgramFinding::ModuleUnloadable { path } => format!(
            "{} is not for the architecture of the modules beside it: every service that names it refuses everybody; install \
             the package for that architecture",
            path.display()
        ),
        ProgramFinding::ModuleVersion {
            path,
            version,
            expected,
        } => format!(
            "{} is of {}, and twofa of version {expected}: {install}",
            path.display(),
            version.as_ref().map_or_else(
                || "an unknown version".to_owned(),
                |version| format!("version {version}")
            )
        ),
        ProgramFinding::BrokerDoesNotRun { error } => format!(
            "{BROKER} does not run ({error}): no broker can be started, and every login that needs one is refused; {install}"
        ),
        ProgramFinding::BrokerVersion { version, expected } => {
            format!("{BROKER} is of version {version}, and twofa of version {expected}: {install}")
        }
    }
}

/// What could not be examined.
pub(super) fn part(part: &Part) -> String {
    match part {
        Part::Path(path) => path.display().to_string(),
        Part::SshdAccounts(1) => "what sshd demands of one account".to_owned(),
        Part::SshdAccounts(count) => format!("what sshd demands of {count} accounts"),
        Part::SshdConfig => "the files of sshd's configuration".to_owned(),
        Part::SshdBlock(place) => format!("the Match block at {place}"),
        Part::Stacks => "the PAM services and sshd".to_owned(),
        Part::Broker => "whether the broker answers".to_owned(),
        Part::BrokerProgram => format!("the version of {BROKER}"),
        Part::Environment => "owners and modes of files, the disk and SELinux".to_owned(),
        Part::Selinux => "what SELinux denied".to_owned(),
        Part::Store => "the store".to_owned(),
        Part::Database => "whether the database is damaged".to_owned(),
        Part::Log => "whether the log was changed ('twofa log verify')".to_owned(),
        Part::NameService => "whether the name service answers".to_owned(),
        Part::Rules => "the policy and its classes".to_owned(),
        Part::People => "whom the rules keep out".to_owned(),
        Part::Accounts => "the accounts on record".to_owned(),
        Part::Robots => "the accounts of automated logins".to_owned(),
        Part::Devices => "trusted devices".to_owned(),
        Part::SecurityKeys => "whether security keys count".to_owned(),
        Part::Delivery => "the providers".to_owned(),
        Part::Fleet => "the fleet".to_owned(),
    }
}

/// The program of the broker.
const BROKER: &str = "/usr/sbin/twofad";

fn displayed(path: &Path) -> String {
    path.display().to_string()
}
