//! Where a database is and how to get in: `postgres://USER@HOST:PORT,HOST:PORT/DATABASE?KEY=VALUE&…`.
//!
//! Not read by the driver: its default is to encrypt only if the network does not object, and it takes a password here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// PostgreSQL's own.
const PORT: u16 = 5432;
/// Of one process. Several servers share a database that takes a hundred by default.
const CONNECTIONS: usize = 16;

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Tried in this order.
    pub hosts: Vec<Host>,
    pub user: String,
    pub database: String,
    /// The file with the password, without which none is sent.
    pub password: Option<PathBuf>,
    /// The file with the certificates of the authorities that are believed; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// The files with a certificate of ours and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// How many connections one process has at most.
    pub connections: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// The folder of a Unix socket.
    Folder(PathBuf, u16),
    /// A name or address.
    Net(String, u16),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, _) => path.display().fmt(f),
            Self::Net(name, port) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Net(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// A text that is no address of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAddress(&'static str);

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or(BadAddress("an address begins with postgres://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest
            .split_once('/')
            .filter(|(_, database)| !database.is_empty())
            .ok_or(BadAddress("the database is missing, behind the last '/'"))?;
        let (user, hosts) = authority
            .rsplit_once('@')
            .filter(|(user, _)| !user.is_empty())
            .ok_or(BadAddress("the user is missing, before '@'"))?;
        if user.contains(':') {
            return Err(BadAddress(
                "a password does not belong here, where others can read it; use password-file=FILE",
            ));
        }
        let mut address = Self {
            hosts: Vec::new(),
            user: decoded(user)?,
            database: decoded(database)?,
            password: None,
            ca: None,
            certificate: None,
            connections: CONNECTIONS,
        };
        address.hosts = hosts.split(',').map(host).collect::<Result<_, _>>()?;
        address.read_query(query)?;
        Ok(address)
    }
}

impl Address {
    fn read_query(&mut self, query: &str) -> Result<(), BadAddress> {
        let (mut certificate, mut key) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or(BadAddress("behind '?' stands KEY=VALUE"))?;
            let value = decoded(value)?;
            match name {
                "password-file" => self.password = Some(value.into()),
                "ca" => self.ca = Some(value.into()),
                "cert" => certificate = Some(PathBuf::from(value)),
                "key" => key = Some(PathBuf::from(value)),
                "connections" => {
                    self.connections = value
                        .parse()
                        .ok()
                        .filter(|number| (1..=1_000).contains(number))
                        .ok_or(BadAddress("connections is a number from 1 to 1000"))?;
                }
                _ => {
                    return Err(BadAddress(
                        "behind '?' only password-file, ca, cert, key and connections are known",
                    ));
                }
            }
        }
        self.certificate = match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err(BadAddress("cert and key go together")),
        };
        Ok(())
    }
}

fn host(text: &str) -> Result<Host, BadAddress> {
    const PORTS: BadAddress = BadAddress("a port is a number from 1 to 65535");
    // An IPv6 address stands in brackets.
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']').ok_or(BadAddress("']' is missing"))?;
            (
                name,
                port.strip_prefix(':')
                    .or(port.is_empty().then_some(""))
                    .ok_or(PORTS)?,
            )
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port = match port {
        "" => PORT,
        port => port.parse().ok().filter(|port| *port > 0).ok_or(PORTS)?,
    };
    let name = decoded(name)?;
    match name.as_str() {
        "" => Err(BadAddress("the host is missing")),
        path if path.starts_with('/') => Ok(Host::Folder(path.into(), port)),
        _ => Ok(Host::Net(name, port)),
    }
}

fn decoded(text: &str) -> Result<String, BadAddress> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| BadAddress("it is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(BadAddress("a NUL character is in it"));
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(text: &str) -> String {
        text.parse::<Address>().unwrap_err().to_string()
    }

    #[test]
    fn an_address_names_hosts_user_database_and_files() {
        let address: Address = "postgres://twofa@db1.example.org,[2001:db8::1]:5433/twofa?ca=/etc/twofa/db.pem\
                                &cert=/etc/twofa/me.pem&key=/etc/twofa/me%20too.key&password-file=/etc/twofa/password&connections=3"
            .parse()
            .unwrap();
        assert_eq!(
            address,
            Address {
                hosts: vec![
                    Host::Net("db1.example.org".into(), 5432),
                    Host::Net("2001:db8::1".into(), 5433)
                ],
                user: "twofa".into(),
                database: "twofa".into(),
                password: Some("/etc/twofa/password".into()),
                ca: Some("/etc/twofa/db.pem".into()),
                certificate: Some(("/etc/twofa/me.pem".into(), "/etc/twofa/me too.key".into())),
                connections: 3,
            }
        );
        assert_eq!(address.hosts[1].to_string(), "[2001:db8::1]:5433");
    }

    #[test]
    fn a_host_that_is_a_path_is_the_folder_of_a_socket() {
        let address: Address = "postgresql://me@%2Frun%2Fpostgresql/twofa".parse().unwrap();
        assert_eq!(
            address.hosts,
            [Host::Folder("/run/postgresql".into(), 5432)]
        );
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (text, why) in [
            ("mysql://me@host/db", "begins with"),
            ("postgres://host/db", "user is missing"),
            ("postgres://me@host", "database is missing"),
            ("postgres://me@/db", "host is missing"),
            ("postgres://me:secret@host/db", "password does not belong"),
            ("postgres://me@host:0/db", "port"),
            ("postgres://me@[::1/db", "']' is missing"),
            (
                "postgres://me@host/db?sslmode=disable",
                "only password-file",
            ),
            ("postgres://me@host/db?cert=/x", "go together"),
            ("postgres://me@host/db?connections=0", "1 to 1000"),
        ] {
            assert!(bad(text).contains(why), "{text}: {}", bad(text));
        }
    }
}
