//! Making backup codes.

use twofa_core::Method;
use twofa_core::backup::{self, BackupCode, BackupSet};
use twofa_store::Generation;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::methods::error::EnrolmentError;
use crate::text::messages;
use crate::text::terminal::{Stage, Terminal};

/// How often the proof that the codes were saved may be mistyped.
const TRIES: u32 = 5;

/// Makes backup codes if they are allowed and there are none, where the methods have this `generation`. `None`: there are
/// some, or they were not saved.
pub(super) fn make_missing(
    context: Context<'_>,
    generation: Generation,
    terminal: &mut dyn Terminal,
) -> Result<Option<Generation>, EnrolmentError> {
    let is_allowed = context.policy().methods.contains(Method::Backup);
    if !is_allowed || context.user().backup_codes_left() > 0 {
        return Ok(None);
    }
    make(context, generation, terminal)
}

/// Makes backup codes, shows them once, and keeps them when the person has shown that they were saved. Returns the new
/// generation of the methods; `None`: they are not kept, and earlier codes still work.
pub(crate) fn make(
    context: Context<'_>,
    generation: Generation,
    terminal: &mut dyn Terminal,
) -> Result<Option<Generation>, EnrolmentError> {
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
    } = context;
    let store = context.store();
    // On disk before they are shown: however this ends, the user will be told that they do not work.
    store.note_codes_shown(account, origin, context.now())?;
    terminal.reach(Stage::CodesShown);
    let mut text = messages::backup_codes(&codes, asked).to_string();
    for _ in 0..TRIES {
        let Some(typed) = terminal.ask(text)? else {
            break;
        };
        let typed = typed.expose().trim();
        if typed.is_empty() {
            break;
        }
        if typed.to_ascii_lowercase().ends_with(expected) {
            let generation =
                store.replace_backup_codes(account, generation, &set, origin, context.now())?;
            terminal.reach(Stage::CodesSettled);
            return Ok(Some(generation));
        }
        text = messages::saved_question_again(asked);
    }
    terminal.info(messages::BACKUP_CODES_NOT_KEPT.into())?;
    terminal.reach(Stage::CodesSettled);
    store.forget_codes_shown(account, origin, context.now())?;
    Ok(None)
}
