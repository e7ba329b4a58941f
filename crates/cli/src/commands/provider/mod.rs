//! `twofa provider`.
//!
//! What a provider is told is put together by [`settings`], tried by [`trial`] and kept by [`change`]; [`show`] tells
//! of it. All but reading a file of secrets happens as the broker's user: what works here works there.

mod change;
mod settings;
mod show;
mod trial;

use std::io::IsTerminal;
use std::path::Path;

use twofa_broker::Broker;
use twofa_delivery::{BadProvider, Catalogue, Channel, Kind as ProviderKind, Places};
use twofa_proto::Failure as Kind;
use twofa_store::{AddressKind, ProviderRecord, Providers, StoreError};

pub(crate) use trial::{check_all, spinner};

use crate::arguments::{Provider, Trial};
use crate::failure::Failure;
use crate::output::Output;
use crate::session;

pub(crate) fn run(command: &Provider, output: Output) -> Result<(), Failure> {
    match command {
        Provider::Kinds { kind } => return show::kinds(kind.as_deref(), output),
        Provider::Check { file } => return show::check(file, output),
        _ => {}
    }
    if !session::is_root() {
        return Err(Failure::only_root("see or change providers"));
    }
    match command {
        Provider::Add {
            name,
            kind,
            settings,
            title,
            trial,
        } => {
            let secrets = secrets(trial)?;
            let wish = change::Wish {
                given: settings,
                has_secrets: secrets.is_some(),
                secrets: secrets.unwrap_or_default(),
                title: title.as_deref(),
                unset: &[],
                is_tried: !trial.no_test,
            };
            change::add(&session::open()?, name, kind, wish)
        }
        Provider::Set {
            name,
            settings,
            unset,
            title,
            trial,
        } => {
            let secrets = secrets(trial)?;
            let wish = change::Wish {
                given: settings,
                has_secrets: secrets.is_some(),
                secrets: secrets.unwrap_or_default(),
                title: title.as_deref(),
                unset,
                is_tried: !trial.no_test,
            };
            change::set(&session::open()?, name, wish)
        }
        Provider::Remove { name, consent } => change::remove(&session::open()?, name, *consent),
        Provider::Show { name, reveal } => show::one(&session::open()?, name, *reveal, output),
        Provider::Test { name, to } => trial::test(&session::open()?, name, to.as_deref(), output),
        Provider::List | Provider::Kinds { .. } | Provider::Check { .. } => {
            show::list(&session::open()?, output)
        }
    }
}

/// The file of secrets, read as root.
fn secrets(trial: &Trial) -> Result<Option<settings::Values>, Failure> {
    trial
        .secrets_from
        .as_deref()
        .map(settings::read)
        .transpose()
}

/// The kinds there are. A broken file of an administrator's is the doctor's business.
fn catalogue() -> Catalogue {
    Catalogue::load(Places::default()).0
}

fn kind<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a ProviderKind, Failure> {
    catalogue.find(name).ok_or_else(|| {
        let message = format!(
            "there is no kind of provider called '{}'",
            name.escape_debug()
        );
        Failure::new(Kind::NotFound, message).hinted("see 'twofa provider kinds'")
    })
}

/// The provider called `name`.
fn record<'a>(providers: &'a Providers, name: &str) -> Result<&'a ProviderRecord, Failure> {
    if let Some(record) = providers.find(name) {
        return Ok(record);
    }
    if let Some((_, why)) = providers.broken.iter().find(|(broken, _)| broken == name) {
        let hint = format!("remove it with 'twofa provider remove {name}' and add it again");
        return Err(Failure::new(Kind::Unavailable, why).hinted(hint));
    }
    Err(StoreError::ProviderUnknown(name.escape_debug().to_string()).into())
}

/// What a provider of this channel sends to.
pub(crate) const fn addresses(channel: Channel) -> AddressKind {
    match channel {
        Channel::Email => AddressKind::Email,
        Channel::Sms => AddressKind::Phone,
    }
}

/// `Codes by e-mail go out by: mail, then relay.`
pub(crate) fn order(which: AddressKind, names: &[String]) -> String {
    let way = twofa_broker::words::way(which);
    match names {
        [] => format!("No codes go out by {way}."),
        names => format!("Codes by {way} go out by: {}.", names.join(", then ")),
    }
}

/// A provider that cannot be made of its settings.
fn bad(kind: &str, error: &BadProvider) -> Failure {
    let failure = Failure::new(Kind::Usage, error.to_string());
    match error {
        BadProvider::File { .. } => failure,
        _ => failure.hinted(format!("see 'twofa provider kinds {kind}'")),
    }
}

/// Whether somebody is there to answer questions.
fn is_asked() -> bool {
    std::io::stdin().is_terminal()
}

fn own_files() -> std::path::PathBuf {
    Places::default().sms
}

fn has_account(kind: &str, own: &Path) -> bool {
    use twofa_delivery::sms::{BadAccount, account};
    !matches!(account(kind, "", own), Err(BadAccount::None(_)))
}

fn all(broker: &Broker) -> Result<Providers, Failure> {
    Ok(broker.store().providers()?)
}
