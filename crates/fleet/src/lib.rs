//! What hosts and servers of a fleet are to each other: who is who, and how they talk.
//!
//! Each host and each server has a certificate. [`identity`] is what one says of its holder, [`certificate`] makes them,
//! [`company`] has the two that sign all others signed by another authority,
//! [`verifier`] checks them, and [`tls`] puts them into the configurations of both ends. [`token`] is what an administrator
//! carries from a server to a host that is to join, [`package`] what a server that joins is given beside it. [`wire`] has the messages, and [`stream`] the connection under them,
//! on which a whole message has a deadline. [`client`] is a host's end: it finds a server that answers, and keeps
//! connections that can be used again.
//!
//! [`signed`] is a text that hosts keep and that only servers can have written.
//!
//! Nothing here knows users, codes or the store.
#![forbid(unsafe_code)]

pub mod certificate;
pub mod client;
pub mod company;
mod dial;
mod error;
pub mod identity;
pub mod invitation;
pub mod package;
pub mod signed;
pub mod stream;
pub mod tls;
pub mod token;
pub mod verifier;
pub mod wire;

/// The TCP port of a server, unless its address names another.
pub const PORT: u16 = 6238;

/// The protocol between a joined host and a server. Its number is chosen inside the TLS handshake (ALPN, RFC 7301), so that
/// nobody on the way can lower it.
pub const PROTOCOL: &[u8] = b"twofa/2";

/// The one before: nothing is said of devices. Hosts and servers speak it with those that know no other.
pub const PREVIOUS_PROTOCOL: &[u8] = b"twofa/1";

/// The protocol of a host that joins, and has no certificate yet.
pub const JOIN_PROTOCOL: &[u8] = b"twofa-join/1";

/// The protocol of a server that joins, and has no certificate yet.
pub const SERVER_PROTOCOL: &[u8] = b"twofa-server/1";

/// The protocol of a host about itself: where servers are, and a new certificate.
pub const HOST_PROTOCOL: &[u8] = b"twofa-host/1";

/// The protocol of the one connection on which a host waits for what it is to do.
pub const WATCH_PROTOCOL: &[u8] = b"twofa-watch/1";
