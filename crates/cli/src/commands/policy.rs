//! `twofa policy`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use twofa_broker::clock;
use twofa_core::policy::KEYS;

use crate::arguments::Policy;
use crate::failure::Failure;
use crate::output::Output;
use crate::{output, session};

pub(crate) fn run(command: &Policy, output: Output) -> Result<(), Failure> {
    match command {
        Policy::Show => show(output),
        Policy::Set { settings } => set(settings),
    }
}

fn show(output: Output) -> Result<(), Failure> {
    if !session::is_root() {
        return Err(Failure::only_root("see the policy"));
    }
    let policy = session::open()?.store().policy()?;
    let object: BTreeMap<_, _> = KEYS.iter().map(|key| (key.name, key.value(&policy))).collect();
    output.object(&object, |out| {
        if !output.is_terminal() {
            // What 'policy set' takes.
            return KEYS.iter().try_for_each(|key| writeln!(out, "{}={}", key.name, key.value(&policy)));
        }
        let mut table = output::table(&["SETTING", "VALUE", "MEANING"]);
        for key in &KEYS {
            let value = key.value(&policy);
            let value = if value.is_empty() { "(host name)" } else { &value };
            table.add_row([key.name, value, &format!("{} ({})", key.help, key.values)]);
        }
        writeln!(out, "{}", table.trim_fmt())
    })
}

fn set(settings: &[(String, String)]) -> Result<(), Failure> {
    if !session::is_root() {
        return Err(Failure::only_root("change the policy"));
    }
    let broker = session::open()?;
    let settings = settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let changes = broker.store().change_policy(settings, 0, clock::now())?;
    let mut out = io::stdout().lock();
    if changes.is_empty() {
        writeln!(out, "Nothing to change: the policy is that already.")?;
    }
    for change in changes {
        writeln!(out, "{}: '{}' → '{}'", change.key, change.from, change.to)?;
    }
    Ok(())
}
