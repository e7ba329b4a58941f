//! A model of PAM stacks: which lines of a service are reached, and who gets in.
//!
//! PAM's files say which module is called when, and what its answer counts for. Whether a second factor can be passed by
//! depends on all of them together: on includes, jumps, and what each module may return. So the files are read as libpam
//! reads them ([`service`]: where they are found; `text`: lines and words; [`control`]: what an answer counts for), and
//! every way through them is followed (`paths`) for all that the modules may return (`module`, a table).
//!
//! ```
//! use twofa_stacks::{File, Host, Service};
//!
//! struct Machine;
//! impl Host for Machine {
//!     fn read(&self, path: &str) -> File {
//!         match path {
//!             "/etc/pam.d/sshd" => File::Text("auth requisite pam_unix.so\nauth required pam_twofa.so\n".into()),
//!             _ => File::Missing,
//!         }
//!     }
//!     fn debian(&self) -> bool {
//!         true
//!     }
//! }
//!
//! let service = Service::read("sshd", &Machine)?;
//! // A wrong password ends the stack before the code is asked for.
//! assert!(service.own_lines().iter().all(|line| !line.unproved));
//! # Ok::<(), twofa_stacks::Unusable>(())
//! ```
//!
//! # What it rests on
//!
//! What is not known counts as possible: a module that is not in the table may return anything and proves nothing, and
//! the answers of two lines are independent of each other. So "nobody gets in without" can be relied on, and "somebody
//! gets in without" may be too strict. Where files cannot be read, or libpam's versions read them differently, there is
//! a [`Doubt`] and the worst is assumed.
//!
//! Reading does no I/O: a [`Host`] hands over the files, and [`Service::files`] says which ones mattered.
#![forbid(unsafe_code)]

mod answers;
pub mod code;
pub mod control;
mod module;
mod paths;
pub mod service;
mod text;

pub use answers::{Answers, OwnLine, Step, Way, is_locker};
pub use service::{Doubt, File, Host, Phase, Rule, Service, Unusable};

#[cfg(test)]
mod tests;
