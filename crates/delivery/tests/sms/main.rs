//! SMS providers, against servers that answer as the providers document it, against their published contracts, and
//! against a modem's daemon.

mod requests;
mod server;
mod support;
