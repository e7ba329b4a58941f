//! What all network connections share: name lookup, byte streams and HTTP requests that keep deadlines, proxies, and the
//! TLS configuration.

pub(crate) mod certificate;
pub(crate) mod http;
pub(crate) mod lookup;
pub(crate) mod proxy;
pub(crate) mod stream;
pub(crate) mod tls;
