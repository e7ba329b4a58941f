//! What people see: the sentences of the broker ([`messages`], those about events in [`events`]), why a login is treated as
//! it is ([`explain`]), a key as a picture ([`qr`]), and the terminal that they are shown on ([`terminal`]). Nothing here
//! reads the store, sends a code or decides.

pub mod events;
pub mod explain;
pub mod messages;
pub mod qr;
pub mod terminal;
