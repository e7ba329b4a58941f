//! What leaves this machine for a person: codes within their limits ([`codes`]) and notices of what happened
//! ([`notices`]), both through the [`providers`] in the store, to [`addresses`] as people write them; [`carried`] says
//! which methods have a provider.

pub mod addresses;
pub mod carried;
pub mod codes;
pub mod notices;
pub mod providers;
