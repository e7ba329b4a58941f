//! SMS providers: with servers that answer as the providers document, with their published contracts, and with a
//! modem's daemon.

#![cfg(test)]

mod aws;
mod checks;
mod contracts;
mod data_files;
mod faults;
mod features;
mod inbox;
mod modem;
mod newer;
mod numbers;
mod proxy;
mod refusals;
mod requests;
mod sdks;
mod senders;
mod server;
mod support;
mod tools;
