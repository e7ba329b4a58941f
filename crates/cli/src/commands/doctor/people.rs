//! People whose second factor is no longer allowed.

use twofa_broker::Broker;

use super::{Finding, notice, problem};
use crate::commands::losses;
use crate::error::CommandError;

/// Those who have enrolled, and nothing that is allowed.
pub(super) fn findings(broker: &Broker) -> Result<Vec<Finding>, CommandError> {
    let [replace, refused] = losses::standing(broker, &broker.store().rulebook()?)?;
    let replace = replace.map(|people| {
        notice(format!(
            "without a method that is allowed: {people}; at their next login they prove themselves with the old one and \
             enrol another"
        ))
    });
    let refused = refused.map(|people| {
        problem(format!(
            "without a method that is allowed: {people}; their logins are refused: allow what they have with 'twofa policy \
             set methods=…', or let them enrol with 'twofa policy set enrolment=at-login'; see 'twofa user list --status \
             not-allowed'"
        ))
    });
    Ok(replace.into_iter().chain(refused).collect())
}
