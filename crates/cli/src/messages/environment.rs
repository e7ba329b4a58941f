//! What the doctor found about the machine: files, disk, clock, SELinux, and the store as a file.

use twofa_broker::admin::doctor::finding::{EnvironmentFinding, Exposure, Hurry};

pub(crate) fn finding(finding: &EnvironmentFinding) -> String {
    match finding {
        EnvironmentFinding::Exposed { path, exposure } => {
            let path = path.display();
            match exposure {
                Exposure::Owner(uid) => format!(
                    "{path} is owned by user ID {uid}, who could use it to change who can log in: 'chown root {path}'"
                ),
                Exposure::Mode(mode) => format!(
                    "{path} can be written by others than its owner (mode {mode:04o}), who could use it to change who can log \
                     in: 'chmod go-w {path}'"
                ),
            }
        }
        EnvironmentFinding::DiskNearlyFull { path, free } => format!(
            "{} has {free} MiB of room left: once there is none, attempts cannot be counted, and everybody who needs a \
             code is refused; free some",
            path.display()
        ),
        EnvironmentFinding::BrokerOutdated => "twofad was upgraded but is still running the old version: restart it with \
                                               'systemctl restart twofad'"
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
