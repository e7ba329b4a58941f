//! A connection to sshd, as it is asked about one.

use std::fmt;

/// A connection, as `sshd -C` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) user: String,
    pub(super) host: String,
    pub(super) address: String,
    pub(super) local_address: String,
    pub(super) port: String,
    pub(super) domain: String,
}

impl Connection {
    /// A login of `user` from this machine.
    pub(super) fn local(user: &str, port: &str) -> Self {
        Self {
            user: user.to_owned(),
            host: "localhost".to_owned(),
            address: "127.0.0.1".to_owned(),
            local_address: "127.0.0.1".to_owned(),
            port: port.to_owned(),
            domain: String::new(),
        }
    }

    /// Whether it can be written as `sshd -C` reads it.
    pub(super) fn is_sound(&self) -> bool {
        let fields = [&self.user, &self.host, &self.domain];
        fields.into_iter().all(|field| !field.contains([',', '=']))
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user,
            host,
            address,
            local_address,
            port,
            domain,
        } = self;
        write!(
            formatter,
            "user={user},host={host},addr={address},laddr={local_address},lport={port},rdomain={domain}"
        )
    }
}
