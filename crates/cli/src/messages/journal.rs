//! What the verification of the log found.

use twofa_broker::admin::log::{Anchor, Finding, Verification};

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
            "cut: the log ends with checkpoint {number}, and checkpoint {sealed} was sealed: {CUT}"
        ),
        Finding::OtherJournal(anchor) => format!("anchor {anchor} belongs to another log"),
        Finding::EndsBefore {
            anchor,
            number,
            last,
        } => format!(
            "cut since anchor {anchor}: the log ends with checkpoint {number}, event {last}: {CUT}"
        ),
        Finding::AnchorDiffers(anchor) => anchor_differs(anchor),
        Finding::NotAsInLines { first, last } => not_as_in_lines(*first, *last),
        Finding::LostInCrash { first, last } => lost_in_crash(*first, *last),
        Finding::OtherJournalInLines { journal, lines } => {
            format!("{lines} lines of the system log belong to another log, {journal}")
        }
    }
}

/// What explains that the end is not there.
const CUT: &str = "its end was removed, or an older database was put back";

fn anchor_differs(anchor: &Anchor) -> String {
    let number = anchor.number;
    format!(
        "rewritten: checkpoint {number} is not the one of anchor {anchor}: everything since the checkpoint before may have \
         been written again"
    )
}

fn not_as_in_lines(first: i64, last: i64) -> String {
    format!(
        "not here: the system log has {}, which were removed or written again, or an older database was put back",
        events(first, last)
    )
}

fn lost_in_crash(first: i64, last: i64) -> String {
    format!(
        "lost: the system log has {}, not yet on disk then: a power failure explains the loss; without one, somebody \
         removed them",
        events(first, last)
    )
}

/// What was looked at, in a line each.
pub(crate) fn summary(verification: &Verification, has_key: bool) -> Vec<String> {
    let found = verification;
    let counted = [
        (found.summed_up, "Summed up by later events"),
        (
            found.older,
            "From before the log was protected, so that nothing proves them",
        ),
        (
            found.pruned_through.unsigned_abs(),
            "Removed because of their age, up to event",
        ),
        (found.tail.events, "Not in a checkpoint yet"),
        (
            found.tail.unsynced,
            "Of these, written without waiting for the disk",
        ),
        (found.anchors, "Anchors that agree"),
        (
            found.old_anchors,
            "Anchors that are older than what is kept",
        ),
        (found.lines, "Lines of the system log that agree"),
        (
            found.old_lines,
            "Lines of the system log about events that are older than what is kept",
        ),
    ];
    let mut lines = vec![format!("Events that are what was logged: {}", found.proved)];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0);
    lines.extend(counted.map(|(count, what)| format!("{what}: {count}")));
    if has_key {
        lines.push(format!("Seals that are right: {}", found.seals));
    }
    if let Some(anchor) = &found.latest {
        lines.push(format!("Latest anchor: {anchor}"));
    }
    if found.tail.unsynced > 0 && found.lines == 0 {
        lines.push(
            "A power failure may have removed other events after the last one; the lines of the system log show it \
             (--anchors)."
                .to_owned(),
        );
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
