//! How a code travels to its owner: e-mail and SMS providers, and their order of fail-over.
//!
//! Empty until codes are sent. Each provider of text messages will be a data file here.
#![forbid(unsafe_code)]
