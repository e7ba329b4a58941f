//! What is wrong with the policy, its classes and exemptions, and whom it leaves without a method.

use twofa_core::{Mode, Timestamp};
use twofa_store::StoredExemption;

use super::finding::{ExemptionEnd, Finding, RulesFinding};
use crate::admin::checks::{self, Concern};
use crate::admin::{AdminError, Administration};
use crate::identity::accounts;

/// An exemption that ends within this many seconds ends soon.
const SOON: u64 = 14 * 86_400;

/// All findings about the policy, its classes and exemptions.
pub(super) fn findings(admin: &Administration) -> Result<Vec<Finding>, AdminError> {
    let mut findings = Vec::new();
    findings.extend(policy(admin)?.into_iter().map(Finding::Rules));
    let now = admin.now();
    let exemptions = admin.store().exemptions()?;
    findings.extend(exemptions.into_iter().map(|stored| exemption(stored, now)));
    let [replace, refused] = checks::without_allowed_method(admin.store())?;
    let replace = replace.map(RulesFinding::ReplaceAtLogin);
    let people = replace
        .into_iter()
        .chain(refused.map(RulesFinding::Refused));
    findings.extend(people.map(Finding::Rules));
    Ok(findings)
}

fn policy(admin: &Administration) -> Result<Vec<RulesFinding>, AdminError> {
    let rulebook = admin.store().rulebook()?;
    let carried = checks::carried(&admin.store().providers()?);
    let mut findings: Vec<_> = checks::concerns(&rulebook, carried)
        .into_iter()
        .map(RulesFinding::Concern)
        .collect();
    if rulebook.machine().mode == Mode::Disabled {
        findings.push(RulesFinding::Disabled);
    }
    let reporting = admin.reporting_since()?.into_iter();
    findings.extend(reporting.map(|(class, since)| RulesFinding::Reporting { class, since }));
    for class in rulebook.classes() {
        match accounts::group_exists(&class.group.name) {
            Ok(true) => {}
            Ok(false) => {
                let missing: Concern = checks::group_missing(class);
                findings.push(RulesFinding::Concern(missing));
            }
            Err(error) => findings.push(RulesFinding::NameService {
                error: error.to_string(),
            }),
        }
    }
    Ok(findings)
}

fn exemption(StoredExemption { id, exemption }: StoredExemption, now: Timestamp) -> Finding {
    Finding::Exemption {
        id,
        end: end(exemption.until, now),
        subject: exemption.subject,
        reason: exemption.reason,
    }
}

fn end(until: Option<Timestamp>, now: Timestamp) -> ExemptionEnd {
    match until {
        None => ExemptionEnd::Never,
        Some(until) if until <= now => ExemptionEnd::Ended(until),
        Some(until) if until <= now.after(SOON) => ExemptionEnd::Soon(until),
        Some(until) => ExemptionEnd::Later(until),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::Bench;

    #[test]
    fn an_exemption_ends_soon_within_two_weeks() {
        let now = Timestamp::from_unix(1_800_000_000);
        assert_eq!(end(None, now), ExemptionEnd::Never);
        assert_eq!(end(Some(now), now), ExemptionEnd::Ended(now));
        let day = now.after(14 * 86_400);
        assert_eq!(end(Some(day), now), ExemptionEnd::Soon(day));
        let later = day.after(1);
        assert_eq!(end(Some(later), now), ExemptionEnd::Later(later));
    }

    #[test]
    fn a_policy_that_asks_nobody_and_one_that_keeps_people_out_are_found() {
        let bench = Bench::new();
        let found = |bench: &Bench| findings(bench).unwrap();
        assert_eq!(found(&bench), [Finding::Rules(RulesFinding::Disabled)]);
        bench.policy(&[("mode", "optional")]);
        assert_eq!(found(&bench), []);
        bench.policy(&[("mode", "mandatory"), ("enrolment", "beforehand")]);
        let concern = Concern::EnrolledBeforehandOnly {
            class: "everyone".into(),
        };
        assert_eq!(
            found(&bench),
            [Finding::Rules(RulesFinding::Concern(concern))]
        );
    }
}
