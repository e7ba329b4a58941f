//! What to do about an error, and which kind of failure it is.

use twofa_broker::Failure;
use twofa_broker::admin::AdminError;
use twofa_broker::admin::providers::{BadProvider, ProviderFailure};
use twofa_broker::client::ClientError;

/// The kind of `error`, which is the exit status, and what to do next.
pub(crate) fn advice(error: &AdminError) -> (Failure, Option<String>) {
    (kind(error), hint(error))
}

const fn kind(error: &AdminError) -> Failure {
    match error {
        AdminError::Store(_)
        | AdminError::Privileges(_)
        | AdminError::Random(_)
        | AdminError::NameService(_)
        | AdminError::Person(_)
        | AdminError::ProviderSealed { .. } => Failure::Unavailable,
        AdminError::NoAccount(_)
        | AdminError::NoUser(_)
        | AdminError::NothingKnown(_)
        | AdminError::NoGroup(_)
        | AdminError::NoGroupForClass(_)
        | AdminError::NoClass(_)
        | AdminError::NoExemption(_)
        | AdminError::NoProvider(_)
        | AdminError::NoKind(_) => Failure::NotFound,
        AdminError::ChangedMeanwhile(_)
        | AdminError::ProviderExists(_)
        | AdminError::Enrolled(_)
        | AdminError::LogKeyExists
        | AdminError::Export { .. }
        | AdminError::OnHost
        | AdminError::OnServer
        | AdminError::NotAsked { .. } => Failure::Failed,
        AdminError::BadRulebook(_)
        | AdminError::OfFleet(_)
        | AdminError::EveryoneIsNoClass
        | AdminError::BadReason
        | AdminError::BadService
        | AdminError::ProviderTwice(_)
        | AdminError::BadProviderName(_)
        | AdminError::WrongChannel { .. }
        | AdminError::BadProvider { .. }
        | AdminError::BadTitle
        | AdminError::NoChange
        | AdminError::NoSetting { .. }
        | AdminError::NoSettingOfFile(_)
        | AdminError::SettingTwice(_)
        | AdminError::SettingsMissing { .. }
        | AdminError::SecretShown(_)
        | AdminError::NobodyToAsk(_)
        | AdminError::BadAccount(_)
        | AdminError::BadAddress(_)
        | AdminError::NoTestAddress(_) => Failure::Usage,
    }
}

fn hint(error: &AdminError) -> Option<String> {
    let hint = match error {
        AdminError::Store(error)
        | AdminError::ChangedMeanwhile(error)
        | AdminError::Export { error, .. } => {
            return error.hint().map(str::to_owned);
        }
        AdminError::OfFleet(_) | AdminError::OnHost => "run this on a fleet server",
        AdminError::BadRulebook(_) => "see 'twofa policy show' for every setting",
        AdminError::NoUser(_) => {
            "to remove the record of a deleted account, use 'twofa user remove'"
        }
        AdminError::NoGroupForClass(_) => "name the group of the class with --group",
        AdminError::NoClass(_) => "see 'twofa class list'",
        AdminError::EveryoneIsNoClass => "change it with 'twofa policy set'",
        AdminError::NoExemption(_) => "see 'twofa exemption list'",
        AdminError::NoProvider(_) | AdminError::WrongChannel { .. } => "see 'twofa provider list'",
        AdminError::ProviderExists(_) => "change it with 'twofa provider set'",
        AdminError::NoKind(_) => "see 'twofa provider kinds'",
        AdminError::LogKeyExists => {
            "--replace makes another one, and the first then verifies nothing that is sealed from now on"
        }
        AdminError::NoChange => "give KEY=VALUE, --unset KEY or --title",
        AdminError::NobodyToAsk(_) => "without a terminal, give it with --secrets-from FILE",
        AdminError::NoTestAddress(_) => "give an address with --to",
        AdminError::ProviderSealed { name, .. } => {
            return Some(format!(
                "remove it with 'twofa provider remove {name}' and add it again"
            ));
        }
        AdminError::BadProvider {
            error: BadProvider::File { .. },
            ..
        } => return None,
        AdminError::BadProvider { kind, .. }
        | AdminError::NoSetting { kind, .. }
        | AdminError::NoSettingOfFile(kind) => {
            return Some(format!("see 'twofa provider kinds {kind}'"));
        }
        AdminError::SettingsMissing { settings, .. } => {
            if settings.iter().any(|setting| setting.secret) {
                "give it as KEY=VALUE, or if it is secret with --secrets-from FILE; on a terminal you are asked for it"
            } else {
                "give it as KEY=VALUE; on a terminal you are asked for it"
            }
        }
        AdminError::SecretShown(setting) => {
            return Some(format!(
                "write '{setting}' alone to be asked for it, or give it with --secrets-from FILE; and change the secret, \
                 because it may have been seen"
            ));
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What to do where the broker could not be asked.
pub(crate) const fn client_advice(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::Unreachable(_) => {
            Some("ask an administrator to start it: systemctl start twofad.socket")
        }
        ClientError::Refused => Some("try again in a moment"),
        ClientError::NotAccepted => Some(
            "ask an administrator to restart the broker: systemctl restart twofad.socket twofad",
        ),
        ClientError::Closed | ClientError::TimedOut | ClientError::Connection(_) => Some(
            "check with 'twofa status' what was done; an administrator can find the reason with 'systemctl status \
             twofad'",
        ),
        ClientError::Privileges(_) => None,
    }
}

/// That a provider failed a test, and what to do about it. `consequence` is what that means, `instead` what else can be
/// done.
pub(crate) fn provider_failed(
    name: &str,
    failure: &ProviderFailure,
    consequence: &str,
    instead: Option<&str>,
) -> (String, Option<String>) {
    let ProviderFailure { step, reason, hint } = failure;
    let hints: Vec<_> = hint.iter().map(String::as_str).chain(instead).collect();
    (
        format!("'{name}' failed at {step}: {reason}{consequence}"),
        (!hints.is_empty()).then(|| hints.join("; ")),
    )
}
