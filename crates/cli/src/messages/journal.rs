//! What the verification of the log found.

use twofa_broker::admin::log::{Finding, Verification};

pub(crate) fn finding(finding: &Finding) -> String {
    match finding {
        Finding::Altered { first, last } => format!("altered: {}", events(*first, *last)),
        Finding::Moved { first, last, by } => {
            let from = events(first + by, last + by);
            format!("moved: {} stood as {from}", events(*first, *last))
        }
        Finding::Missing { first, last } => format!("missing: {}", events(*first, *last)),
        Finding::OlderCount { expected, found } if expected > found => format!(
            "missing: {} of {expected} events from before the log was protected",
            expected - found
        ),
        Finding::OlderCount { expected, found } => format!(
            "inserted: {} events among {expected} from before the log was protected",
            found - expected
        ),
        Finding::Inserted { event } => format!("inserted: event {event} was never logged"),
        Finding::SumDiffers { event } => format!(
            "missing: events were removed that event {event} should sum up, and it says otherwise"
        ),
        Finding::Cut { last, known } => format!(
            "cut: the log ends with event {last}, and a user's record knows of event {known}"
        ),
        Finding::CheckpointsMissing { first, last } => {
            format!("missing: {}", numbered("checkpoint", *first, *last))
        }
        Finding::CheckpointAltered { number } => format!("altered: checkpoint {number}"),
        Finding::Rewritten {
            number,
            first,
            last,
        } => format!(
            "rewritten: {} are not those of checkpoint {number}, and were written with the key of the store",
            events(*first, *last)
        ),
        Finding::SealDiffers { first, last } => format!(
            "rewritten: the seal of {} is not that of the verification key",
            numbered("checkpoint", *first, *last)
        ),
        Finding::OtherKey => "the verification key belongs to another log".to_owned(),
        Finding::EndsBeforeSeal { sealed, number } => format!(
            "cut: the log ends with checkpoint {number}, and checkpoint {sealed} was sealed: its end was removed, or an \
             older database was put back"
        ),
        Finding::OtherJournal(anchor) => format!("anchor {anchor} belongs to another log"),
        Finding::EndsBefore {
            anchor,
            number,
            last,
        } => format!(
            "cut since anchor {anchor}: the log ends with checkpoint {number}, event {last}: its end was removed, or an \
             older database was put back"
        ),
        Finding::AnchorDiffers(anchor) => format!(
            "rewritten: checkpoint {} is not the one of anchor {anchor}: everything since the checkpoint before may have \
             been written again",
            anchor.number
        ),
    }
}

/// What was looked at, in a line each.
pub(crate) fn summary(verification: &Verification, has_key: bool) -> Vec<String> {
    let Verification {
        proved,
        older,
        summed_up,
        pruned_through,
        tail,
        anchors,
        old_anchors,
        seals,
        latest,
        ..
    } = verification;
    let mut lines = vec![format!("Events that are what was logged: {proved}.")];
    let mut add = |number: u64, line: String| {
        if number > 0 {
            lines.push(line);
        }
    };
    add(
        *summed_up,
        format!("Summed up by later events: {summed_up}."),
    );
    add(
        *older,
        format!("From before the log was protected, so that nothing proves them: {older}."),
    );
    add(
        pruned_through.unsigned_abs(),
        format!("Removed because of their age: up to event {pruned_through}."),
    );
    add(
        tail.events,
        format!("Not in a checkpoint yet: {}.", tail.events),
    );
    add(
        tail.unsynced,
        format!(
            "Of these, written without waiting for the disk: {}. A power failure may have removed others after them.",
            tail.unsynced
        ),
    );
    add(
        u64::from(has_key),
        format!("Seals that are right: {seals}."),
    );
    add(*anchors, format!("Anchors that agree: {anchors}."));
    add(
        *old_anchors,
        format!("Anchors that are older than what is kept: {old_anchors}."),
    );
    if let Some(anchor) = latest {
        lines.push(format!("The latest anchor is {anchor}."));
    }
    lines
}

pub(crate) fn not_whole(findings: usize) -> String {
    match findings {
        1 => "the log is not what was logged: 1 finding".to_owned(),
        findings => format!("the log is not what was logged: {findings} findings"),
    }
}

pub(crate) fn key_made(key: &str) -> String {
    format!(
        "The verification key of the log. It is shown once, and nothing on this machine has it:\n\n    {key}\n\n\
         Keep it away from this machine. 'twofa log verify --key' asks for it."
    )
}

fn events(first: i64, last: i64) -> String {
    numbered("event", first, last)
}

fn numbered(noun: &str, first: i64, last: i64) -> String {
    if first == last {
        format!("{noun} {first}")
    } else {
        format!("{noun}s {first} to {last}")
    }
}
