//! A host fetches the hashes of its rescue codes, and tells of uses.

use twofa_core::Account;
use twofa_store::{RescueStart, ShownRescueCode};

use super::upkeep::Host;
use super::*;
use crate::fleet::rescue::exchange;

#[test]
fn a_host_fetches_hashes_of_its_own_codes_and_others_after_a_use() {
    let server = Server::new();
    let host = Host::new(&server, &server.joined());
    let origin = Origin::command_line(0);
    let show = || {
        server
            .store
            .show_rescue_code("web1", "x", &[], &origin, now())
    };
    assert!(matches!(show().unwrap(), ShownRescueCode::NoCodes));
    let root = Account {
        name: "root".into(),
        uid: 0,
    };
    for _ in 0..2 {
        exchange(&host.store, &host.membership).unwrap();
        let ShownRescueCode::Code(code) = show().unwrap() else {
            panic!("no code");
        };
        for is_first in [true, false] {
            let begun = host.store.begin_rescue(&root, &origin, now()).unwrap();
            let RescueStart::Attempt(attempt) = begun else {
                panic!("{begun:?}");
            };
            let found = attempt.find(&code).unwrap().unwrap();
            let used = host.store.use_rescue_code(&root, found, &origin, now());
            assert_eq!(used.unwrap(), is_first);
        }
        let held = host.store.own_rescue().unwrap().report.held;
        exchange(&host.store, &host.membership).unwrap();
        assert_ne!(host.store.own_rescue().unwrap().report.held, held);
    }
    let mut used = 0;
    let each = |logged: twofa_store::LoggedEvent| {
        used += usize::from(logged.kind == "rescue-used");
        true
    };
    server.store.events(&EventFilter::default(), each).unwrap();
    assert_eq!(used, 2);

    server.store.remove_host("web1", &origin, now()).unwrap();
    assert!(exchange(&host.store, &host.membership).is_err());
}
