//! What is wrong with the policy, its classes and exemptions, and whom it leaves without a method.

use twofa_core::service::Services;
use twofa_core::{Mode, Rulebook, Timestamp};
use twofa_store::event::Record;
use twofa_store::{Event, EventFilter, StoredExemption};

use super::coverage::Coverage;
use super::finding::{ExemptionEnd, Finding, RulesFinding};
use crate::admin::checks::{self, Concern};
use crate::admin::{AdminError, Administration};
use crate::identity::accounts;

/// An exemption that ends within this many seconds ends soon.
const SOON: u64 = 14 * 86_400;

/// Reports that were missed in so many seconds are a finding.
const MISSED_SECONDS: u64 = 7 * 86_400;

/// A finding if a source of the name service does not answer: groups, and with them classes, are then unknown.
pub(super) fn name_service() -> Vec<Finding> {
    let silent = accounts::every_source_answers().err();
    let finding = |error: accounts::NameServiceError| RulesFinding::NameService {
        error: error.to_string(),
    };
    silent
        .map(finding)
        .into_iter()
        .map(Finding::Rules)
        .collect()
}

/// All findings about the policy, its classes and exemptions. `coverage`: the services that ask.
pub(super) fn findings(
    admin: &Administration,
    coverage: &Coverage,
) -> Result<Vec<Finding>, AdminError> {
    let mut findings = Vec::new();
    let policy = policy(admin)?.into_iter();
    findings.extend(policy.map(Finding::Rules));
    let uncovered = uncovered(&admin.store().rulebook()?, coverage).into_iter();
    findings.extend(uncovered.map(Finding::Rules));
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
    let reporting = admin.reporting_since()?;
    if !reporting.is_empty() {
        findings.extend(missed(admin)?);
    }
    let reporting = reporting.into_iter();
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

/// The lists of services with entries at which nothing asks.
fn uncovered(rulebook: &Rulebook, coverage: &Coverage) -> Vec<RulesFinding> {
    let mut lists: Vec<(Services, Vec<String>)> = Vec::new();
    let policies = rulebook.policies();
    for (class, policy) in policies.filter(|(_, policy)| policy.mode != Mode::Disabled) {
        let known = lists
            .iter_mut()
            .find(|(services, _)| *services == policy.services);
        match known {
            Some((_, classes)) => classes.push(class.to_owned()),
            None => lists.push((policy.services, vec![class.to_owned()])),
        }
    }
    let finding = |(services, classes): (Services, _)| {
        let missing = coverage.missing(&services);
        (!missing.is_empty()).then(|| RulesFinding::ServicesUncovered {
            classes,
            services: services.to_string(),
            missing,
        })
    };
    lists.into_iter().filter_map(finding).collect()
}

/// How many logins of the last days should be in the log for the mode report and are not.
fn missed(admin: &Administration) -> Result<Option<RulesFinding>, AdminError> {
    let filter = EventFilter {
        since: Some(admin.now().before(MISSED_SECONDS)),
        kinds: vec!["reports-missed".to_owned()],
        ..EventFilter::default()
    };
    let mut missed = 0;
    admin.events(&filter, |logged| {
        if let Record::Event(event) = logged.record
            && let Event::ReportsMissed { count, .. } = *event
        {
            missed += count;
        }
        true
    })?;
    Ok((missed > 0).then_some(RulesFinding::ReportsMissed { count: missed }))
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

    fn findings(admin: &Administration) -> Result<Vec<Finding>, AdminError> {
        super::findings(admin, &Coverage::default())
    }

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

    #[test]
    fn logins_that_could_not_be_recorded_are_found_while_the_mode_is_report() {
        let bench = Bench::new();
        let event = Event::ReportsMissed { count: 3, since: 1 };
        let (origin, now) = (bench.origin(), bench.now());
        bench.store().record(None, &event, &origin, now).unwrap();
        let missed = Finding::Rules(RulesFinding::ReportsMissed { count: 3 });
        assert!(!findings(&bench).unwrap().contains(&missed));
        bench.policy(&[("mode", "report")]);
        assert!(findings(&bench).unwrap().contains(&missed));
    }

    #[test]
    fn services_that_the_policy_names_and_no_line_asks_at_are_found() {
        let bench = Bench::new();
        let coverage = Coverage {
            asking: vec!["sshd".to_owned(), "sudo".to_owned()],
            ..Coverage::default()
        };
        let found = |bench: &Bench| uncovered(&bench.store().rulebook().unwrap(), &coverage);
        bench.policy(&[("services", "sshsudo")]);
        assert_eq!(found(&bench), []);
        bench.policy(&[("mode", "mandatory")]);
        let finding = RulesFinding::ServicesUncovered {
            classes: vec!["everyone".to_owned()],
            services: "sshsudo".to_owned(),
            missing: vec!["sshsudo".to_owned()],
        };
        assert_eq!(found(&bench), [finding]);
        bench.policy(&[("services", "ssh,sudo")]);
        assert_eq!(found(&bench), []);
    }
}
