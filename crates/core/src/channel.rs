//! The channels: the ways in which codes and notices reach people.
//!
//! [`CHANNELS`] is the one table: what a channel is called, and what kind of address it sends to, follow from it.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::str::FromStr;

/// A way in which codes and notices reach people. Each has its own address of a user, and its own providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// To an e-mail address.
    Email,
    /// By text message, to a phone number.
    Sms,
}

/// One row of [`CHANNELS`].
#[derive(Debug)]
pub struct ChannelInfo {
    /// The channel that the row is about.
    pub channel: Channel,
    /// Its name, as an administrator writes it and as it is stored.
    pub name: &'static str,
    /// A noun that can follow "by", such as `e-mail`.
    pub noun: &'static str,
    /// The key of `twofa set` that its address has, and the column that it is stored in.
    pub setting: &'static str,
    /// The kind of address that it sends to.
    pub address: AddressKind,
}

/// A kind of address that codes can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
}

/// Every channel there is, in the order of [`Channel`].
pub static CHANNELS: [ChannelInfo; Channel::ALL.len()] = [
    ChannelInfo {
        channel: Channel::Email,
        name: "email",
        noun: "e-mail",
        setting: "email",
        address: AddressKind::Email,
    },
    ChannelInfo {
        channel: Channel::Sms,
        name: "sms",
        noun: "text message",
        setting: "phone",
        address: AddressKind::Phone,
    },
];

impl Channel {
    /// Every channel, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::Email, Self::Sms];

    /// The channel's row of [`CHANNELS`].
    pub const fn info(self) -> &'static ChannelInfo {
        &CHANNELS[self as usize]
    }

    /// The channel as an administrator writes it and as it is stored.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// A noun that can follow "by": `e-mail`, `text message`.
    pub const fn noun(self) -> &'static str {
        self.info().noun
    }

    /// The kind of address that this channel sends to.
    pub const fn address_kind(self) -> AddressKind {
        self.info().address
    }
}

impl AddressKind {
    /// What such an address is called.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Email => "e-mail address",
            Self::Phone => "phone number",
        }
    }

    /// An address that nobody has, for help texts.
    pub const fn example(self) -> &'static str {
        match self {
            Self::Email => "alice@example.org",
            Self::Phone => "+49 1512 3456789",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no [`Channel`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be one of {}", Channel::ALL.map(Channel::name).join(","))]
pub struct UnknownChannel;

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.name() == text)
            .ok_or(UnknownChannel)
    }
}

/// One value for each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerChannel<T>([T; Channel::ALL.len()]);

impl<T> PerChannel<T> {
    /// The values that `value` gives for each channel.
    pub fn from_fn(value: impl FnMut(Channel) -> T) -> Self {
        Self(Channel::ALL.map(value))
    }

    /// The same with `value` for `channel`.
    #[must_use]
    pub fn with(mut self, channel: Channel, value: T) -> Self {
        self[channel] = value;
        self
    }

    /// The channels with their values, in the order of [`Channel::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Channel, &T)> {
        Channel::ALL.into_iter().zip(&self.0)
    }
}

impl<T> Index<Channel> for PerChannel<T> {
    type Output = T;

    fn index(&self, channel: Channel) -> &T {
        &self.0[channel as usize]
    }
}

impl<T> IndexMut<Channel> for PerChannel<T> {
    fn index_mut(&mut self, channel: Channel) -> &mut T {
        &mut self.0[channel as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_a_value_of_its_own() {
        let mut values = PerChannel::from_fn(Channel::name);
        for channel in Channel::ALL {
            assert_eq!(values[channel], channel.name());
        }
        values[Channel::Sms] = "text message";
        for (channel, value) in values.iter() {
            let is_changed = *value != channel.name();
            assert_eq!(is_changed, channel == Channel::Sms, "{channel}");
        }
    }

    #[test]
    fn each_channel_has_its_row_and_is_known_by_its_name() {
        for channel in Channel::ALL {
            assert_eq!(channel.info().channel, channel);
            assert_eq!(channel.to_string().parse(), Ok(channel));
        }
        assert_eq!("phone".parse::<Channel>(), Err(UnknownChannel));
    }
}
