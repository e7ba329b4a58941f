//! A connection to sshd, as it is asked about one.

use std::fmt;

/// A connection, as `sshd -C` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The name of the account.
    pub user: String,
    /// The name of the host that it comes from.
    pub host: String,
    /// The address that it comes from.
    pub address: String,
    /// The address that it was made to.
    pub local_address: String,
    /// The port that it was made to.
    pub port: String,
    /// The routing domain; may be empty.
    pub domain: String,
}

impl Connection {
    /// A login of `user` from this machine.
    pub fn local(user: &str, port: &str) -> Self {
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
    pub fn is_sound(&self) -> bool {
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
