//! Words about stores that are exported and merged.

use std::path::Path;

use twofa_broker::admin::merging::{Matter, MergedPeople};
use twofa_broker::admin::store::Moved;
use twofa_core::Channel;

pub(crate) const EXPORTING: &str = "this closes the store of this machine: until it joins the fleet, every login that is asked \
for a code is refused here, root's too. Stay logged in as root until 'twofa join' is done";
pub(crate) const READING: &str = "Reading the exports";
pub(crate) const NO_FINDINGS: &str = "There is nothing to decide.\n";

/// What was exported, and what is to be done next.
pub(crate) fn exported(tables: &[Moved], directory: &Path) -> String {
    let users = tables.iter().find(|moved| moved.table == "user");
    let users = counted(users.map_or(0, |moved| moved.rows), "user");
    let directory = directory.display();
    format!(
        "The store was exported to {directory}: {users}. It is closed here.\n\
         Now copy {directory} to a fleet server, run 'twofa store merge' on it there, and 'twofa join' here.\n"
    )
}

/// The name of a matter for programs.
pub(crate) const fn matter_name(matter: &Matter) -> &'static str {
    match matter {
        Matter::Own => "own-account",
        Matter::Unknown => "unknown-account",
        Matter::OtherUid { .. } => "other-uid",
        Matter::UidOfAnother { .. } => "uid-of-another",
        Matter::SeveralApps { .. } => "several-apps",
        Matter::SameApp { .. } => "same-app",
        Matter::TooManyApps { .. } => "too-many-apps",
        Matter::TooManyKeys { .. } => "too-many-security-keys",
        Matter::OtherAddress { .. } => "other-address",
        Matter::AddressOfAnother { .. } => "address-of-another",
        Matter::BackupCodes { .. } => "backup-codes",
        Matter::Failures { .. } => "failures",
        Matter::Exemptions { .. } => "exemptions",
        Matter::Devices { .. } => "trusted-devices",
        Matter::NothingLeft => "no-method",
    }
}

/// What was found of somebody, and what is done about it.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn matter(matter: &Matter) -> (String, String) {
    let not_merged = || "not merged".to_owned();
    match matter {
        Matter::Own => (
            "the account is the host's own".to_owned(),
            "stays on the host".to_owned(),
        ),
        Matter::Unknown => ("there is no such account here".to_owned(), not_merged()),
        Matter::OtherUid { uid } => (format!("has user ID {uid} elsewhere"), not_merged()),
        Matter::UidOfAnother { name } => (format!("'{name}' has the same user ID"), not_merged()),
        Matter::SeveralApps { apps } => (counted(*apps as u64, "app"), "all are kept".to_owned()),
        Matter::SameApp { apps } => (
            format!("{} in several stores", counted(*apps as u64, "app")),
            "kept once, with the last code used".to_owned(),
        ),
        Matter::TooManyApps { apps } => (
            format!("{} more than the maximum", counted(*apps as u64, "app")),
            "those unused for longest are left out".to_owned(),
        ),
        Matter::TooManyKeys { keys } => (
            format!(
                "{} more than the maximum",
                counted(*keys as u64, "security key")
            ),
            "left out".to_owned(),
        ),
        Matter::OtherAddress { channel, kept } => (
            format!("more than one {}", noun(*channel)),
            match kept {
                Some(kept) => format!("{kept} is kept"),
                None => "none is kept".to_owned(),
            },
        ),
        Matter::AddressOfAnother { channel, left_out } => (
            format!("the {} is another user's too", noun(*channel)),
            if *left_out {
                "left out"
            } else {
                "kept, as the policy allows it"
            }
            .to_owned(),
        ),
        Matter::BackupCodes { kept } => (
            "backup codes".to_owned(),
            match kept {
                Some(host) => format!("those of {host} are kept"),
                None => "those of the hosts are left out".to_owned(),
            },
        ),
        Matter::Failures { failures } => (
            counted(*failures, "wrong code"),
            "stay counted, locks stay in force".to_owned(),
        ),
        Matter::Exemptions { exemptions, merged } => (
            counted(*exemptions as u64, "exemption"),
            if *merged { "merged" } else { "not merged" }.to_owned(),
        ),
        Matter::Devices { devices } => (
            counted(*devices, "trusted device"),
            "no longer trusted".to_owned(),
        ),
        Matter::NothingLeft => (
            "no method is left".to_owned(),
            "a second factor is required".to_owned(),
        ),
    }
}

/// How much was merged, or would be.
pub(crate) fn merged(
    MergedPeople { people, apps }: MergedPeople,
    left_out: usize,
    before: usize,
    is_done: bool,
) -> String {
    let (users, apps) = (counted(people as u64, "user"), counted(apps as u64, "app"));
    let mut text = if is_done {
        format!("{users} with {apps} merged.")
    } else {
        format!("{users} with {apps} would be merged.")
    };
    if left_out > 0 {
        text.push_str(&format!(
            " {} left out.",
            counted(left_out as u64, "account")
        ));
    }
    if before > 0 {
        let before = counted(before as u64, "user");
        text.push_str(&format!(" {before} had been merged before."));
    }
    text.push_str(if is_done {
        "\nNow run 'twofa join' on the hosts, and remove all copies of the exports.\n"
    } else {
        "\nPolicy, classes and trusted devices of the hosts are not merged: the fleet's hold. Nothing was changed; to merge, \
         add --yes.\n"
    });
    text
}

fn counted(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

const fn noun(channel: Channel) -> &'static str {
    channel.address_kind().noun()
}
