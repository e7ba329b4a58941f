//! PAM services: what kind of program each belongs to, and at which of them a policy asks for a code.

use std::fmt;

/// The kinds of programs that users authenticate to, as the policy names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// sshd.
    Ssh,
    /// Logins at a seat or a serial line: login(1) and display managers.
    Console,
    /// A logged-in user becomes another user: su(1), sudo(8), polkit.
    Elevation,
    /// Screen lockers.
    Unlock,
    /// Everything else: remote desktops, web consoles, FTP, mail, VPN.
    Other,
}

use ServiceKind::{Console, Elevation, Ssh, Unlock};

/// The services whose kind is known. GNOME also unlocks its screen with `gdm-password`, so that is a console.
const KINDS: [(&str, ServiceKind); 47] = [
    ("sshd", Ssh),
    ("ssh", Ssh),
    ("login", Console),
    ("agetty", Console),
    ("gdm", Console),
    ("gdm-password", Console),
    ("gdm-fingerprint", Console),
    ("gdm-smartcard", Console),
    ("lightdm", Console),
    ("lightdm-greeter", Console),
    ("sddm", Console),
    ("kdm", Console),
    ("lxdm", Console),
    ("xdm", Console),
    ("wdm", Console),
    ("slim", Console),
    ("greetd", Console),
    ("ly", Console),
    ("su", Elevation),
    ("su-l", Elevation),
    ("sudo", Elevation),
    ("sudo-i", Elevation),
    ("doas", Elevation),
    ("polkit-1", Elevation),
    ("systemd-run0", Elevation),
    ("run0", Elevation),
    ("ksu", Elevation),
    ("pkexec", Elevation),
    ("runuser", Elevation),
    ("runuser-l", Elevation),
    ("i3lock", Unlock),
    ("swaylock", Unlock),
    ("waylock", Unlock),
    ("gtklock", Unlock),
    ("hyprlock", Unlock),
    ("physlock", Unlock),
    ("xlock", Unlock),
    ("xsecurelock", Unlock),
    ("sxlock", Unlock),
    ("vlock", Unlock),
    ("kde", Unlock),
    ("xscreensaver", Unlock),
    ("xfce4-screensaver", Unlock),
    ("mate-screensaver", Unlock),
    ("cinnamon-screensaver", Unlock),
    ("gnome-screensaver", Unlock),
    ("light-locker", Unlock),
];

/// Services whose programs run jobs without anybody to ask. They are never asked.
const UNATTENDED: [&str; 5] = ["cron", "crond", "atd", "anacron", "systemd-user"];

/// The kind of the program behind `service`.
pub fn kind(service: &str) -> ServiceKind {
    let known = KINDS.iter().find(|(name, _)| *name == service);
    known.map_or(ServiceKind::Other, |(_, kind)| *kind)
}

/// Whether the kind of the program behind `service` is known.
pub fn is_known(service: &str) -> bool {
    KINDS.iter().any(|(name, _)| *name == service)
}

/// Whether `service` is a screen locker's. Some of them never call `account`, or ignore its result.
pub fn is_locker(service: &str) -> bool {
    kind(service) == Unlock
}

/// Whether `service` runs jobs without anybody to ask.
pub fn is_unattended(service: &str) -> bool {
    UNATTENDED.contains(&service)
}

impl ServiceKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ssh,
        Self::Console,
        Self::Elevation,
        Self::Unlock,
        Self::Other,
    ];

    /// The kind as an administrator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Console => "console",
            Self::Elevation => "elevation",
            Self::Unlock => "unlock",
            Self::Other => "other",
        }
    }
}

/// The PAM services at which a policy asks for a code. The empty list stands for none and is never the value of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Services {
    /// Every service.
    All,
    /// Those that an entry covers.
    Listed(Vec<ServiceEntry>),
}

/// What a list of services is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceEntry {
    /// All services of a kind.
    Kind(ServiceKind),
    /// The service of this name.
    Name(String),
}

impl Services {
    /// Reads `all`, or kinds and names of services with commas between them; `None`: there is no entry, or one that cannot
    /// be a service. libpam reads service names in lower case.
    pub fn read(text: &str) -> Option<Self> {
        let mut entries: Vec<ServiceEntry> = Vec::new();
        for word in text.split(',').map(str::trim) {
            if word == ALL {
                return text.trim().eq(ALL).then_some(Self::All);
            }
            let entry = entry(word)?;
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        Some(Self::Listed(entries))
    }

    /// Whether a login by `service` is asked for a code. One whose service is unknown (`None`) is asked: the caller could
    /// claim any. `is_sshd`: sshd asks, which may use a service of any name (`PAMServiceName` of `sshd_config(5)`).
    pub fn include(&self, service: Option<&str>, is_sshd: bool) -> bool {
        match (self, service) {
            (_, Some(service)) if is_unattended(service) && !is_sshd => false,
            (Self::All, _) | (_, None) => true,
            (Self::Listed(entries), Some(service)) => entries.iter().any(|entry| match entry {
                ServiceEntry::Kind(Ssh) if is_sshd => true,
                ServiceEntry::Kind(listed) => *listed == kind(service),
                ServiceEntry::Name(name) => name == service,
            }),
        }
    }

    /// Both lists together: what either asks at.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Listed(these), Self::Listed(others)) => {
                let new = others.iter().filter(|entry| !these.contains(entry));
                Self::Listed(these.iter().chain(new).cloned().collect())
            }
            _ => Self::All,
        }
    }

    /// Each entry as a list of its own; `all` is one.
    pub fn parts(&self) -> Vec<Self> {
        match self {
            Self::All => vec![Self::All],
            Self::Listed(entries) => entries
                .iter()
                .map(|entry| Self::Listed(vec![entry.clone()]))
                .collect(),
        }
    }

    /// The services that are listed by name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let entries: &[ServiceEntry] = match self {
            Self::All => &[],
            Self::Listed(entries) => entries,
        };
        entries.iter().filter_map(|entry| match entry {
            ServiceEntry::Name(name) => Some(name.as_str()),
            ServiceEntry::Kind(_) => None,
        })
    }
}

const ALL: &str = "all";
/// The longest name of a service.
const MAX_NAME_LENGTH: usize = 64;

fn entry(word: &str) -> Option<ServiceEntry> {
    if let Some(kind) = ServiceKind::ALL
        .into_iter()
        .find(|kind| kind.name() == word)
    {
        return Some(ServiceEntry::Kind(kind));
    }
    let fits = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | '@' | '+')
    };
    let is_name = !word.is_empty() && word.len() <= MAX_NAME_LENGTH && word.chars().all(fits);
    is_name.then(|| ServiceEntry::Name(word.to_owned()))
}

impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Listed(entries) = self else {
            return f.write_str(ALL);
        };
        for (i, entry) in entries.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let name = match entry {
                ServiceEntry::Kind(kind) => kind.name(),
                ServiceEntry::Name(name) => name,
            };
            write!(f, "{comma}{name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_covers_all_its_services_and_a_name_only_its_own() {
        for (list, asked, not_asked) in [
            (
                "all",
                &["sshd", "sudo", "login", "vsftpd", "swaylock"][..],
                &["cron", "systemd-user"][..],
            ),
            ("ssh", &["sshd"], &["sudo", "login", "cockpit"]),
            (
                "elevation",
                &["sudo", "sudo-i", "su", "su-l", "polkit-1", "systemd-run0"],
                &["sshd", "login"],
            ),
            (
                "console,unlock",
                &["gdm-password", "login", "kde", "vlock"],
                &["sshd", "su"],
            ),
            (
                "other",
                &["cockpit", "a-service-of-my-own"],
                &["sshd", "cron", "atd"],
            ),
            ("sudo", &["sudo"], &["sudo-i", "su"]),
            ("ssh, cron", &["sshd"], &["cron"]),
        ] {
            let services = Services::read(list).unwrap();
            for service in asked {
                assert!(services.include(Some(service), false), "{list}: {service}");
            }
            for service in not_asked {
                assert!(!services.include(Some(service), false), "{list}: {service}");
            }
        }
    }

    #[test]
    fn a_login_of_unknown_service_is_asked() {
        assert!(Services::read("ssh").unwrap().include(None, false));
    }

    #[test]
    fn sshd_is_asked_as_ssh_whatever_its_service_is_called() {
        for (list, asked) in [
            ("ssh", true),
            ("elevation", false),
            ("other", true),
            ("all", true),
        ] {
            let services = Services::read(list).unwrap();
            assert_eq!(
                services.include(Some("sshd-internal"), true),
                asked,
                "{list}"
            );
        }
        assert!(Services::All.include(Some("cron"), true));
    }

    #[test]
    fn what_is_written_reads_the_same_and_nonsense_does_not_read() {
        for list in ["all", "ssh", "ssh,elevation,vsftpd", "gdm-password,other"] {
            assert_eq!(Services::read(list).unwrap().to_string(), list);
        }
        assert_eq!(
            Services::read("ssh,ssh , sudo").unwrap().to_string(),
            "ssh,sudo"
        );
        for list in [
            "", ",", "ssh,", "all,ssh", "ssh,all", "SSHD", "a/b", "a b", "ssh;sudo", "none!",
        ] {
            assert_eq!(Services::read(list), None, "{list}");
        }
    }

    #[test]
    fn two_lists_together_ask_at_what_either_asks_at() {
        let both = |a: &str, b: &str| {
            let (a, b) = (Services::read(a).unwrap(), Services::read(b).unwrap());
            a.union(&b).to_string()
        };
        assert_eq!(both("ssh", "sudo,ssh"), "ssh,sudo");
        assert_eq!(both("ssh", "all"), "all");
        assert_eq!(both("all", "ssh"), "all");
    }

    #[test]
    fn every_service_has_one_kind() {
        for (i, (name, _)) in KINDS.iter().enumerate() {
            assert!(!KINDS[..i].iter().any(|(other, _)| other == name), "{name}");
        }
    }
}
