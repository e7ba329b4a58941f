//! What a server knows when a message of a host comes in: read once, in one round trip, of one moment. What is decided from it
//! is decided again by the transaction that verifies the answer.

use std::sync::Arc;

use twofa_core::{Account, Timestamp};

use crate::conversations::{Conversation, conversation_of};
use crate::database::Store;
use crate::error::StoreError;
use crate::host_in_force::find_in_force;
use crate::host_limits::{HostAdmission, admission_if_cut_off, settled_admission};
use crate::mark::check_known;
use crate::model::mark::Mark;
use crate::rules::Rules;
use crate::snapshot::{UserSnapshot, methods_ahead, snapshot_ahead};
use crate::sql::fleet::{self, Host};
use crate::sql::postgres::marks;
use crate::sql::{conversations, host_limits};

/// What was read of an account with a message of a host.
#[derive(Debug, Clone)]
pub struct AtHand {
    /// The account, as the host has it.
    pub account: Account,
    /// Policy, classes and exemptions in force.
    pub rules: Arc<Rules>,
    /// Whether the host may ask about the account; `None`: that is to be counted ([`Store::admit_person`]).
    pub admission: Option<HostAdmission>,
    /// What is known of the account.
    pub snapshot: UserSnapshot,
}

/// What was read with an answer of a host.
#[derive(Debug, Clone)]
pub struct OfAnswer {
    /// The host.
    pub host: Host,
    /// Its conversation; `None`: there is none of that id, it has ended, or it is another host's.
    pub conversation: Option<Conversation>,
    /// What is known of the account that it is about.
    pub at_hand: Option<AtHand>,
}

impl Store {
    /// The host whose certificate has `key`, if that is in force, and what is known of the `account` that is to log in there.
    /// Fails unless the database has had the mark that the host has `seen`. What was refused meanwhile is not read.
    pub fn read_for_login(
        &self,
        key: &[u8; 32],
        account: &Account,
        seen: Option<&Mark>,
        now: Timestamp,
    ) -> Result<(Host, AtHand), StoreError> {
        let seen = seen.filter(|seen| self.must_be_known(seen));
        let ahead = || {
            let mut ahead = methods_ahead(account);
            ahead.push(fleet::find_by_key_ahead(key, now));
            ahead.push(host_limits::asked_at_ahead(key, account));
            ahead.extend(seen.map(marks::is_known_ahead));
            ahead
        };
        self.read_ahead(ahead, |view| {
            let host = find_in_force(view, key, now)?;
            if let Some(seen) = seen {
                check_known(view, seen)?;
            }
            let at_hand = AtHand {
                rules: view.rules()?,
                admission: settled_admission(view, &host, key, account, now)?,
                snapshot: view.snapshot_without_missed(account, view.find(account)?.as_ref())?,
                account: account.clone(),
            };
            Ok((host, at_hand))
        })
    }

    /// The host whose certificate has `key`, if that is in force, its conversation of this `id`, as of [`Store::conversation`],
    /// and what is known of the account that it is about, which `account_of` reads in it. It is `likely` this one.
    pub fn read_for_answer(
        &self,
        key: &[u8; 32],
        id: &[u8; 16],
        likely: Option<&Account>,
        account_of: impl FnOnce(&Conversation) -> Option<Account>,
        now: Timestamp,
    ) -> Result<OfAnswer, StoreError> {
        let ahead = || {
            let mut ahead = likely.map(snapshot_ahead).unwrap_or_default();
            ahead.push(fleet::find_by_key_ahead(key, now));
            ahead.push(conversations::find_ahead(id));
            ahead
        };
        self.read_ahead(ahead, |view| {
            let host = find_in_force(view, key, now)?;
            let conversation = conversation_of(view, id, &host, now)?;
            let Some(account) = conversation.as_ref().and_then(account_of) else {
                return Ok(OfAnswer {
                    host,
                    conversation,
                    at_hand: None,
                });
            };
            // That it may ask was decided, and counted, when the conversation began.
            let settled = admission_if_cut_off(view, &host, &account)?;
            let at_hand = AtHand {
                rules: view.rules()?,
                admission: Some(settled.unwrap_or(HostAdmission::Admitted)),
                snapshot: view.snapshot(&account, view.find(&account)?.as_ref())?,
                account,
            };
            Ok(OfAnswer {
                host,
                conversation,
                at_hand: Some(at_hand),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempts::{CodeAttempt, CodeOutcome, CodeProof, Tally};
    use crate::event::{Answering, FleetHost, LoginOrigin, RefusalReason};
    use crate::testing::{Bench, alice, origin};
    use crate::{
        HostJoin, HostRights, NewConversation, NewHost, Origin, Settlement, Traffic, Turn,
    };

    const KEY: [u8; 32] = [2; 32];

    /// A store with the host `web1`, where alice has an app.
    fn fleet(bench: &Bench) -> Store {
        let store = bench.create();
        let (own, now) = (origin(), bench.now);
        let new = NewHost {
            id: "h1".into(),
            name: "web1".into(),
            rights: HostRights::default(),
            token: [1; 32],
        };
        store.add_host(&new, &own, now).unwrap();
        let join = HostJoin {
            token: [1; 32],
            key: KEY,
            key_until: now.after(86_400),
        };
        assert!(store.join_host(join, &own, now).unwrap());
        bench.enrol(&store, &alice(), "phone");
        store
    }

    fn on_host(answering: Option<Answering>) -> Origin {
        let host = FleetHost::connected("web1".into(), KEY).answering(answering);
        Origin::login(0, LoginOrigin::default()).on_host(host)
    }

    fn begin(bench: &Bench, store: &Store, id: [u8; 16]) {
        let (_, at_hand) = store
            .read_for_login(&KEY, &alice(), None, bench.now)
            .unwrap();
        if at_hand.admission.is_none() {
            let admitted = store.admit_person(&KEY, &alice(), &on_host(None), bench.now);
            assert_eq!(admitted.unwrap(), HostAdmission::Admitted);
        }
        let new = NewConversation {
            id: &id,
            host: "h1",
            account: "alice",
            login: "{}",
            state: "0",
            reply: "prompt",
            is_secret: false,
            until: bench.now.after(300),
        };
        assert!(
            store
                .begin_conversation(new, &on_host(None), bench.now)
                .unwrap()
        );
    }

    /// What a server does with an answer that is right, or wrong if `step` is none.
    fn answer(bench: &Bench, store: &Store, id: [u8; 16], step: Option<u64>) {
        let account_of = |_: &Conversation| Some(alice());
        let found = store
            .read_for_answer(&KEY, &id, Some(&alice()), account_of, bench.now)
            .unwrap();
        let known = found.at_hand.unwrap();
        let hash = store.answer_hash(&id, 1, Some("1"));
        let answering = Answering {
            conversation: id,
            number: 1,
            hash,
            goes_on: false,
        };
        let origin = on_host(Some(answering));
        let attempt = CodeAttempt {
            account: &alice(),
            tally: Tally::Proved,
            origin: &origin,
            known: &known.snapshot,
            settlement: Settlement::Now(None),
        };
        let app = known.snapshot.user.apps[0].id;
        let outcome = store.try_code(attempt, bench.now, |_| {
            step.map(|count| CodeProof::App { app, count })
                .ok_or(RefusalReason::WrongCode)
        });
        match outcome.unwrap() {
            CodeOutcome::Right(_) => assert!(step.is_some()),
            CodeOutcome::Wrong(_) => {
                assert!(step.is_none());
                let turn = Turn {
                    answering: &answering,
                    state: Some("1"),
                    reply: "again",
                    is_secret: false,
                    until: bench.now.after(300),
                };
                assert!(store.end_turn(turn, &origin, bench.now).unwrap());
            }
            other => panic!("{other:?}"),
        }
    }

    fn traffic_of(store: &Store, work: impl FnOnce()) -> Traffic {
        let before = store.traffic();
        work();
        let after = store.traffic();
        Traffic {
            statements: after.statements - before.statements,
            round_trips: after.round_trips - before.round_trips,
        }
    }

    /// Not a figure but the number of times that a login waits for the network, and what the database has to do meanwhile. Fewer
    /// are welcome.
    #[test]
    fn a_verified_login_takes_so_many_statements_and_round_trips() {
        let bench = Bench::new();
        let store = fleet(&bench);
        if !store.is_on_server() {
            return;
        }
        // Statements are compiled, and the person is counted.
        begin(&bench, &store, [1; 16]);
        answer(&bench, &store, [1; 16], Some(7));
        let begun = traffic_of(&store, || begin(&bench, &store, [2; 16]));
        let answered = traffic_of(&store, || answer(&bench, &store, [2; 16], Some(8)));
        let traffic = |statements, round_trips| Traffic {
            statements,
            round_trips,
        };
        assert_eq!(begun, traffic(7, 3));
        assert_eq!(answered, traffic(13, 3));
    }

    #[test]
    fn what_is_read_ahead_is_what_is_read_otherwise() {
        let bench = Bench::new();
        let store = fleet(&bench);
        begin(&bench, &store, [1; 16]);
        answer(&bench, &store, [1; 16], None);
        begin(&bench, &store, [2; 16]);
        let likely = [
            None,
            Some(alice()),
            Some(Account {
                name: "bob".into(),
                uid: 7,
            }),
        ];
        let read = likely.map(|likely| {
            let account_of = |_: &Conversation| Some(alice());
            let found =
                store.read_for_answer(&KEY, &[2; 16], likely.as_ref(), account_of, bench.now);
            format!("{:?}", found.unwrap())
        });
        assert!(read[0].contains("WrongCode") || read[0].contains("missed: Some"));
        assert!(read.iter().all(|found| *found == read[0]));
        let alone = store.snapshot(&alice()).unwrap();
        assert!(read[0].contains(&format!("{alone:?}")));
    }

    #[test]
    fn a_host_that_was_removed_or_a_strange_conversation_gives_nothing() {
        let bench = Bench::new();
        let store = fleet(&bench);
        begin(&bench, &store, [1; 16]);
        let read = |id: [u8; 16]| {
            let account_of = |_: &Conversation| Some(alice());
            let read = store.read_for_answer(&KEY, &id, None, account_of, bench.now);
            read.map(|found| found.conversation.is_some())
        };
        assert!(read([1; 16]).unwrap() && !read([9; 16]).unwrap());
        store.remove_host("web1", &origin(), bench.now).unwrap();
        assert!(matches!(read([1; 16]), Err(StoreError::HostRefused)));
        let login = store.read_for_login(&KEY, &alice(), None, bench.now);
        assert!(matches!(login, Err(StoreError::HostRefused)));
    }
}
