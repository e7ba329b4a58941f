//! Marks of the fleet's database between the store and the wire.

use twofa_core::Timestamp;
use twofa_fleet::wire;
use twofa_store::Mark;

pub(crate) const fn on_the_wire(mark: &Mark) -> wire::Mark {
    let Mark { number, value, at } = *mark;
    wire::Mark {
        number,
        at: at.unix(),
        value,
    }
}

pub(crate) const fn from_the_wire(mark: wire::Mark) -> Mark {
    let wire::Mark { number, at, value } = mark;
    Mark {
        number,
        value,
        at: Timestamp::from_unix(at),
    }
}
