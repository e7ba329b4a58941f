//! Providers with an HTTP interface, as their data files describe it.
//!
//! [`provider`] is the open provider. It uses [`api`]: the data file together with an administrator's settings. A
//! request is built by [`request`] ([`sigv4`] signs those to AWS), sent by [`crate::net::http`], and its answer is evaluated
//! by [`response`]. [`inbox`] lists the messages that people sent, and [`mod@sample`] shows a request without sending it.

mod api;
mod inbox;
mod provider;
mod request;
mod response;
mod sample;
mod sigv4;

pub(super) use provider::HttpProvider;
pub(super) use sample::sample;
