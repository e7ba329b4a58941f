//! What all network connections share: name lookup within a deadline, and the TLS configuration.

pub(crate) mod lookup;
pub(crate) mod tls;
