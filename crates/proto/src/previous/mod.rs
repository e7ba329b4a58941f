//! Version 6: the messages between the PAM module and the broker that are different from today's, and their conversion.
//!
//! It had no tickets: the account phase of a login was recognised by its process. Today's broker cannot do that. A login in
//! this version is therefore asked for its code where a trusted device would have stood in for it, no device becomes
//! trusted by it, and a confirmation in the account phase finds nothing to confirm.
//!
//! - `request`: what the module sends
//! - `response`: what the broker sends

mod request;
mod response;

use crate::evidence::Ticket;

pub(crate) use request::FromClient;
pub(crate) use response::FromBroker;

pub(crate) const VERSION: u16 = 6;

/// Stands for the ticket that this version does not have. No login leaves it: tickets are drawn from 64 bits.
const NO_TICKET: Ticket = Ticket(0);
