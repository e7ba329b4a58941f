//! Text messages: an HTTP client that is configured by a data file for each provider, and a local modem.
//!
//! A provider is a data file in `sms/providers/`, or an administrator's in the same format. It describes the request
//! that sends a message, what a successful answer looks like, and where everything is in it; twofa-sms(5) documents the
//! format.
//!
//! - [`data_file`]: the format of data files, the built-in ones, and an administrator's;
//! - [`http`]: sends requests as a data file describes them;
//! - [`gammu`]: a local modem, the one provider without HTTP;
//! - [`recipient`]: the recipient's number in a provider's format;
//! - [`mod@kinds`]: all kinds of SMS providers;
//! - [`check`]: `twofa provider check`.

mod check;
mod data_file;
mod gammu;
mod http;
mod kinds;
mod recipient;

pub use check::{DataFileReport, check_file};
pub(crate) use kinds::kinds;
