//! Whom the rules keep out: root, and people who must show a second factor and have none that they could show.

use std::collections::BTreeMap;

use twofa_core::forecast::LockedOut;
use twofa_core::policy::Enrolment;
use twofa_core::{Decision, Denial, Method, Methods, Mode};

use super::finding::{EnvironmentFinding, Finding, Hurry, RulesFinding};
use crate::admin::listing::{kept_out, rows};
use crate::admin::{AdminError, Administration};
use crate::process::clock;

/// All findings about who is kept out, or relies on something weak. `hurried`: the programs that give little time.
pub(super) fn findings(
    admin: &Administration,
    hurried: &[Hurry],
) -> Result<Vec<Finding>, AdminError> {
    let mut rules = Vec::new();
    let root = admin.test_class("root").map(|test| test.decision);
    match root {
        Ok(Decision::Deny(
            denial @ (Denial::NotEnrolled | Denial::NotAllowed | Denial::IdentityMismatch),
        )) => rules.push(RulesFinding::RootRefused(denial)),
        Ok(_) | Err(AdminError::NoAccount(_)) => {}
        Err(error) => rules.push(RulesFinding::NameService {
            error: error.to_string(),
        }),
    }
    rules.extend(by_reason(kept_out(admin)?));
    let names = by_email_alone(admin)?;
    if !names.is_empty() {
        rules.push(RulesFinding::EmailAlone { names });
    }
    let mut findings: Vec<_> = rules.into_iter().map(Finding::Rules).collect();
    findings.extend(
        environment(admin, hurried)?
            .into_iter()
            .map(Finding::Environment),
    );
    Ok(findings)
}

/// Findings about those whom the rules keep out. Those with methods that are not allowed are in another.
fn by_reason(mut kept_out: BTreeMap<LockedOut, Vec<String>>) -> Vec<RulesFinding> {
    let mut take = |why| kept_out.remove(&why).unwrap_or_default();
    let not_enrolled = take(LockedOut::NotEnrolled);
    let mut undelivered = take(LockedOut::NothingToEnrol);
    undelivered.extend(take(LockedOut::Undeliverable));
    let root = undelivered.iter().any(|name| name == "root");
    let findings = [
        (!not_enrolled.is_empty()).then_some(RulesFinding::CannotVerify {
            names: not_enrolled,
        }),
        root.then_some(RulesFinding::RootUndelivered),
        (!undelivered.is_empty()).then_some(RulesFinding::Undelivered { names: undelivered }),
    ];
    findings.into_iter().flatten().collect()
}

/// Those whose only method is e-mail, which NIST SP 800-63B does not take for an out-of-band authenticator.
fn by_email_alone(admin: &Administration) -> Result<Vec<String>, AdminError> {
    let email: Methods = [Method::Email].into_iter().collect();
    let rows = rows(admin.store())?.into_iter();
    let alone = rows.filter(|row| row.summary.enrolled == email);
    Ok(alone.map(|row| row.account.name).collect())
}

/// What of the machine matters because of what people have enrolled or must enrol.
fn environment(
    admin: &Administration,
    hurried: &[Hurry],
) -> Result<Vec<EnvironmentFinding>, AdminError> {
    let rows = rows(admin.store())?;
    let mut findings = Vec::new();
    // Codes of apps are of the time, RFC 6238.
    if rows.iter().any(|row| row.apps > 0) && clock::is_synchronised() == Some(false) {
        findings.push(EnvironmentFinding::ClockUnsynchronised);
    }
    let rulebook = admin.rulebook()?;
    let enrols = rulebook.policies().any(|(_, policy)| {
        let is_asked = policy.mode == Mode::Mandatory
            || (policy.mode == Mode::Optional && rows.iter().any(|row| row.summary.required));
        is_asked && policy.enrolment == Enrolment::AtLogin
    });
    if enrols {
        findings.extend(
            hurried
                .iter()
                .map(|hurry| EnvironmentFinding::Hurry(*hurry)),
        );
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::Bench;

    fn found(bench: &Bench) -> Vec<Finding> {
        let mut found = findings(bench, &[]).unwrap();
        // The clock is that of the machine that runs the tests.
        let clock = Finding::Environment(EnvironmentFinding::ClockUnsynchronised);
        found.retain(|finding| *finding != clock);
        found
    }

    #[test]
    fn a_rule_that_locks_root_out_is_found_until_root_has_enrolled() {
        let bench = Bench::new();
        assert_eq!(found(&bench), []);
        bench.policy(&[("mode", "mandatory"), ("enrolment", "beforehand")]);
        let refused = Finding::Rules(RulesFinding::RootRefused(Denial::NotEnrolled));
        let is_root = |finding: &Finding| {
            matches!(finding, Finding::Rules(RulesFinding::CannotVerify { names })
                if names.iter().any(|name| name == "root"))
        };
        assert!(found(&bench).contains(&refused));
        assert!(found(&bench).iter().any(is_root));
        bench.enrol_account("root", 0);
        assert!(!found(&bench).contains(&refused));
        assert!(!found(&bench).iter().any(is_root));
    }

    #[test]
    fn little_time_for_a_login_matters_where_people_enrol_at_one() {
        let bench = Bench::new();
        let hurry = Hurry {
            setting: "LOGIN_TIMEOUT",
            file: "/etc/login.defs",
            seconds: 60,
        };
        let hurried = Finding::Environment(EnvironmentFinding::Hurry(hurry));
        let finds = |bench: &Bench| findings(bench, &[hurry]).unwrap().contains(&hurried);
        bench.policy(&[("mode", "optional")]);
        assert!(!finds(&bench));
        bench.policy(&[("mode", "mandatory")]);
        assert!(finds(&bench));
        bench.policy(&[("enrolment", "beforehand")]);
        assert!(!finds(&bench));
    }

    #[test]
    fn people_to_whom_no_provider_delivers_are_found_and_root_among_them() {
        let bench = Bench::new();
        bench.policy(&[("mode", "mandatory"), ("methods", "email,backup")]);
        let found = found(&bench);
        assert!(found.contains(&Finding::Rules(RulesFinding::RootUndelivered)));
        let names_root = |finding: &Finding| {
            matches!(finding, Finding::Rules(RulesFinding::Undelivered { names })
                if names.iter().any(|name| name == "root"))
        };
        assert!(found.iter().any(names_root), "{found:?}");
        bench.policy(&[("methods", "app,backup")]);
        assert!(!self::found(&bench).iter().any(names_root));
    }
}
