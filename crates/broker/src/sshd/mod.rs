//! sshd's configuration: its files with all that they include, and connections that stand for those of a `Match` block.
//!
//! What the files mean is for sshd to say. [`config`] reads them and makes copies, of which sshd prints the settings for a
//! [`connection`]; [`connections`] makes up those to which a block may apply.

pub mod config;
pub mod connection;
pub mod connections;
