//! A model of PAM stacks: which lines of a service are reached, and who gets in.
//!
//! PAM's files say which module is called when, and what its result counts for. Whether a second factor can be bypassed
//! depends on all of them together: on includes, jumps, and what each module may return. So the files are read as libpam
//! reads them, and every path through them is followed for every result that the modules may return.
//!
//! - [`service`]: the stacks of a service; `reader` finds its files, `text` splits lines and words
//! - `rule`: a line of a stack; [`control`]: what a result counts for; [`code`]: the results
//! - `module`: what modules may return, a table; `programs`: what is known of programs
//! - `dispatch`: what a result does to a stack; `tally`: what libpam has counted; [`Handle`]: a stack whose results are
//!   known
//! - `paths`: every path through a stack
//! - `answers`: the questions that the broker and the doctor ask of a service
//! - [`FileLine`]: the lines of one file, and where they are, for those who change it
//! - [`change`]: where a line of twofa's module could go in a file, and what the prover has against that
//! - [`Proof`]: who gets in with what; `search` is the least that gets through a stack, [`Factor`] what a module's success
//!   shows, [`Credentials`] whether `pam_setcred` can succeed
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
//! # Assumptions
//!
//! What is unknown counts as possible: a module that is not in the table may return anything and proves nothing, and
//! the results of two lines are independent of each other. So "nobody gets in without a code" can be relied on, and
//! "somebody gets in without a code" may be too strict. Where files cannot be read, or versions of Linux-PAM read them
//! differently, there is a [`Doubt`] and the worst is assumed.
//!
//! The model does no I/O: a [`Host`] provides the files, and [`Service::files`] lists those that were looked at.
#![forbid(unsafe_code)]

mod answers;
pub mod change;
pub mod code;
pub mod control;
mod credentials;
mod dispatch;
mod error;
mod execute;
mod factor;
mod file_line;
mod host;
mod module;
mod paths;
mod phase;
mod programs;
mod proof;
mod reader;
mod rule;
mod search;
pub mod service;
mod tally;
mod text;

pub use answers::{Answers, KeyLine, OwnLine, Step, Way};
pub use credentials::Credentials;
pub use error::{Doubt, Unusable};
pub use execute::{Call, Handle};
pub use factor::{Factor, Shown};
pub use file_line::FileLine;
pub use host::{File, Host, LineReading};
pub use phase::Phase;
pub use programs::{Program, Route};
pub use proof::{Case, Entry, MissingModule, Proof, Strangers, Verdict, Ways};
pub use rule::{Rule, RuleKind};
pub use service::Service;

#[cfg(test)]
mod tests;
