//! Sentences about providers.

use std::time::Duration;

use twofa_broker::admin::providers::settings::Question;
use twofa_core::Channel;
use twofa_core::channel::AddressKind;

/// `Codes by e-mail are sent through: mail, then relay.`
pub(crate) fn order(channel: Channel, names: &[String]) -> String {
    let channel = channel.noun();
    match names {
        [] => format!("No codes are sent by {channel}."),
        names => format!(
            "Codes by {channel} are sent through: {}.",
            names.join(", then ")
        ),
    }
}

/// What adding a provider would do.
pub(crate) fn would_add(name: &str) -> String {
    format!("'{name}' would be added. Nothing was saved (--dry-run).")
}

/// What changing a provider would do.
pub(crate) fn would_change(name: &str) -> String {
    format!("'{name}' would be changed. Nothing was saved (--dry-run).")
}

/// The command that tests a provider.
pub(crate) fn how_to_test(name: &str, channel: Channel) -> String {
    let to = match channel.address_kind() {
        AddressKind::Email => "you@example.org",
        AddressKind::Phone => "'+49 30 123456'",
    };
    format!("Test it: twofa provider test {name} --to {to}")
}

/// A question for a setting: `host (name of the server): `.
pub(crate) fn question(
    Question {
        name,
        help,
        is_required,
        default,
        ..
    }: &Question<'_>,
) -> String {
    match default {
        Some(default) => format!("{name} ({help}) [{default}]: "),
        None if *is_required => format!("{name} ({help}): "),
        None => format!("{name} ({help}; Enter for none): "),
    }
}

/// `Connect and log in: done after 0.13 s`
pub(crate) fn step(what: &str, is_done: bool, after: Duration) -> String {
    let ended = if is_done { "done" } else { "failed" };
    format!("{what}: {ended} after {:.2} s", after.as_secs_f64())
}

/// That a provider accepted a message, which may have a name there.
pub(crate) fn accepted(id: Option<&str>) -> String {
    let id = id.map_or_else(String::new, |id| format!(" as {id}"));
    format!("The provider accepted the message{id}. Check that it arrived.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_says_what_is_wanted_and_what_holds_without_an_answer() {
        let text = |is_required, default| {
            question(&Question {
                name: "tls",
                help: "the tls",
                is_secret: false,
                is_required,
                default,
            })
        };
        assert_eq!(text(true, None), "tls (the tls): ");
        assert_eq!(text(true, Some("implicit")), "tls (the tls) [implicit]: ");
        assert_eq!(text(false, None), "tls (the tls; Enter for none): ");
    }
}
