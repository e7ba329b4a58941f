//! Making backup codes.

use twofa_core::backup::{self, BackupCode, BackupSet};
use twofa_proto::Secret;
use twofa_store::{AnswerVerdict, Generation, Store};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::methods::enrolment::{Enrolling, Step};
use crate::methods::enrolment_state::{At, CodesState, SetUp};
use crate::methods::error::EnrolmentError;
use crate::text::messages;
use crate::text::terminal::{Stage, Terminal};

/// How often the proof that the codes were saved may be mistyped.
const TRIES: u32 = 5;

impl Enrolling<'_> {
    /// Makes backup codes and shows them, after the `first` method of which they are part, if there is one.
    pub(super) fn begin_codes(
        &mut self,
        first: Option<(SetUp, bool)>,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        terminal.reach(Stage::Enrolling);
        let mut codes = Vec::with_capacity(backup::CODES);
        for _ in 0..backup::CODES {
            let mut random = Zeroizing::new([0; backup::CODE_BYTES]);
            getrandom::fill(&mut *random)?;
            codes.push(BackupCode::from_random(*random));
        }
        let mut salt = [0; backup::SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let set = BackupSet::hash(&codes, salt)?;
        // Which one is asked for need not be secret, only not always the same.
        let asked = usize::from(salt[0]) % codes.len();
        let expected = codes.get(asked).map_or("", BackupCode::last_group);
        let Context {
            account, origin, ..
        } = self.context;
        let store = self.context.store();
        let expected = store.sent_code_hash(&salt, expected);
        // On disk before they are shown: however this ends, the user will be told that they do not work.
        store.note_codes_shown(account, origin, self.context.now())?;
        terminal.reach(Stage::CodesShown);
        let state = CodesState::new(first, &set, asked, expected, TRIES);
        let text = messages::backup_codes(&codes, asked);
        Ok(Step::ask(&text, At::Codes(state)))
    }

    /// Keeps the codes when the person has shown that they were saved.
    pub(super) fn codes_answered(
        &mut self,
        mut state: CodesState,
        typed: Option<Secret>,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        let Context {
            account, origin, ..
        } = self.context;
        let (store, now) = (self.context.store(), self.context.now());
        if let Some(AnswerVerdict::Enrolled(generation)) = self.verdict {
            return Ok(self.codes_settled(state, Some(*generation), terminal));
        }
        let typed = typed.filter(|typed| !typed.expose().trim().is_empty());
        state.tries = state.tries.saturating_sub(1);
        match typed {
            Some(typed) if is_end(store, &state, typed.expose()) => {
                let set = state.set();
                let generation =
                    store.replace_backup_codes(account, self.generation, &set, origin, now)?;
                Ok(self.codes_settled(state, Some(generation), terminal))
            }
            Some(_) if state.tries > 0 => {
                let text = messages::saved_question_again(state.asked);
                Ok(Step::ask(&text, At::Codes(state)))
            }
            _ => {
                terminal.info(messages::BACKUP_CODES_NOT_KEPT.into())?;
                store.forget_codes_shown(account, origin, now)?;
                Ok(self.codes_settled(state, None, terminal))
            }
        }
    }

    /// The end of it, where the methods have this generation if the codes were kept.
    fn codes_settled(
        &mut self,
        state: CodesState,
        generation: Option<Generation>,
        terminal: &mut dyn Terminal,
    ) -> Step {
        terminal.reach(Stage::CodesSettled);
        self.generation = generation.unwrap_or(self.generation);
        let are_kept = generation.is_some();
        let (set_up, trusts_device) = state.first.unwrap_or((SetUp::Codes { are_kept }, false));
        self.end(set_up, trusts_device)
    }
}

/// Whether `typed` ends as the code that is asked for.
fn is_end(store: &Store, state: &CodesState, typed: &str) -> bool {
    let typed = Zeroizing::new(typed.trim().to_ascii_lowercase());
    let start = typed.len().saturating_sub(backup::GROUP);
    let hash = typed
        .get(start..)
        .map(|end| store.sent_code_hash(state.salt(), end));
    hash == Some(state.expected)
}
