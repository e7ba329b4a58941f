//! The commands, a file for each noun.

mod ca_rotation;
pub(crate) mod class;
pub(crate) mod completions;
mod confirm;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod exemption;
mod finding;
pub(crate) mod fleet;
pub(crate) mod join_keys;
pub(crate) mod log;
pub(crate) mod log_proof;
pub(crate) mod method;
pub(crate) mod pam;
pub(crate) mod policy;
pub(crate) mod provider;
mod rotation;
pub(crate) mod self_service;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod setup;
pub(crate) mod stats;
mod stats_report;
pub(crate) mod store;
pub(crate) mod user;
