//! Which methods reach people.

use twofa_core::{Method, Methods};
use twofa_store::Providers;

/// The methods whose codes reach people: those that need no provider, and those that have one whose settings open.
pub fn carried(providers: &Providers) -> Methods {
    let is_carried = |method: &Method| {
        let names = method.channel().map(|channel| &providers.order[channel]);
        names.is_none_or(|names| names.iter().any(|name| providers.find(name).is_some()))
    };
    Methods::ALL.iter().filter(is_carried).collect()
}
