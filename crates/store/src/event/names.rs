//! The names of all kinds of events, for those who filter them here or in the system log.

/// A kind of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventName {
    /// As it is stored, such as `refused`.
    pub name: &'static str,
    /// Keys that its lines in the system log can have in addition to those that all lines have, separated by blanks.
    pub keys: &'static str,
    /// What it says, for people.
    pub help: &'static str,
}

/// All kinds.
pub const EVENT_NAMES: [EventName; 73] = [
    event(
        "passed",
        "method label channel kind",
        "A right code, or a trusted device, let a login pass or allowed a change",
    ),
    event("backup-code-used", "", "A backup code was right, likewise"),
    event(
        "refused",
        "reason seconds until",
        "A login was refused, or a code for a change",
    ),
    event(
        "reported",
        "class outcome",
        "A login was not asked because the mode is report; the outcome is what mandatory would have done",
    ),
    event(
        "reports-missed",
        "count since",
        "Logins under the mode report of which no record could be made",
    ),
    event(
        "unproved-refused",
        "reason count since",
        "Logins were refused in which the password or key may have been wrong",
    ),
    event("locked", "failures", "Wrong codes locked an account"),
    event(
        "app-enrolled",
        "label algorithm digits period",
        "An authenticator app was enrolled",
    ),
    event("app-removed", "label", "An authenticator app was removed"),
    event(
        "security-key-enrolled",
        "label fingerprint",
        "A security key was enrolled",
    ),
    event(
        "security-key-removed",
        "label",
        "A security key was removed",
    ),
    event(
        "email-enrolled",
        "channel attestation",
        "An e-mail address became a method",
    ),
    event(
        "sms-enrolled",
        "channel attestation",
        "A phone number became a method",
    ),
    event(
        "email-removed",
        "channel",
        "An e-mail address is no longer a method",
    ),
    event(
        "sms-removed",
        "channel",
        "A phone number is no longer a method",
    ),
    event(
        "backup-codes-made",
        "",
        "Backup codes were made where there were none",
    ),
    event(
        "backup-codes-replaced",
        "",
        "Backup codes were made, and the earlier ones are void",
    ),
    event("backup-codes-removed", "", "The backup codes were removed"),
    event("required", "", "A second factor is required of a user"),
    event("released", "", "It is no longer required"),
    event(
        "unlocked",
        "failures",
        "An administrator unlocked an account",
    ),
    event(
        "reset",
        "",
        "An administrator removed all methods of a user",
    ),
    event(
        "user-removed",
        "",
        "An administrator removed the record of a user",
    ),
    event(
        "policy-changed",
        "what old new",
        "An administrator changed a setting or a class",
    ),
    event(
        "exempted",
        "id group network for-service seconds reason",
        "An administrator exempted a user or a group",
    ),
    event(
        "exemption-ended",
        "id group network for-service seconds reason",
        "An administrator ended an exemption",
    ),
    event("user-added", "", "An administrator made a record of a user"),
    event(
        "user-invited",
        "until",
        "An administrator made a one-time code with which a user can set up a first method on a host",
    ),
    event(
        "user-merged",
        "from apps",
        "An administrator merged what exported stores know of a user",
    ),
    event(
        "user-changed",
        "setting channel value method",
        "A user's settings were changed",
    ),
    event(
        "code-sent",
        "channel to provider id milliseconds failed",
        "A code was sent",
    ),
    event(
        "code-not-sent",
        "channel to reason error failed",
        "A code could not be sent",
    ),
    event(
        "provider-added",
        "name kind channel",
        "An administrator added a provider",
    ),
    event(
        "provider-changed",
        "name settings",
        "An administrator changed a provider",
    ),
    event(
        "provider-removed",
        "name kind",
        "An administrator removed a provider",
    ),
    event(
        "provider-order-changed",
        "channel order",
        "An administrator changed the order of providers",
    ),
    event(
        "host-added",
        "name services people may-enrol",
        "An administrator added a host to the fleet",
    ),
    event("host-joined", "name join-key", "A host joined the fleet"),
    event(
        "host-removed",
        "name",
        "An administrator removed a host from the fleet",
    ),
    event(
        "host-silent",
        "name",
        "A host was removed because it had been silent for as long as its join key says",
    ),
    event(
        "join-key-added",
        "name names services people may-enrol uses until",
        "An administrator made a key with which hosts join the fleet",
    ),
    event(
        "join-key-removed",
        "name",
        "An administrator removed a key with which hosts joined the fleet",
    ),
    event(
        "host-readmitted",
        "name",
        "An administrator let a host of the fleet join again",
    ),
    event(
        "host-renewed",
        "name",
        "A host of the fleet got a new certificate",
    ),
    event(
        "host-copied",
        "name",
        "A host and a copy of it used the same certificate; both are refused",
    ),
    event(
        "server-added",
        "name",
        "An administrator added a server to the fleet",
    ),
    event("server-joined", "name", "A server joined the fleet"),
    event(
        "server-removed",
        "name",
        "An administrator removed a server from the fleet",
    ),
    event(
        "sealing-key-added",
        "number",
        "An administrator added a sealing key, which is to replace the one before",
    ),
    event(
        "sealed-again",
        "number values",
        "Values in the store were sealed with a newer key",
    ),
    event(
        "row-altered",
        "table row",
        "A server noticed that a program other than twofa wrote a row of the database",
    ),
    event(
        "ca-rotation-started",
        "authority",
        "An administrator began to replace the fleet's certificate authority",
    ),
    event(
        "ca-rotation-opened",
        "authority",
        "Every server has the new certificate authority, and hosts get certificates from it",
    ),
    event(
        "ca-rotation-finished",
        "hosts",
        "An administrator finished replacing the fleet's certificate authority; so many hosts were left behind",
    ),
    event(
        "host-people-limit",
        "name people",
        "A host asked about more people within an hour than it may (fleet.people-hourly)",
    ),
    event(
        "host-cut-off",
        "name people",
        "Wrong codes for too many people came from a host (fleet.wrong-people-hourly), which is cut off",
    ),
    event(
        "host-unlocked",
        "name",
        "An administrator ended that a host is cut off",
    ),
    event(
        "rescue-shown",
        "name reason",
        "An administrator had a rescue code of a host shown",
    ),
    event(
        "rescue-used",
        "name of-user of-service since",
        "A host reported a login with a rescue code",
    ),
    event("fleet-joined", "name", "This machine joined a fleet"),
    event("fleet-left", "name", "This machine left its fleet"),
    event(
        "fleet-resumed",
        "since",
        "An administrator went on with a database that had gone back",
    ),
    event(
        "device-trusted",
        "kind label until",
        "A device became trusted",
    ),
    event(
        "trust-renewed",
        "kind label until",
        "The trust in a device was renewed",
    ),
    event(
        "device-revoked",
        "kind label",
        "The trust in a device was ended",
    ),
    event(
        "devices-revoked",
        "count",
        "The trust in all devices of a user, or of everybody, was ended",
    ),
    event(
        "password-changed",
        "count",
        "A new password ended the trust in all devices of a user",
    ),
    event(
        "session-ended",
        "number of-service place why",
        "A login session was ended from outside",
    ),
    event(
        "session-end-asked",
        "number of-service place on-host",
        "A host of the fleet was told to end a login session",
    ),
    event(
        "summed-up",
        "kind count other-places since until digest",
        "Many earlier events of a kind gave way to this one",
    ),
    event(
        "log-pruned",
        "through before",
        "Events were removed because of their age",
    ),
    event(
        "log-key-made",
        "checkpoint",
        "A verification key of the log was made",
    ),
    event(
        "sms-limit",
        "alarm all unverified limit",
        "Many text messages were sent",
    ),
];

const fn event(name: &'static str, keys: &'static str, help: &'static str) -> EventName {
    EventName { name, keys, help }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::Event;
    use super::*;
    use std::collections::BTreeSet;
    use twofa_core::Channel;

    #[test]
    fn every_kind_of_event_has_its_name_here() {
        let unknown = serde_json::json!({"kind": "no such kind"});
        let error = serde_json::from_value::<Event>(unknown).unwrap_err();
        // serde names all variants between backticks.
        let error = error.to_string();
        let kinds = error.split('`').skip(1).step_by(2).skip(1);
        let stored: BTreeSet<_> = kinds
            .flat_map(|kind| match kind {
                "address-enrolled" | "address-removed" => Channel::ALL
                    .map(|channel| kind.replacen("address", &channel.to_string(), 1))
                    .to_vec(),
                kind => vec![kind.to_owned()],
            })
            .collect();
        let named: BTreeSet<_> = EVENT_NAMES.map(|event| event.name.to_owned()).into();
        assert_eq!(stored, named, "{error}");
    }
}
