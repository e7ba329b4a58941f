//! Whether codes and notices would reach people.

use twofa_broker::providers::configuration;
use twofa_broker::{Broker, clock, words};
use twofa_core::{Channel, Method};
use twofa_delivery::templates::Templates;
use twofa_delivery::{Catalogue, Places, Provider, SendError};
use twofa_store::{Providers, SmsAlarm};

use super::{Finding, moment, notice, problem};
use crate::commands::checks::{self, people};
use crate::commands::provider::{check_all, spinner};
use crate::error::CommandError;

/// A notice that is due for so many seconds is one that nobody sends.
const OVERDUE: u64 = 300;

/// What is wrong with the providers, their files, and what waits to be sent.
pub(super) fn findings(broker: &Broker) -> Result<Vec<Finding>, CommandError> {
    let places = Places::default();
    let mut findings = Vec::new();
    let templates = Templates::load(&places.templates);
    for error in templates.map_or_else(|error| vec![error], |templates| templates.problems()) {
        findings.push(problem(with_hint(&error.reason, &error)));
    }
    let (catalogue, bad) = Catalogue::load(places);
    findings.extend(
        bad.iter()
            .map(|bad| problem(format!("a kind of provider is left out: {bad}"))),
    );
    let providers = broker.store().providers()?;
    findings.extend(providers.broken.iter().map(|(name, why)| {
        problem(format!(
            "{why}; remove it with 'twofa provider remove {name}' and add it again"
        ))
    }));
    let opened = open(&catalogue, &providers, &mut findings);
    if !opened.is_empty() {
        let waiting = spinner("Trying every provider".to_owned());
        let failed = check_all(&opened);
        waiting.finish_and_clear();
        for (name, error) in failed {
            let what = format!(
                "provider '{name}' failed at {}: {}",
                error.step, error.reason
            );
            findings.push(problem(with_hint(&what, &error)));
        }
    }
    findings.extend(standards(broker, &providers)?);
    findings.extend(uncarried(broker, &providers)?);
    findings.extend(text_messages(broker, &providers)?);
    findings.extend(overdue(broker)?);
    Ok(findings)
}

fn with_hint(what: &str, error: &SendError) -> String {
    match &error.hint {
        Some(hint) => format!("{what}; {hint}"),
        None => what.to_owned(),
    }
}

/// Opens the providers that are used, and tells of those that cannot be.
fn open(
    catalogue: &Catalogue,
    providers: &Providers,
    findings: &mut Vec<Finding>,
) -> Vec<(String, Box<dyn Provider>)> {
    let mut opened = Vec::new();
    for record in &providers.all {
        let name = &record.name;
        if !providers
            .order
            .iter()
            .any(|(_, order)| order.contains(name))
        {
            findings.push(notice(format!(
                "provider '{name}' is not used: see 'twofa method set'"
            )));
            continue;
        }
        match catalogue.open(&configuration(record)) {
            Ok(provider) => opened.push((name.clone(), provider)),
            Err(error) => findings.push(problem(format!(
                "provider '{name}' cannot be used: {error}"
            ))),
        }
    }
    opened
}

/// What the standards say of codes that are sent: an administrator may be bound by them.
fn standards(broker: &Broker, providers: &Providers) -> Result<Option<Finding>, CommandError> {
    let methods = broker.store().rulebook()?.machine().methods;
    Ok((methods.contains(Method::Email) && !providers.order[Channel::Email].is_empty()).then(|| {
        notice(
            "codes by e-mail prove less than others: by NIST SP 800-63B-4 (3.1.3.1) they are no second factor; where that \
             binds you, leave email out of 'twofa policy set methods=…' (people with no other method are asked for such a \
             code once more, and then enrol another)"
                .to_owned(),
        )
    }))
}

/// The methods that people have, or a policy relies on, and nobody carries.
fn uncarried(broker: &Broker, providers: &Providers) -> Result<Vec<Finding>, CommandError> {
    let carried = checks::carried(providers);
    let mut findings: Vec<_> = checks::warnings(carried, &broker.store().rulebook()?)
        .into_iter()
        .map(problem)
        .collect();
    for (channel, count) in checks::enrolled(broker.store())?.iter() {
        if *count > 0 && !carried.contains(channel.method()) {
            let people = people(channel, *count);
            findings.push(problem(format!(
                "{people}, and no provider carries them: see 'twofa provider add'"
            )));
        }
    }
    Ok(findings)
}

/// What text messages cost, and who can have them.
fn text_messages(broker: &Broker, providers: &Providers) -> Result<Vec<Finding>, CommandError> {
    let store = broker.store();
    let rulebook = store.rulebook()?;
    let policy = rulebook.machine();
    let count = store.sms_count(clock::now())?;
    let mut findings: Vec<_> = SmsAlarm::due(count, policy.limits)
        .map(|alarm| {
            let text = words::sms_alarm(alarm, count, policy.limits);
            if alarm == SmsAlarm::Most {
                notice(text)
            } else {
                problem(text)
            }
        })
        .collect();
    if policy.methods.contains(Method::Sms)
        && !providers.order[Channel::Sms].is_empty()
        && policy.countries().is_empty()
    {
        findings.push(notice(
            "users cannot enrol phone numbers by themselves: set 'twofa policy set phone.country=…', or phone.countries \
             for more than one"
                .to_owned(),
        ));
    }
    Ok(findings)
}

/// Notices to users that nobody sends.
fn overdue(broker: &Broker) -> Result<Option<Finding>, CommandError> {
    let now = clock::now();
    let next = broker.store().next_notice_due()?;
    Ok(next.map(|due| {
        if due.after(OVERDUE) <= now {
            problem(format!(
                "a notice to a user waits since {} and nobody sends it: start the broker, or run 'twofad --notices'",
                moment(due)
            ))
        } else if due > now {
            notice(format!("a notice to a user could not be sent, or is being sent now; the next try is {}", moment(due)))
        } else {
            notice("a notice to a user is about to be sent".to_owned())
        }
    }))
}
