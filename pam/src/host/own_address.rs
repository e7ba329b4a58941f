//! Whether an address belongs to this machine. A login from there shows no device: all users of the machine share it.
//!
//! The kernel's routes say so (rtnetlink(7)), in one question and one answer. The addresses of the interfaces do not: all of
//! 127.0.0.0/8 is local, and an administrator can make any other network local.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// The length of `struct nlmsghdr` and of `struct rtmsg`, in bytes.
const HEADER: usize = 16;
const ROUTE: usize = 12;
/// Where the type of the route is in an answer: `rtm_type`.
const TYPE: usize = HEADER + 7;
const NLMSG_ERROR: u16 = 2;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLM_F_REQUEST: u16 = 1;
const RTA_DST: u16 = 1;
const RTN_LOCAL: u8 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Whether `text` is an address of this machine. Where that cannot be found out it counts as one, so that nothing depends on
/// it; what is no address is none.
pub(super) fn is_own_address(text: &str) -> bool {
    let bare = text.split('%').next().unwrap_or_default();
    let Ok(address) = bare.parse::<IpAddr>() else {
        return false;
    };
    let address = address.to_canonical();
    address.is_loopback() || is_routed_here(address).unwrap_or(true)
}

/// Whether the route to `address` ends in this machine.
fn is_routed_here(address: IpAddr) -> io::Result<bool> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    send(netlink.as_raw_fd(), &question(address), MsgFlags::empty())?;
    let mut answer = [0; 1024];
    // The kernel has put its answer there before `send` returned.
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    is_local(answer.get(..length).unwrap_or_default())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The question which route leads to `address`.
fn question(address: IpAddr) -> Vec<u8> {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    };
    let bits = u8::try_from(octets.len() * 8).unwrap_or(u8::MAX);
    let attribute = u16::try_from(4 + octets.len()).unwrap_or(u16::MAX);
    let length = u32::try_from(HEADER + ROUTE + 4 + octets.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(RTM_GETROUTE.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    // The number of the message, and the kernel as its addressee.
    bytes.extend([0; 8]);
    bytes.extend([family, bits]);
    bytes.resize(HEADER + ROUTE, 0);
    bytes.extend(attribute.to_ne_bytes());
    bytes.extend(RTA_DST.to_ne_bytes());
    bytes.extend(octets);
    bytes
}

/// Whether the route in `answer` ends in this machine; `None`: the answer is not understood.
fn is_local(answer: &[u8]) -> Option<bool> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    match kind {
        RTM_NEWROUTE => Some(*answer.get(TYPE)? == RTN_LOCAL),
        NLMSG_ERROR => {
            let error = i32::from_ne_bytes(answer.get(HEADER..HEADER + 4)?.try_into().ok()?);
            // No route leads there, so none ends here.
            let errno = Errno::from_raw(error.checked_neg()?);
            matches!(errno, Errno::ENETUNREACH | Errno::EHOSTUNREACH).then_some(false)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::ifaddrs::getifaddrs;

    #[test]
    fn addresses_of_this_machine_are_its_own_and_others_are_not() {
        for own in [
            "127.0.0.1",
            "127.0.0.2",
            "127.255.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:127.3.0.1",
        ] {
            assert!(is_own_address(own), "{own}");
        }
        for other in [
            "192.0.2.1",
            "2001:db8::1",
            "fe80::1%eth9",
            "::ffff:192.0.2.1",
            "host.example",
            "",
        ] {
            assert!(!is_own_address(other), "{other}");
        }
    }

    #[test]
    fn every_address_of_an_interface_is_its_own() {
        let addresses = getifaddrs().unwrap().filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|own| own.ip().to_string());
            v4.or_else(|| Some(address.as_sockaddr_in6()?.ip().to_string()))
        });
        for address in addresses {
            assert!(is_own_address(&address), "{address}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_off_or_of_another_kind_says_nothing() {
        let mut answer = question("192.0.2.1".parse().unwrap());
        assert_eq!(is_local(&answer), None, "a question is no answer");
        answer[4..6].copy_from_slice(&RTM_NEWROUTE.to_ne_bytes());
        assert_eq!(is_local(&answer), Some(false));
        answer[TYPE] = RTN_LOCAL;
        assert_eq!(is_local(&answer), Some(true));
        let mut refused = answer.clone();
        refused[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        for (errno, expected) in [(Errno::ENETUNREACH, Some(false)), (Errno::EPERM, None)] {
            refused[HEADER..HEADER + 4].copy_from_slice(&(-(errno as i32)).to_ne_bytes());
            assert_eq!(is_local(&refused), expected, "{errno}");
        }
        for length in 0..=TYPE {
            assert_eq!(is_local(&answer[..length]), None, "{length}");
        }
    }
}
