//! Which addresses are a device, and which of them are the same one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that stands for a device: with an IPv6 prefix, for a network of one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAddress {
    address: IpAddr,
    /// Bits of [`Self::address`] that count.
    prefix: u8,
    /// The interface of a link-local address, which means nothing without it.
    interface: Option<String>,
}

/// The well-known prefix of NAT64 (RFC 6052): the last 32 bits are an IPv4 address.
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

impl DeviceAddress {
    /// Reads an address as sshd and other programs write it: `192.0.2.7`, `2001:db8::1`, `fe80::1%eth0`. Of an IPv6 address
    /// the first `ipv6_prefix` bits count, where its network is one customer's.
    ///
    /// `None` for what is no device: a name, the loopback and unspecified addresses, multicast, and a link-local address
    /// without its interface.
    pub fn read(text: &str, ipv6_prefix: u8) -> Option<Self> {
        let (bare, interface) = match text.split_once('%') {
            Some((bare, interface)) => (bare, Some(interface)),
            None => (text, None),
        };
        let address = embedded(bare.parse().ok()?);
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return None;
        }
        match address {
            IpAddr::V4(_) => Some(Self::whole(address, None)),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                let interface = interface.filter(|name| !name.is_empty())?;
                Some(Self::whole(address, Some(interface.to_owned())))
            }
            IpAddr::V6(v6) if is_shared_by_strangers(v6) => Some(Self::whole(address, None)),
            IpAddr::V6(v6) => {
                let prefix = ipv6_prefix.min(128);
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(prefix))
                    .unwrap_or_default();
                Some(Self {
                    address: Ipv6Addr::from_bits(v6.to_bits() & mask).into(),
                    prefix,
                    interface: None,
                })
            }
        }
    }

    const fn whole(address: IpAddr, interface: Option<String>) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self {
            address,
            prefix,
            interface,
        }
    }
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(interface) = &self.interface {
            write!(f, "%{interface}")?;
        }
        if self.address.is_ipv6() && self.prefix < 128 {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

/// The IPv4 address within `address`, if it stands for one: a v4-mapped one (RFC 4291, 2.5.5.2), or one behind NAT64.
fn embedded(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if v6.segments().starts_with(&NAT64) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        canonical => canonical,
    }
}

/// Whether the hosts of one /64 are strangers to each other: addresses that carry an IPv4 address behind a common prefix.
fn is_shared_by_strangers(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let is_teredo = parts.starts_with(&[0x2001, 0]); // RFC 4380
    let is_local_nat64 = parts.starts_with(&[0x64, 0xff9b, 1]); // RFC 8215
    let is_v4_compatible = parts.starts_with(&[0; 6]); // RFC 4291, 2.5.5.1; with them all of ::/64
    let is_v4_translated = parts.starts_with(&[0, 0, 0, 0, 0xffff, 0]); // RFC 2765
    is_teredo || is_local_nat64 || is_v4_compatible || is_v4_translated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        DeviceAddress::read(text, 64).map(|device| device.to_string())
    }

    #[test]
    fn two_addresses_of_one_customer_are_one_device() {
        for (one, other) in [
            ("192.0.2.7", "::ffff:192.0.2.7"),
            ("192.0.2.7", "64:ff9b::c000:207"),
            ("192.0.2.7", "64:FF9B::192.0.2.7"),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"),
            ("2001:DB8::1", "2001:db8:0:0::2"),
            ("2001:db8::1%eth0", "2001:db8::1"),
            ("fe80::1%eth0", "fe80:0::1%eth0"),
        ] {
            assert!(read(one).is_some(), "{one}");
            assert_eq!(read(one), read(other), "{one} {other}");
        }
    }

    #[test]
    fn addresses_of_two_customers_are_two_devices() {
        for (one, other) in [
            ("192.0.2.7", "192.0.2.8"),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.8"),
            ("64:ff9b::c000:207", "64:ff9b::c000:208"),
            ("64:ff9b:1::1", "64:ff9b:1::2"),
            ("2001:db8::1", "2001:db8:0:1::1"),
            ("2001:0:c000:207::1", "2001:0:c000:207::2"),
            ("fe80::1%eth0", "fe80::2%eth0"),
            ("fe80::1%eth0", "fe80::1%eth1"),
            ("::192.0.2.7", "::192.0.2.8"),
            ("::ffff:0:192.0.2.7", "::ffff:0:192.0.2.8"),
        ] {
            assert!(
                read(one).is_some() && read(other).is_some(),
                "{one} {other}"
            );
            assert_ne!(read(one), read(other), "{one} {other}");
        }
    }

    #[test]
    fn an_address_of_many_clients_or_of_none_is_not_a_device() {
        for text in [
            "127.0.0.1",
            "127.1.2.3",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "0.0.0.0",
            "::",
            "fe80::1",
            "fe80::1%",
            "224.0.0.1",
            "ff02::1%eth0",
            "localhost",
            "host.example.org",
            "192.0.2.7:22",
            "[2001:db8::1]",
            "",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_prefix_is_the_policys() {
        let at = |prefix| {
            DeviceAddress::read("2001:db8:1:2345::1", prefix)
                .unwrap()
                .to_string()
        };
        assert_eq!(at(56), "2001:db8:1:2300::/56");
        assert_eq!(at(64), "2001:db8:1:2345::/64");
        assert_eq!(at(128), "2001:db8:1:2345::1");
    }
}
