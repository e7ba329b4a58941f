//! Derives the device behind a login from what root's module reports about the login.

use super::address::DeviceAddress;
use super::kind::{Device, LoginSession, LoginTerminal};
use super::ssh_key::ProvedKeys;
use super::trust::{Identity, Trust};
use crate::address::parse_address;
use crate::duration::Duration;
use crate::service::{self, ServiceKind};

/// What is known about a login apart from the user. All of it comes from root: from the module in a program that root runs.
#[derive(Debug, Clone, Default)]
pub struct Evidence<'a> {
    /// `PAM_SERVICE`.
    pub service: &'a str,
    /// `PAM_RHOST`; in sshd, the client's address from `SSH_CONNECTION`.
    pub remote_host: Option<&'a str>,
    /// `PAM_TTY`.
    pub terminal: Option<&'a str>,
    /// What sshd verified before, from its `SSH_AUTH_INFO_0`.
    pub ssh_auth_info: Option<&'a str>,
    /// [`Self::remote_host`] is an address of this machine: every tunnel and proxy on it comes from there.
    pub is_from_this_machine: bool,
    /// The login session that asks, if systemd-logind has one that is open and belongs to the real user of the process.
    pub session: Option<LoginSession>,
    /// The controlling terminal of the process that asks.
    pub controlling_terminal: Option<LoginTerminal>,
}

/// The longest duration for which `trust` lets a device be trusted that a login with this service can prove.
pub fn longest(service: &str, trust: &Trust) -> Duration {
    match service::kind(service) {
        ServiceKind::Elevation => trust.elevation,
        ServiceKind::Console => trust.console,
        ServiceKind::Ssh | ServiceKind::Unlock | ServiceKind::Other => trust.remote,
    }
}

/// Whether such a login proves neither its address nor its seat: the program sets no remote host, or a host name.
pub fn is_without_proof(service: &str, remote_host: Option<&str>, terminal: Option<&str>) -> bool {
    if service::kind(service) == ServiceKind::Elevation {
        return false;
    }
    match remote_host {
        Some(host) => parse_address(host).is_none(),
        None => service::kind(service) != ServiceKind::Console || terminal.and_then(seat).is_none(),
    }
}

/// The device behind a login; `None`: nothing is proved about it, and a code is asked for every time.
///
/// The strongest proof counts: a key of the user's that sshd verified in this login, then the client machine's host key, then
/// the address. Some programs set no remote host for remote logins (xrdp before 0.9.22), so a console needs positive
/// proof: a terminal of this machine and a service that logs people in there.
pub fn identify(evidence: &Evidence<'_>, trust: &Trust) -> Option<Device> {
    if service::kind(evidence.service) == ServiceKind::Elevation {
        let session = evidence.session.clone().map(Device::Session);
        return session.or_else(|| evidence.controlling_terminal.clone().map(Device::Terminal));
    }
    let keys = evidence
        .ssh_auth_info
        .map(ProvedKeys::read)
        .unwrap_or_default();
    if let Some(key) = keys.user.into_iter().next() {
        return Some(Device::UserKey(key));
    }
    if let Some(key) = keys.host.into_iter().next() {
        return Some(Device::ClientHost(key));
    }
    if let Some(host) = evidence.remote_host {
        if trust.identity == Identity::Key || evidence.is_from_this_machine {
            return None;
        }
        let address = DeviceAddress::read(host, trust.ipv6_prefix)?;
        return Some(Device::Address(address));
    }
    if service::kind(evidence.service) != ServiceKind::Console {
        return None;
    }
    seat(evidence.terminal?).map(Device::Seat)
}

/// The seat that a terminal belongs to. All virtual terminals and displays of a seat are one device; a serial line and a
/// hypervisor's console are one each.
fn seat(terminal: &str) -> Option<String> {
    let name = terminal.strip_prefix("/dev/").unwrap_or(terminal);
    if let Some(display) = name.strip_prefix(':') {
        let number = display.split('.').next().unwrap_or_default();
        return is_number(number).then(|| SEAT.to_owned());
    }
    let (kind, number) = name.split_at(name.find(|c: char| c.is_ascii_digit())?);
    match kind {
        _ if !is_number(number) => None,
        "tty" => Some(SEAT.to_owned()),
        "ttyS" | "ttyAMA" | "ttyUSB" | "ttyACM" | "hvc" | "ttysclp" => Some(name.to_owned()),
        _ => None,
    }
}

/// The seat of virtual terminals and local displays.
const SEAT: &str = "seat0";

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::kind::DeviceKind;
    use crate::policy::Policy;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOW";

    fn device(evidence: &Evidence<'_>) -> Option<Device> {
        identify(evidence, &Policy::default().trust)
    }

    fn kind(evidence: &Evidence<'_>) -> Option<DeviceKind> {
        device(evidence).map(|device| device.kind())
    }

    fn ssh() -> Evidence<'static> {
        Evidence {
            service: "sshd",
            remote_host: Some("192.0.2.7"),
            terminal: Some("ssh"),
            ..Evidence::default()
        }
    }

    #[test]
    fn the_strongest_proof_of_a_remote_login_is_the_device() {
        let (user, host) = (format!("publickey {KEY}"), format!("hostbased {KEY}"));
        let both = format!("{host}\n{user}");
        for (info, expected) in [
            (None, DeviceKind::Address),
            (Some("password"), DeviceKind::Address),
            (Some(host.as_str()), DeviceKind::Host),
            (Some(user.as_str()), DeviceKind::Key),
            (Some(both.as_str()), DeviceKind::Key),
        ] {
            let evidence = Evidence {
                ssh_auth_info: info,
                ..ssh()
            };
            assert_eq!(kind(&evidence), Some(expected), "{info:?}");
        }
    }

    #[test]
    fn with_keys_only_an_address_is_no_device() {
        let trust = Trust {
            identity: Identity::Key,
            ..Policy::default().trust
        };
        assert_eq!(identify(&ssh(), &trust), None);
        let info = format!("publickey {KEY}");
        let with_key = Evidence {
            ssh_auth_info: Some(&info),
            ..ssh()
        };
        assert!(identify(&with_key, &trust).is_some());
    }

    #[test]
    fn an_address_of_this_machine_is_no_device() {
        let evidence = Evidence {
            is_from_this_machine: true,
            ..ssh()
        };
        assert_eq!(device(&evidence), None);
    }

    #[test]
    fn a_remote_host_that_is_no_address_is_no_device() {
        for host in ["localhost", "client.example.org", "127.0.0.1", "UNKNOWN"] {
            let evidence = Evidence {
                remote_host: Some(host),
                ..ssh()
            };
            assert_eq!(device(&evidence), None, "{host}");
        }
    }

    #[test]
    fn a_console_requires_a_local_terminal_and_a_service_that_logs_users_in_there() {
        for (service, terminal, expected) in [
            ("login", Some("/dev/tty1"), Some("seat0")),
            ("login", Some("tty2"), Some("seat0")),
            ("gdm-password", Some("/dev/tty1"), Some("seat0")),
            ("lightdm", Some(":0"), Some("seat0")),
            ("sddm", Some(":1.0"), Some("seat0")),
            ("login", Some("/dev/ttyS0"), Some("ttyS0")),
            ("login", Some("hvc0"), Some("hvc0")),
            ("login", Some("/dev/pts/0"), None),
            ("login", Some("pts/3"), None),
            ("login", None, None),
            ("login", Some("tty"), None),
            ("login", Some("ttyX1"), None),
            ("login", Some("tty1/../pts/0"), None),
            ("lightdm", Some("host:0"), None),
            ("xrdp-sesman", Some("xrdp-sesman"), None),
            ("xrdp-sesman", Some(":10"), None),
            ("openvpn", None, None),
            ("vsftpd", Some("/dev/tty1"), None),
            ("sshd", Some("ssh"), None),
        ] {
            let evidence = Evidence {
                service,
                terminal,
                ..Evidence::default()
            };
            let seat = device(&evidence).map(|device| device.label());
            assert_eq!(seat.as_deref(), expected, "{service} {terminal:?}");
        }
    }

    #[test]
    fn a_login_without_an_address_or_a_seat_is_without_proof() {
        for (service, host, terminal, expected) in [
            ("sshd", Some("192.0.2.7"), Some("ssh"), false),
            ("sshd", Some("2001:db8::1%eth0"), None, false),
            ("vsftpd", Some("client.example.org"), Some("ftp"), true),
            ("xrdp-sesman", None, Some("xrdp-sesman"), true),
            ("openvpn", None, None, true),
            ("login", None, Some("/dev/tty1"), false),
            ("login", None, Some("pts/3"), true),
            ("sudo", None, Some("/dev/pts/3"), false),
        ] {
            let found = is_without_proof(service, host, terminal);
            assert_eq!(found, expected, "{service} {host:?} {terminal:?}");
        }
    }

    #[test]
    fn a_change_of_user_is_identified_by_the_session_or_else_the_terminal() {
        let session = LoginSession {
            boot: "b".into(),
            id: "c1".into(),
            start: 7,
        };
        let terminal = LoginTerminal {
            uid: 1000,
            boot: "b".into(),
            device: 34816,
            leader: 100,
            start: 9,
        };
        for service in [
            "su",
            "su-l",
            "sudo",
            "sudo-i",
            "doas",
            "polkit-1",
            "systemd-run0",
        ] {
            let bare = Evidence {
                service,
                // What su and sudo report as the host is under the caller's control.
                remote_host: Some("192.0.2.7"),
                terminal: Some("/dev/tty1"),
                ..Evidence::default()
            };
            assert_eq!(device(&bare), None);
            let with_terminal = Evidence {
                controlling_terminal: Some(terminal.clone()),
                ..bare.clone()
            };
            assert_eq!(kind(&with_terminal), Some(DeviceKind::Terminal));
            let with_both = Evidence {
                session: Some(session.clone()),
                ..with_terminal
            };
            assert_eq!(kind(&with_both), Some(DeviceKind::Session));
        }
    }
}
