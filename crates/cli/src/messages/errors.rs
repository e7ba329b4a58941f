//! What to do about an error, and which kind of failure it is.

use twofa_broker::admin::AdminError;
use twofa_proto::Failure;

/// The kind of `error`, which is the exit status, and what to do next.
pub(crate) fn advice(error: &AdminError) -> (Failure, Option<String>) {
    let (kind, hint) = match error {
        AdminError::Store(error) => (Failure::Unavailable, error.hint()),
        AdminError::ChangedMeanwhile(error) => (Failure::Failed, error.hint()),
        AdminError::Privileges(_) | AdminError::NameService(_) | AdminError::Person(_) => {
            (Failure::Unavailable, None)
        }
        AdminError::BadRulebook(_) => (
            Failure::Usage,
            Some("see 'twofa policy show' for every setting"),
        ),
        AdminError::NoAccount(_) | AdminError::NoGroup(_) => (Failure::NotFound, None),
        AdminError::NoGroupForClass(_) => (
            Failure::NotFound,
            Some("name the group of the class with --group"),
        ),
        AdminError::NoClass(_) => (Failure::NotFound, Some("see 'twofa class list'")),
        AdminError::EveryoneIsNoClass => {
            (Failure::Usage, Some("change it with 'twofa policy set'"))
        }
        AdminError::NoProvider(_) => (Failure::NotFound, Some("see 'twofa provider list'")),
        AdminError::ProviderExists(_) => {
            (Failure::Failed, Some("change it with 'twofa provider set'"))
        }
        AdminError::ProviderTwice(_) | AdminError::BadProviderName(_) => (Failure::Usage, None),
    };
    (kind, hint.map(str::to_owned))
}
