//! Logins of hosts that wait for an answer. A server holds nothing of them between a prompt and its answer; any server goes on.
//!
//! Answers are numbered from 1. The verdict on one is stored in the transaction that verifies it
//! ([`Store::try_code`], [`Store::use_backup_code`]): of any number of servers that verify an answer, or several with one
//! number, one does, and the others find what became of it ([`StoreError::AnsweredMeanwhile`]). An answer whose verdict was
//! stored but whose reply was not, because the server died, gets that verdict when it comes again, and is no second pass.

use serde::{Deserialize, Serialize};
use twofa_core::{Method, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Answering, Origin, RefusalReason};
use crate::host_in_force::find_in_force;
use crate::sql::conversations::{self, ConversationRecord};
use crate::sql::fleet::{self, Host};
use crate::tx::{Tx, View};

/// How long the verdict on the last answer is kept, in seconds: for a host that did not get it.
const KEPT: u64 = 60;

/// Logins of one host that wait for an answer at most, at all servers.
const MOST_OF_A_HOST: u32 = 4_000;
/// Logins to one account that wait for an answer at most, on all hosts.
const MOST_OF_AN_ACCOUNT: u32 = 64;

/// A login that waits for its first answer.
#[derive(Debug, Clone, Copy)]
pub struct NewConversation<'a> {
    /// Its random id, which the host made.
    pub id: &'a [u8; 16],
    /// The id of the host.
    pub host: &'a str,
    /// The name of the account that it is about.
    pub account: &'a str,
    /// What the host says of the login.
    pub login: &'a str,
    /// What the answer needs.
    pub state: &'a str,
    /// What the host was told.
    pub reply: &'a str,
    /// When it ends without an answer.
    pub until: Timestamp,
}

/// A login that waits for an answer, or got its last one less than a minute ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: [u8; 16],
    /// What the host says of the login.
    pub login: String,
    /// What the answer needs: the next one, or the last one as long as that has no reply.
    pub state: String,
    /// The number of the last answer; 0: none came yet.
    pub number: u32,
    /// [`Store::answer_hash`] of it.
    pub hash: Option<[u8; 32]>,
    /// The verdict on it; `None`: it was not verified.
    pub verdict: Option<AnswerVerdict>,
    /// What the host was told last; `None`: that is not known and follows from the verdict.
    pub reply: Option<String>,
    /// There is no next answer.
    pub is_over: bool,
}

/// What [`Store::sweep_conversations`] has removed.
#[derive(Debug, Default)]
pub struct Swept {
    /// How many conversations.
    pub removed: usize,
    /// Those of them that were given up, with the keys of their hosts.
    pub given_up: Vec<(Conversation, [u8; 32])>,
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerVerdict {
    /// It is a backup code, counted as wrong and being compared.
    Counted,
    /// It was right, and is used up: the name of its method.
    Right(String),
    /// It was wrong, and counted.
    Wrong(RefusalReason),
}

/// What follows from an answer.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The answer.
    pub answering: &'a Answering,
    /// What the next answer needs; `None`: the conversation is over.
    pub state: Option<&'a str>,
    /// What the host is told.
    pub reply: &'a str,
    /// When the conversation ends without another answer.
    pub until: Timestamp,
}

impl Store {
    /// A hash of an answer, keyed, for this conversation and number. `None`: no answer was given.
    pub fn answer_hash(
        &self,
        conversation: &[u8; 16],
        number: u32,
        answer: Option<&str>,
    ) -> [u8; 32] {
        let number = number.to_be_bytes();
        let given: &[&[u8]] = match answer {
            Some(answer) => &[conversation, &number, answer.as_bytes()],
            None => &[conversation, &number],
        };
        self.key().keyed_hash("answer", given)
    }

    /// A hash of a code that was sent, keyed, for a state that holds this random `salt`.
    pub fn sent_code_hash(&self, salt: &[u8; 16], digits: &str) -> [u8; 32] {
        self.key()
            .keyed_hash("sent code", &[salt, digits.as_bytes()])
    }

    /// Records a login that waits for its first answer. Returns `false` if there is one of this id, or too many wait of the
    /// host or the account.
    pub fn begin_conversation(
        &self,
        new: NewConversation<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let record = ConversationRecord {
            id: *new.id,
            host: new.host.to_owned(),
            account: new.account.to_owned(),
            login: new.login.to_owned(),
            state: new.state.to_owned(),
            number: 0,
            hash: None,
            verdict: None,
            reply: Some(new.reply.to_owned()),
            is_over: false,
            until: new.until,
        };
        let begun = self.change_unsynced(origin, now, |tx| {
            let refused = || StoreError::AnsweredMeanwhile;
            conversations::insert(tx.db, &record, MOST_OF_A_HOST, MOST_OF_AN_ACCOUNT, refused)
        });
        match begun {
            Err(StoreError::AnsweredMeanwhile) => Ok(false),
            begun => begun.map(|()| true),
        }
    }

    /// Records a login that passed with no prompt that any server could go on with, so that its host can report its session.
    pub fn note_passed_conversation(
        &self,
        new: NewConversation<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_unsynced(origin, now, |tx| {
            let until = now.after(KEPT);
            conversations::insert_over(
                tx.db,
                new.id,
                (new.host, new.account),
                new.login,
                new.reply,
                until,
            )
        })
    }

    /// The conversation of this id with the host whose certificate has `key`; `None`: there is none, it has ended, or it is
    /// another host's.
    pub fn conversation(
        &self,
        id: &[u8; 16],
        key: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Conversation>, StoreError> {
        self.read(|view| {
            let host = find_in_force(view, key, now)?;
            conversation_of(view, id, &host, now)
        })
    }

    /// Records what follows from an answer, unless the conversation has gone on meanwhile: then it returns `false`.
    pub fn end_turn(
        &self,
        turn: Turn<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Turn {
            answering,
            state,
            reply,
            until,
        } = turn;
        let until = if state.is_some() {
            until
        } else {
            now.after(KEPT)
        };
        self.change_unsynced(origin, now, |tx| {
            conversations::set_reply(tx.db, answering, state, reply, until)
        })
    }

    /// Returns when a verdict that was read is as durable as one that is stored now. The commit that stored it may have been
    /// cancelled while it waited for a standby: then it can be read, and would be lost with this database.
    pub fn confirm_verdict(&self, conversation: &[u8; 16]) -> Result<(), StoreError> {
        // A commit is confirmed together with all before it.
        self.write(|view| conversations::rewrite(view.db, conversation))
    }

    /// Removes conversations that have ended, `limit` at most.
    pub fn sweep_conversations(&self, now: Timestamp, limit: u32) -> Result<Swept, StoreError> {
        let is_old = self.read(|view| conversations::is_old(view.db, now))?;
        if !is_old {
            return Ok(Swept::default());
        }
        self.write_unsynced(|view| {
            let taken = conversations::take_old(view.db, now, limit)?;
            let mut swept = Swept {
                removed: taken.len(),
                given_up: Vec::new(),
            };
            for record in taken.into_iter().filter(|record| !record.is_over) {
                if let Some(key) = fleet::key(view.db, &record.host)? {
                    swept.given_up.push((record.try_into()?, key));
                }
            }
            Ok(swept)
        })
    }
}

/// The conversation of this id with `host`, unless it has ended.
pub(crate) fn conversation_of(
    view: &View<'_>,
    id: &[u8; 16],
    host: &Host,
    now: Timestamp,
) -> Result<Option<Conversation>, StoreError> {
    let found = conversations::find(view.db, id)?;
    let found = found.filter(|found| found.host == host.id && now < found.until);
    found.map(Conversation::try_from).transpose()
}

impl TryFrom<ConversationRecord> for Conversation {
    type Error = StoreError;

    fn try_from(record: ConversationRecord) -> Result<Self, StoreError> {
        let verdict = record.verdict.as_deref().map(serde_json::from_str);
        let verdict = verdict.transpose().map_err(|_| {
            StoreError::Damaged("the verdict on an answer does not read".to_owned())
        })?;
        Ok(Self {
            id: record.id,
            login: record.login,
            state: record.state,
            number: record.number,
            hash: record.hash,
            verdict,
            reply: record.reply,
            is_over: record.is_over,
        })
    }
}

impl Tx<'_> {
    fn answering(&self) -> Option<&Answering> {
        self.origin.host.as_ref()?.answering.as_ref()
    }

    /// Records that the answer was right, with the transaction that uses its code up.
    pub(crate) fn answer_is_right(&self, method: Method) -> Result<(), StoreError> {
        self.set_verdict(&AnswerVerdict::Right(method.info().name.to_owned()))
    }

    /// Records that the answer was wrong, with the transaction that counts it.
    pub(crate) fn answer_is_wrong(&self, why: RefusalReason) -> Result<(), StoreError> {
        self.set_verdict(&AnswerVerdict::Wrong(why))
    }

    /// Records that the answer was counted and is being compared.
    pub(crate) fn answer_is_counted(&self) -> Result<(), StoreError> {
        self.set_verdict(&AnswerVerdict::Counted)
    }

    /// The answer was counted, and what was compared is known now.
    pub(crate) fn counted_answer_is(&self, verdict: &AnswerVerdict) -> Result<(), StoreError> {
        let Some(answering) = self.answering() else {
            return Ok(());
        };
        let (is_over, until) = self.end_of(verdict);
        let (before, after) = (as_text(&AnswerVerdict::Counted)?, as_text(verdict)?);
        let is_recorded =
            conversations::replace_verdict(self.db, answering, &before, &after, is_over, until)?;
        is_recorded
            .then_some(())
            .ok_or(StoreError::AnsweredMeanwhile)
    }

    fn set_verdict(&self, verdict: &AnswerVerdict) -> Result<(), StoreError> {
        let Some(answering) = self.answering() else {
            return Ok(());
        };
        let (is_over, until) = self.end_of(verdict);
        let text = as_text(verdict)?;
        conversations::set_verdict(self.db, answering, &text, is_over, until)
    }

    /// Whether the conversation is over, and until when it is kept.
    fn end_of(&self, verdict: &AnswerVerdict) -> (bool, Timestamp) {
        (
            matches!(verdict, AnswerVerdict::Right(_)),
            self.now.after(KEPT),
        )
    }
}

fn as_text(verdict: &AnswerVerdict) -> Result<String, StoreError> {
    serde_json::to_string(verdict).map_err(|error| StoreError::Other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FleetHost, LoginOrigin};
    use crate::testing::{Bench, origin};
    use crate::{HostJoin, HostRights, NewHost};
    use std::sync::Arc;

    const ID: [u8; 16] = [9; 16];
    const KEY: [u8; 32] = [2; 32];

    fn begin(bench: &Bench, store: &Store) {
        let new = NewHost {
            id: "h1".into(),
            name: "web1".into(),
            rights: HostRights::default(),
            token: [1; 32],
        };
        store.add_host(&new, &origin(), bench.now).unwrap();
        let join = HostJoin {
            token: [1; 32],
            key: KEY,
            key_until: bench.now.after(86_400),
        };
        assert!(store.join_host(join, &origin(), bench.now).unwrap());
        let new = NewConversation {
            id: &ID,
            host: "h1",
            account: "alice",
            login: "{}",
            state: "0",
            reply: "prompt",
            until: bench.now.after(300),
        };
        let origin = on_host(None);
        let begun = || store.begin_conversation(new, &origin, bench.now).unwrap();
        assert_eq!((begun(), begun()), (true, false));
    }

    fn on_host(answering: Option<Answering>) -> Origin {
        let host = FleetHost::connected("web1".into(), KEY).answering(answering);
        Origin::login(0, LoginOrigin::default()).on_host(host)
    }

    fn answering(store: &Store, number: u32, answer: &str) -> Answering {
        Answering {
            conversation: ID,
            number,
            hash: store.answer_hash(&ID, number, Some(answer)),
        }
    }

    fn find(bench: &Bench, store: &Store, key: &[u8; 32]) -> Option<Conversation> {
        store.conversation(&ID, key, bench.now).unwrap()
    }

    /// Records the verdict on an answer.
    fn verify(
        bench: &Bench,
        store: &Store,
        answering: Answering,
        record: impl Fn(&Tx<'_>) -> Result<(), StoreError>,
    ) -> bool {
        match store.change(&on_host(Some(answering)), bench.now, record) {
            Ok(()) => true,
            Err(StoreError::AnsweredMeanwhile) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn count(tx: &Tx<'_>) -> Result<(), StoreError> {
        tx.answer_is_counted()
    }

    fn reply(bench: &Bench, store: &Store, answering: Answering, state: Option<&str>) -> bool {
        let turn = Turn {
            answering: &answering,
            state,
            reply: "reply",
            until: bench.now.after(300),
        };
        let origin = on_host(Some(answering));
        store.end_turn(turn, &origin, bench.now).unwrap()
    }

    #[test]
    fn an_answer_has_one_verdict_and_one_reply() {
        let bench = Bench::new();
        let store = bench.create();
        begin(&bench, &store);
        let wrong = |tx: &Tx<'_>| tx.answer_is_wrong(RefusalReason::WrongCode);
        let right = |tx: &Tx<'_>| tx.answer_is_right(Method::App);
        let (first, other) = (answering(&store, 1, "1"), answering(&store, 1, "2"));
        assert!(!verify(&bench, &store, answering(&store, 2, "1"), right));
        assert!(verify(&bench, &store, first, wrong));
        let found = find(&bench, &store, &KEY).unwrap();
        let verdict = Some(AnswerVerdict::Wrong(RefusalReason::WrongCode));
        assert_eq!((found.number, found.verdict), (1, verdict));
        assert_eq!((found.hash, found.reply), (Some(first.hash), None));
        // Nothing else is verified before that has its reply.
        for answering in [first, other, answering(&store, 2, "3")] {
            assert!(!verify(&bench, &store, answering, right));
        }
        assert!(!reply(&bench, &store, other, Some("1")));
        assert!(reply(&bench, &store, first, Some("1")));
        assert!(!reply(&bench, &store, first, None));
        assert!(verify(&bench, &store, answering(&store, 2, "3"), right));
        let found = find(&bench, &store, &KEY).unwrap();
        assert_eq!((found.state.as_str(), found.is_over), ("1", true));
        assert!(!reply(&bench, &store, answering(&store, 2, "3"), None));
        assert!(!verify(&bench, &store, answering(&store, 3, "3"), right));
    }

    #[test]
    fn a_counted_answer_is_right_only_until_it_has_a_reply() {
        let bench = Bench::new();
        let store = bench.create();
        let right = |tx: &Tx<'_>| tx.counted_answer_is(&AnswerVerdict::Right("backup".into()));
        begin(&bench, &store);
        let answering = answering(&store, 1, "1");
        assert!(!verify(&bench, &store, answering, right));
        assert!(verify(&bench, &store, answering, count));
        assert!(!verify(&bench, &store, answering, count));
        assert!(reply(&bench, &store, answering, Some("1")));
        assert!(!verify(&bench, &store, answering, right));
    }

    #[test]
    fn a_conversation_is_its_host_s_until_it_ends_and_is_swept_once() {
        let bench = Bench::new();
        let store = bench.create();
        begin(&bench, &store);
        assert!(find(&bench, &store, &KEY).is_some());
        let strangers = store.conversation(&ID, &[3; 32], bench.now);
        assert!(matches!(strangers, Err(StoreError::HostRefused)));
        let end = bench.now.after(300);
        assert!(store.conversation(&ID, &KEY, end).unwrap().is_none());
        let sweep = |at| store.sweep_conversations(at, 10).unwrap();
        assert_eq!(sweep(bench.now.after(299)).removed, 0);
        let swept = sweep(end);
        assert_eq!((swept.removed, swept.given_up.len()), (1, 1));
        assert_eq!(swept.given_up[0].1, KEY);
        assert_eq!(sweep(end).removed, 0);
    }

    #[test]
    fn two_servers_that_sweep_at_once_remove_each_conversation_once_and_so_many_at_most() {
        let bench = Bench::new();
        let store = Arc::new(bench.create());
        begin(&bench, &store);
        for number in 0..25_u8 {
            let name = format!("user{number}");
            let new = NewConversation {
                id: &[number + 100; 16],
                host: "h1",
                account: &name,
                login: "{}",
                state: "",
                reply: "",
                until: bench.now.after(300),
            };
            assert!(
                store
                    .begin_conversation(new, &on_host(None), bench.now)
                    .unwrap()
            );
        }
        let end = bench.now.after(300);
        assert_eq!(store.sweep_conversations(end, 6).unwrap().removed, 6);
        let sweep = || {
            let store = store.clone();
            std::thread::spawn(move || {
                let swept = store.sweep_conversations(end, 40).unwrap();
                assert_eq!(swept.removed, swept.given_up.len());
                swept.removed
            })
        };
        let both = [sweep(), sweep()].map(|thread| thread.join().unwrap());
        assert_eq!(both.iter().sum::<usize>(), 20);
        assert_eq!(store.sweep_conversations(end, 40).unwrap().removed, 0);
    }

    #[test]
    fn of_one_account_only_so_many_logins_wait() {
        let bench = Bench::new();
        let store = bench.create();
        begin(&bench, &store);
        let begin = |number: u8, account| {
            let new = NewConversation {
                id: &[number; 16],
                host: "h1",
                account,
                login: "{}",
                state: "",
                reply: "",
                until: bench.now.after(300),
            };
            let begun = store.begin_conversation(new, &on_host(None), bench.now);
            begun.unwrap()
        };
        let numbers = || (100..).take(MOST_OF_AN_ACCOUNT as usize);
        assert_eq!(
            numbers().filter(|number| begin(*number, "alice")).count(),
            63
        );
        assert!(begin(99, "bob"));
        let first = answering(&store, 1, "1");
        assert!(verify(&bench, &store, first, |tx| tx.answer_is_right(Method::App)));
        assert!(begin(98, "alice") && !begin(97, "alice"));
    }

    #[test]
    fn with_a_host_its_conversations_are_gone() {
        let bench = Bench::new();
        let store = bench.create();
        begin(&bench, &store);
        assert!(store.remove_host("web1", &origin(), bench.now).unwrap());
        let sql = "SELECT count(*) FROM conversation";
        assert_eq!(Bench::number(&store, sql), 0);
    }
}
