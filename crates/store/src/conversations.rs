//! Logins of hosts that wait for an answer. A server holds nothing of them between a prompt and its answer; any server goes on.
//!
//! Answers are numbered from 1. The verdict on one is stored in the transaction that verifies it
//! ([`Store::try_code`], [`Store::use_backup_code`]): of any number of servers that verify an answer, or several with one
//! number, one does, and the others find what became of it ([`StoreError::AnsweredMeanwhile`]). An answer whose verdict was
//! stored but whose reply was not, because the server died, gets that verdict when it comes again, and is no second pass.
//!
//! Where a method is set up, an answer can have more than one consequence: the method is stored, a code is sent, the login
//! passes. Each is on record before it is known to anyone ([`AnswerVerdict`]), so that another server goes on behind it. State
//! and reply of such a conversation are sealed: they show keys and backup codes.

use std::fmt;

use serde::{Deserialize, Serialize};
use twofa_core::{Account, Method, Timestamp};
use zeroize::Zeroizing;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Answering, Origin, Proof, RefusalReason};
use crate::generation::Generation;
use crate::host_in_force::find_in_force;
use crate::seal::{AssociatedData, Owner};
use crate::sql::conversations::{self, ConversationRecord};
use crate::sql::fleet::{self, Host};
use crate::tx::{Tx, View};

/// How long the verdict on the last answer is kept, in seconds: for a host that did not get it.
const KEPT: u64 = 60;

/// Logins of one host that wait for an answer at most, at all servers.
const MOST_OF_A_HOST: u32 = 4_000;
/// Logins to one account that wait for an answer at most, on all hosts.
const MOST_OF_AN_ACCOUNT: u32 = 64;

/// What a sealed state or reply begins with. Otherwise both are JSON, or empty.
const SEALED: &str = "sealed:";

/// A login that waits for its first answer.
#[derive(Clone, Copy)]
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
    /// State and reply are sealed.
    pub is_secret: bool,
    /// When it ends without an answer.
    pub until: Timestamp,
}

/// A login that waits for an answer, or got its last one less than a minute ago. It does not print its state and its reply.
#[derive(Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: [u8; 16],
    /// What the host says of the login.
    pub login: String,
    /// What the answer needs: the next one, or the last one as long as that has no reply.
    pub state: Zeroizing<String>,
    /// The number of the last answer; 0: none came yet.
    pub number: u32,
    /// [`Store::answer_hash`] of it.
    pub hash: Option<[u8; 32]>,
    /// The verdict on it; `None`: it was not verified.
    pub verdict: Option<AnswerVerdict>,
    /// What the host was told last; `None`: that is not known and follows from the verdict.
    pub reply: Option<Zeroizing<String>>,
    /// There is no next answer.
    pub is_over: bool,
    /// Its state was sealed.
    pub is_secret: bool,
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
    /// It was right and is used up, and the conversation goes on: the name of its method.
    Proved(String),
    /// It was right, and what it confirmed is stored: the methods have this generation since.
    Enrolled(Generation),
    /// What it proved the person for is done: a change of their record.
    Changed,
    /// What follows from it was begun, perhaps done, and is the state of the conversation.
    Begun,
}

/// What follows from an answer.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// The answer.
    pub answering: &'a Answering,
    /// What the next answer needs; `None`: the conversation is over.
    pub state: Option<&'a str>,
    /// What the host is told.
    pub reply: &'a str,
    /// State and reply are sealed.
    pub is_secret: bool,
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
        let record = |state: String, reply: String| ConversationRecord {
            id: *new.id,
            host: new.host.to_owned(),
            account: new.account.to_owned(),
            login: new.login.to_owned(),
            state,
            number: 0,
            hash: None,
            verdict: None,
            reply: Some(reply),
            is_over: false,
            until: new.until,
        };
        let begun = self.change_unsynced(origin, now, |tx| {
            let refused = || StoreError::AnsweredMeanwhile;
            let seal = |column, text: &str| tx.seal_text(new.is_secret, column, new.id, text);
            let record = record(seal("state", new.state)?, seal("reply", new.reply)?);
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
            is_secret,
            until,
        } = turn;
        let until = if state.is_some() {
            until
        } else {
            now.after(KEPT)
        };
        self.change_unsynced(origin, now, |tx| {
            let id = &answering.conversation;
            let seal = |column, text: &str| tx.seal_text(is_secret, column, id, text);
            let state = state.map(|state| seal("state", state)).transpose()?;
            let reply = seal("reply", reply)?;
            conversations::set_reply(tx.db, answering, state.as_deref(), &reply, until)
        })
    }

    /// Records that what follows from the answer of `origin` begins now: what is in `state`, which is sealed. If the server does
    /// not come to reply, another one goes on from there, and does not do it once more.
    pub fn begin_step(
        &self,
        state: &str,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(origin, now, |tx| {
            let is_before = |verdict: &AnswerVerdict| {
                matches!(
                    verdict,
                    AnswerVerdict::Enrolled(_) | AnswerVerdict::Proved(_)
                )
            };
            tx.lock_answer(account, is_before)?;
            tx.save_step(&AnswerVerdict::Begun, Some(state))
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
                if let Some(key) = fleet::key(view.db, &record.host)?
                    // Its sealing key may have been replaced since.
                    && let Ok(found) = read_record(view, record)
                {
                    swept.given_up.push((found, key));
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
    found.map(|found| read_record(view, found)).transpose()
}

fn read_record(view: &View<'_>, record: ConversationRecord) -> Result<Conversation, StoreError> {
    let open = |column, text: String| view.open_text(column, &record.id, text);
    let is_secret = record.state.starts_with(SEALED);
    let state = open("state", record.state)?;
    let reply = record.reply.map(|reply| open("reply", reply)).transpose()?;
    Ok(Conversation {
        id: record.id,
        login: record.login,
        state,
        number: record.number,
        hash: record.hash,
        verdict: record.verdict.as_deref().map(read_verdict).transpose()?,
        reply,
        is_over: record.is_over,
        is_secret,
    })
}

fn read_verdict(text: &str) -> Result<AnswerVerdict, StoreError> {
    let damaged = |_| StoreError::Damaged("the verdict on an answer does not read".to_owned());
    serde_json::from_str(text).map_err(damaged)
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("id", &self.id)
            .field("number", &self.number)
            .field("verdict", &self.verdict)
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NewConversation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewConversation")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("answering", &self.answering)
            .finish_non_exhaustive()
    }
}

const fn place<'a>(column: &'static str, id: &'a [u8; 16]) -> AssociatedData<'a> {
    AssociatedData {
        table: "conversation",
        column,
        row: 0,
        owner: Owner::Conversation(id),
    }
}

impl View<'_> {
    /// `text` of a conversation as it is stored.
    fn seal_text(
        &self,
        is_secret: bool,
        column: &'static str,
        id: &[u8; 16],
        text: &str,
    ) -> Result<String, StoreError> {
        if !is_secret {
            return Ok(text.to_owned());
        }
        let sealed = self.seal(place(column, id), text.as_bytes())?;
        let mut stored = SEALED.to_owned();
        for byte in sealed {
            stored.push_str(&format!("{byte:02x}"));
        }
        Ok(stored)
    }

    fn open_text(
        &self,
        column: &'static str,
        id: &[u8; 16],
        stored: String,
    ) -> Result<Zeroizing<String>, StoreError> {
        let Some(sealed) = stored.strip_prefix(SEALED) else {
            return Ok(Zeroizing::new(stored));
        };
        let damaged = || StoreError::Damaged("a conversation does not read".to_owned());
        let pairs = sealed.as_bytes().chunks_exact(2).map(|pair| {
            let pair = str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        let sealed: Option<Vec<u8>> = pairs.collect();
        let opened = self
            .key
            .open(place(column, id), &sealed.ok_or_else(damaged)?)?;
        let text = str::from_utf8(&opened).map_err(|_| damaged())?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

impl Tx<'_> {
    fn answering(&self) -> Option<&Answering> {
        self.origin.answering()
    }

    /// Records that the answer was right, with the transaction that uses its code up.
    pub(crate) fn answer_is_right(&self, method: Method) -> Result<(), StoreError> {
        self.set_verdict(&self.right(method))
    }

    /// The verdict on a right code of `method`.
    pub(crate) fn right(&self, method: Method) -> AnswerVerdict {
        let name = method.info().name.to_owned();
        if self.answering().is_some_and(|answering| answering.goes_on) {
            AnswerVerdict::Proved(name)
        } else {
            AnswerVerdict::Right(name)
        }
    }

    /// Fails unless the answer may have a method of `account` stored: it is the next one, or was counted and is being compared.
    pub(crate) fn answer_enrols(&self, account: &Account) -> Result<(), StoreError> {
        self.lock_answer(account, |verdict| *verdict == AnswerVerdict::Counted)
    }

    /// Records that it has, and gives back the `generation` of the methods since.
    pub(crate) fn answer_has_enrolled(
        &self,
        generation: Generation,
    ) -> Result<Generation, StoreError> {
        self.save_step(&AnswerVerdict::Enrolled(generation), None)?;
        Ok(generation)
    }

    /// Fails unless the answer may have the record of `account` changed: it is the next one, or has proved the person.
    pub(crate) fn answer_changes(&self, account: &Account) -> Result<(), StoreError> {
        self.lock_answer(account, |verdict| {
            matches!(
                verdict,
                AnswerVerdict::Proved(_) | AnswerVerdict::Enrolled(_)
            )
        })
    }

    /// Records that it has.
    pub(crate) fn answer_has_changed(&self) -> Result<(), StoreError> {
        self.save_step(&AnswerVerdict::Changed, None)
    }

    /// Fails unless the answer may end a login of `account` in which a method was set up.
    pub(crate) fn answer_passes(&self, account: &Account) -> Result<(), StoreError> {
        self.lock_answer(account, |verdict| {
            matches!(verdict, AnswerVerdict::Enrolled(_))
        })
    }

    /// Records that it has.
    pub(crate) fn answer_has_passed(&self, by: &Proof) -> Result<(), StoreError> {
        let method = match by {
            Proof::EnrolledAddress { channel, .. } => channel.method(),
            _ => Method::App,
        };
        let name = method.info().name.to_owned();
        self.save_step(&AnswerVerdict::Right(name), None)
    }

    /// Locks the conversation after the user, as everything does. Fails unless the answer is the next one, or is this one and has
    /// had no other consequence than one that `is_before`.
    fn lock_answer(
        &self,
        account: &Account,
        is_before: impl Fn(&AnswerVerdict) -> bool,
    ) -> Result<(), StoreError> {
        let Some(answering) = self.answering() else {
            return Ok(());
        };
        self.find(account)?;
        let found = conversations::find_locked(self.db, &answering.conversation)?;
        let found = found.filter(|found| !found.is_over && self.now < found.until);
        let found = found.ok_or(StoreError::AnsweredMeanwhile)?;
        let verdict = found.verdict.as_deref().map(read_verdict).transpose()?;
        let is_next =
            found.number.checked_add(1) == Some(answering.number) && found.reply.is_some();
        let is_this = found.number == answering.number
            && found.hash == Some(answering.hash)
            && found.reply.is_none()
            && verdict.as_ref().is_some_and(is_before);
        (is_next || is_this)
            .then_some(())
            .ok_or(StoreError::AnsweredMeanwhile)
    }

    /// Records a consequence of the answer, which [`Self::lock_answer`] has allowed.
    fn save_step(&self, verdict: &AnswerVerdict, state: Option<&str>) -> Result<(), StoreError> {
        let Some(answering) = self.answering() else {
            return Ok(());
        };
        let id = &answering.conversation;
        let state = state.map(|state| self.seal_text(true, "state", id, state));
        let (is_over, until) = self.end_of(verdict);
        let (verdict, state) = (as_text(verdict)?, state.transpose()?);
        conversations::set_step(
            self.db,
            answering,
            &verdict,
            state.as_deref(),
            is_over,
            until,
        )
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
    use crate::testing::{Bench, alice, origin};
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
            is_secret: false,
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
            goes_on: false,
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
            is_secret: false,
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
        assert_eq!(found.hash, Some(first.hash));
        assert!(found.reply.is_none());
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

    /// What an answer has done where a method is set up.
    fn enrol(tx: &Tx<'_>) -> Result<(), StoreError> {
        tx.answer_enrols(&alice())?;
        tx.answer_has_enrolled(Generation::UNKNOWN).map(drop)
    }

    fn pass(tx: &Tx<'_>) -> Result<(), StoreError> {
        tx.answer_passes(&alice())?;
        let label = "app".to_owned();
        tx.answer_has_passed(&Proof::EnrolledApp { label })
    }

    #[test]
    fn each_consequence_of_an_answer_comes_once_and_in_its_order() {
        let bench = Bench::new();
        let store = bench.create();
        begin(&bench, &store);
        let first = answering(&store, 1, "1");
        let step = |answering, state: &str| {
            let origin = on_host(Some(answering));
            store.begin_step(state, &alice(), &origin, bench.now)
        };
        assert!(verify(&bench, &store, first, count));
        assert!(verify(&bench, &store, first, enrol));
        for again in [first, answering(&store, 1, "2"), answering(&store, 2, "1")] {
            assert!(!verify(&bench, &store, again, enrol));
        }
        step(first, "code sent").unwrap();
        assert!(matches!(
            step(first, "again"),
            Err(StoreError::AnsweredMeanwhile)
        ));
        assert!(!verify(&bench, &store, first, pass));
        let found = find(&bench, &store, &KEY).unwrap();
        assert_eq!(found.verdict, Some(AnswerVerdict::Begun));
        assert_eq!((found.state.as_str(), found.is_secret), ("code sent", true));
        assert!(reply(&bench, &store, first, Some("2")));

        let second = answering(&store, 2, "3");
        assert!(verify(&bench, &store, second, enrol));
        assert!(verify(&bench, &store, second, pass));
        assert!(!verify(&bench, &store, second, pass));
        let found = find(&bench, &store, &KEY).unwrap();
        assert_eq!(found.verdict, Some(AnswerVerdict::Right("app".into())));
        assert!(found.is_over);
    }

    #[test]
    fn what_a_conversation_shows_is_sealed_for_that_conversation_and_is_not_printed() {
        let bench = Bench::new();
        let store = bench.create();
        begin(&bench, &store);
        let first = answering(&store, 1, "1");
        let origin = on_host(Some(first));
        let turn = Turn {
            answering: &first,
            state: Some("JBSWY3DP"),
            reply: "Key: JBSWY3DP",
            is_secret: true,
            until: bench.now.after(300),
        };
        assert!(store.end_turn(turn, &origin, bench.now).unwrap());
        let (state, reply) = store
            .read(|view| {
                let record = conversations::find(view.db, &ID)?.unwrap();
                Ok((record.state, record.reply.unwrap()))
            })
            .unwrap();
        for stored in [&state, &reply] {
            assert!(
                stored.starts_with(SEALED) && !stored.contains("JBSW"),
                "{stored}"
            );
        }
        let found = find(&bench, &store, &KEY).unwrap();
        assert_eq!(found.state.as_str(), "JBSWY3DP");
        assert_eq!(found.reply.as_ref().unwrap().as_str(), "Key: JBSWY3DP");
        assert!(!format!("{found:?} {turn:?}").contains("JBSW"));
        let elsewhere = store.read(|view| view.open_text("reply", &ID, state.clone()));
        assert!(elsewhere.is_err());
    }

    #[test]
    fn a_code_that_only_proves_ends_no_conversation_and_is_no_login() {
        let bench = Bench::new();
        let store = bench.create();
        begin(&bench, &store);
        let first = Answering {
            goes_on: true,
            ..answering(&store, 1, "1")
        };
        let right = |tx: &Tx<'_>| tx.answer_is_right(Method::App);
        assert!(verify(&bench, &store, first, right));
        let found = find(&bench, &store, &KEY).unwrap();
        assert_eq!(found.verdict, Some(AnswerVerdict::Proved("app".into())));
        assert!(!found.is_over);
        assert!(reply(&bench, &store, first, Some("1")));
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
                is_secret: false,
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
                is_secret: false,
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
