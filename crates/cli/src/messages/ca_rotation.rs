//! Words about a certificate authority that is replaced.

use twofa_broker::admin::ca_rotation::{CaRotation, CaRotationProgress, HostCa};
use twofa_core::Timestamp;

use super::moment;

/// How wide a bar is.
const BAR: usize = 30;
/// So many hosts are named.
const NAMED: usize = 20;

pub(crate) const NOT_STARTED: &str = "no rotation was begun here; nothing was changed";
pub(crate) const NOT_FINISHED: &str =
    "the old certificate authority is still trusted; nothing was changed";
pub(crate) const NONE: &str = "the certificate authority of this fleet has never been rotated";
pub(crate) const MADE: &str = "\
    Made a new certificate authority in /etc/twofa/fleet/next. Back up that directory now.\n";
pub(crate) const FINISHED: &str = "\
    This server uses the new certificate authority alone, and the keys of the old one were deleted. Delete your copies of them, and \
    back up /etc/twofa/fleet.\n\
    Next: run this command on every other server. Keep /etc/twofa/fleet/root.key offline, if there is one.\n";
pub(crate) const NOTHING_TO_FINISH: &str =
    "This server uses the new certificate authority already: there is nothing to do.\n";
pub(crate) const WAIT_OR_LEAVE: &str = "\
    wait until they are online ('twofa fleet rotate ca status'), remove them ('twofa host remove'), or add --leave-behind: they can \
    then renew their certificates when they are back, within fleet.renewal-grace";

/// What was begun; `without` are the servers that lack the new authority.
pub(crate) fn started(without: &[String]) -> String {
    if without.is_empty() {
        return String::from(
            "Every server has the new certificate authority, and hosts get certificates from it within minutes.\n\
             Next: twofa fleet rotate ca status, and when all hosts are done, twofa fleet rotate ca finish\n",
        );
    }
    let mut text = String::from(
        "Other servers must have the new certificate authority before hosts get certificates from it. For each of them, run the \
         first command here and the second there:\n",
    );
    for name in without {
        text.push_str("  twofa server add ");
        text.push_str(name);
        text.push_str(" --again\n  twofa server join\n");
    }
    text.push_str("Then run 'twofa fleet rotate ca start' again.\n");
    text
}

pub(crate) const fn state(rotation: &CaRotation) -> &'static str {
    match (rotation.opened_at, rotation.finished_at) {
        (_, Some(_)) => "finished",
        (Some(_), None) => "renewing",
        (None, None) => "started",
    }
}

/// How far it is: `trusting` hosts trust the new authority, `renewed` have a certificate of it. With bars where `is_drawn`.
pub(crate) fn summary(
    found: &CaRotationProgress,
    (trusting, renewed): (usize, usize),
    is_drawn: bool,
) -> String {
    let rotation = &found.rotation;
    let hosts = found.hosts.len();
    let mut lines = vec![match (rotation.finished_at, rotation.opened_at) {
        (Some(at), _) => format!("The rotation was finished {}.", moment(at)),
        (None, Some(_)) => format!(
            "The rotation began {}. Hosts are getting new certificates.",
            moment(rotation.started_at)
        ),
        (None, None) => format!(
            "The rotation began {}. Servers lack the new certificate authority.",
            moment(rotation.started_at)
        ),
    }];
    for (many, what) in [
        (trusting, "trust the new certificate authority"),
        (renewed, "have a certificate from it"),
    ] {
        let bar = if is_drawn {
            let full = (many * BAR).checked_div(hosts).unwrap_or(BAR);
            format!("[{}{}] ", "#".repeat(full), "-".repeat(BAR - full))
        } else {
            String::new()
        };
        lines.push(format!("{bar}{many} of {hosts} hosts {what}."));
    }
    if let Some(until) = rotation.kept_until {
        lines.push(format!(
            "Hosts that were left behind can renew their certificates until {}.",
            moment(until)
        ));
    }
    for (names, what) in [
        (&found.servers_without, "lack the new certificate authority"),
        (&found.servers_with_old, "use the old one"),
    ] {
        if !names.is_empty() {
            lines.push(format!("Servers that {what}: {}.", names.join(", ")));
        }
    }
    lines.join("\n") + "\n"
}

pub(crate) fn not_opened(without: &[String]) -> String {
    if without.is_empty() {
        "hosts do not get certificates from the new certificate authority yet".to_owned()
    } else {
        format!(
            "servers do not have the new certificate authority: {}",
            without.join(", ")
        )
    }
}

pub(crate) fn behind(hosts: &[&HostCa]) -> String {
    let have = if hosts.len() == 1 { "has" } else { "have" };
    format!(
        "{} {have} no certificate from the new certificate authority: {}",
        count(hosts.len()),
        names(hosts)
    )
}

/// What to warn of before the old authority goes.
pub(crate) fn warnings(hosts: &[&HostCa], kept_until: Option<Timestamp>) -> Vec<String> {
    let mut warnings = Vec::new();
    let (many, names) = (count(hosts.len()), names(hosts));
    match kept_until {
        _ if hosts.is_empty() => {}
        Some(until) => warnings.push(format!(
            "{many} will be left behind: their logins are refused until they have renewed their certificates, which they do by \
             themselves when they are online, until {}: {names}",
            moment(until)
        )),
        None => warnings.push(format!("{many} will have to join again: {names}")),
    }
    warnings.push(match kept_until {
        Some(until) => format!(
            "join keys that were made before the rotation work until {} at most: make new ones",
            moment(until)
        ),
        None => {
            "tokens and join keys that were made before now stop working: make new ones".to_owned()
        }
    });
    warnings
}

fn count(hosts: usize) -> String {
    match hosts {
        1 => "1 host".to_owned(),
        hosts => format!("{hosts} hosts"),
    }
}

fn names(hosts: &[&HostCa]) -> String {
    let seen = |host: &&HostCa| match host.seen_at {
        Some(at) => format!("{} (last seen {})", host.name, moment(at)),
        None => format!("{} (never seen)", host.name),
    };
    let mut names: Vec<_> = hosts.iter().take(NAMED).map(seen).collect();
    if let Some(more) = hosts.len().checked_sub(NAMED).filter(|more| *more > 0) {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> CaRotationProgress {
        let at = Timestamp::from_unix(1_800_000_000);
        let host = |name: &str, version, issuer: &str| HostCa {
            name: name.to_owned(),
            seen_at: None,
            version,
            issuer: Some(issuer.to_owned()),
        };
        CaRotationProgress {
            rotation: CaRotation {
                id: 1,
                servers: "s".to_owned(),
                hosts: "h".to_owned(),
                started_at: at,
                opened_at: Some(at),
                finished_at: None,
                kept_until: None,
            },
            hosts: vec![
                host("web1", Some(5), "h"),
                host("web2", Some(5), "old"),
                host("web3", None, "old"),
            ],
            servers_without: Vec::new(),
            servers_with_old: vec!["srv2".to_owned()],
        }
    }

    #[test]
    fn the_summary_says_how_many_hosts_are_done_with_bars_on_a_terminal() {
        let found = found();
        let plain = summary(&found, (2, 1), false);
        assert!(plain.contains("\n2 of 3 hosts trust the new certificate authority.\n"));
        assert!(plain.contains("\n1 of 3 hosts have a certificate from it.\n"));
        assert!(plain.contains("Servers that use the old one: srv2."));
        let drawn = summary(&found, (2, 1), true);
        let bar = format!("[{}{}] 1 of 3 hosts", "#".repeat(10), "-".repeat(20));
        assert!(drawn.contains(&bar), "{drawn}");
    }

    #[test]
    fn hosts_that_would_be_left_behind_are_named_and_what_becomes_of_them() {
        let found = found();
        let behind: Vec<_> = found.behind().collect();
        assert_eq!(
            super::behind(&behind),
            "2 hosts have no certificate from the new certificate authority: web2 (never seen), web3 (never seen)"
        );
        let kept = warnings(&behind, Some(Timestamp::from_unix(1_800_000_000)));
        assert!(kept[0].contains("renewed their certificates"), "{kept:?}");
        let revoked = warnings(&behind, None);
        assert!(revoked[0].contains("have to join again"), "{revoked:?}");
        assert_eq!(warnings(&[], None).len(), 1);
    }
}
