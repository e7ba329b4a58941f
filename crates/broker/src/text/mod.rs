//! What people see: the sentences of the broker ([`messages`], those about events in [`events`]), a key as a picture ([`qr`]), and the terminal that both
//! are shown on ([`terminal`]). Nothing here reads the store, sends a code or decides.

pub mod events;
pub mod messages;
pub(crate) mod qr;
pub mod terminal;
