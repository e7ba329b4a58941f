//! The fleet, as Prometheus reads it, on a server.

use std::collections::BTreeMap;

use twofa_broker::admin::stats::{
    DatabaseCounters, FleetFigures, Host, Replication, Server, Standby,
};
use twofa_core::Timestamp;

use super::fleet::state;
use super::stats::{add_counter, add_metric, add_single};

/// A certificate that ends within this many seconds is near its end: 14 days.
const NEAR: u64 = 14 * 86_400;

/// The metrics of a fleet, or nothing where there is none.
pub(crate) fn text(figures: &FleetFigures, now: Timestamp) -> String {
    let mut metrics = String::new();
    let text = &mut metrics;
    let FleetFigures {
        hosts,
        servers,
        unsealed,
        replication,
    } = figures;
    if let Some(replication) = replication {
        add_replication(text, replication);
    }
    if hosts.is_empty() && servers.is_empty() {
        return metrics;
    }
    let mut by_state: BTreeMap<&str, u64> = BTreeMap::new();
    let mut by_version: BTreeMap<&str, u64> = BTreeMap::new();
    for host in hosts {
        *by_state.entry(state(host, now)).or_default() += 1;
        if let Some(version) = &host.version {
            *by_version.entry(version).or_default() += 1;
        }
    }
    let (help, version) = (
        "Hosts of the fleet, by state",
        "Hosts that have been seen, by version of twofa",
    );
    add_metric(text, "fleet_hosts", help, "state", &by_state);
    add_metric(
        text,
        "fleet_hosts_of_version",
        version,
        "version",
        &by_version,
    );
    let help = "Hosts that are cut off after wrong codes for too many people";
    let count = |is_so: &dyn Fn(&Host) -> bool| hosts.iter().filter(|host| is_so(host)).count();
    let cut_off = count(&|host| host.cut_off_at.is_some());
    add_single(text, "fleet_hosts_cut_off", help, cut_off);
    let help = "Hosts whose certificate ends within 14 days";
    let near = count(&|host| {
        host.key_until
            .is_some_and(|until| now < until && until <= now.after(NEAR))
    });
    add_single(text, "fleet_certificates_near_end", help, near);
    let help = "Events that are not sealed into the log yet";
    add_single(text, "log_unsealed_events", help, unsealed);
    let seen = servers
        .iter()
        .filter_map(|server| Some((&*server.name, server.seen_at?.unix())));
    let seen: BTreeMap<&str, i64> = seen.collect();
    let help = "When each server was last seen, to within a minute";
    add_metric(
        text,
        "fleet_server_seen_timestamp_seconds",
        help,
        "server",
        &seen,
    );
    add_counters(text, servers);
    metrics
}

/// What has happened between each server and the database since the server was started, as of five seconds ago at most.
fn add_counters(text: &mut String, servers: &[Server]) {
    let of_each = |value: fn(&DatabaseCounters) -> f64| -> BTreeMap<&str, f64> {
        let counters = servers
            .iter()
            .filter_map(|server| Some((&*server.name, value(server.counters.as_ref()?))));
        counters.collect()
    };
    let mut add = |name: &str, help: &str, value: fn(&DatabaseCounters) -> f64| {
        add_counter(text, name, help, "server", &of_each(value));
    };
    add(
        "database_retries_total",
        "Transactions that ran again because another one was in their way",
        |counters| number(counters.retries),
    );
    add(
        "database_connection_waits_total",
        "Transactions that waited for a connection to the database, because all were in use",
        |counters| number(counters.waits),
    );
    add(
        "database_connection_wait_seconds_total",
        "For how long transactions waited for a connection to the database",
        |counters| number(counters.waited_microseconds) / 1e6,
    );
    add(
        "database_unknown_commits_total",
        "Commits that the database did not confirm, so that what waited for them was refused",
        |counters| number(counters.unknown_commits),
    );
}

/// Prometheus has no other numbers.
#[allow(clippy::cast_precision_loss, reason = "counters below 2^53 are exact")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// What PostgreSQL knows of its standbys, as far as the role of the database may see it.
fn add_replication(text: &mut String, replication: &Replication) {
    let help = "Whether commits wait for a synchronous standby (synchronous_standby_names)";
    let is_named = u8::from(!replication.synchronous.is_empty());
    add_single(text, "database_synchronous_standby_wanted", help, is_named);
    let Some(standbys) = &replication.standbys else {
        return;
    };
    let help = "Synchronous standbys that are connected and streaming";
    let is_there = |standby: &&Standby| standby.is_synchronous && standby.state == "streaming";
    let there = standbys.iter().filter(is_there).count();
    add_single(text, "database_synchronous_standbys", help, there);
    let mut bytes: BTreeMap<&str, i64> = BTreeMap::new();
    for standby in standbys {
        // Two of one name are one row: the worse one.
        let lag = bytes.entry(&standby.name).or_default();
        *lag = standby.lag_bytes.max(*lag);
    }
    let help = "Write-ahead log that each standby has not replayed yet, in bytes";
    add_metric(text, "database_standby_lag_bytes", help, "standby", &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_broker::admin::stats::HostRights;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn host(name: &str, key_until: Timestamp, cut_off_at: Option<Timestamp>) -> Host {
        Host {
            id: name.to_owned(),
            name: name.to_owned(),
            rights: HostRights::default(),
            added_at: NOW,
            joined_at: Some(NOW),
            token_until: None,
            key_until: Some(key_until),
            seen_at: Some(NOW),
            renewals: 0,
            copied_at: None,
            version: Some("0.1.0".to_owned()),
            cut_off_at,
            unlocked_at: None,
            join_key: None,
            lives: None,
            joined_from: None,
            joined_key: None,
        }
    }

    fn standby(name: &str, is_synchronous: bool, lag_bytes: i64) -> Standby {
        Standby {
            name: name.to_owned(),
            state: "streaming".to_owned(),
            is_synchronous,
            lag_bytes,
            lag_milliseconds: None,
        }
    }

    #[test]
    fn hosts_are_counted_by_state_and_version_and_where_there_are_none_nothing_is_said() {
        assert_eq!(text(&FleetFigures::default(), NOW), "");
        let figures = FleetFigures {
            hosts: vec![
                host("web1", NOW.after(90 * 86_400), None),
                host("web2", NOW.after(NEAR), None),
                host("web3", NOW.after(90 * 86_400), Some(NOW)),
                host("web4", NOW, None),
            ],
            servers: vec![Server {
                id: "1".into(),
                name: "srv1".into(),
                addresses: Vec::new(),
                added_at: NOW,
                joined_at: Some(NOW),
                token_until: None,
                seen_at: Some(NOW),
                keys: vec![1],
                counters: Some(DatabaseCounters {
                    retries: 7,
                    waits: 4,
                    waited_microseconds: 1_500_000,
                    unknown_commits: 1,
                }),
            }],
            unsealed: 3,
            replication: Some(Replication {
                synchronous: "a".to_owned(),
                standbys: Some(vec![standby("a", true, 0), standby("far", false, 4096)]),
            }),
        };
        let text = text(&figures, NOW);
        for line in [
            "twofa_fleet_hosts{state=\"joined\"} 2",
            "twofa_fleet_hosts{state=\"cut off\"} 1",
            "twofa_fleet_hosts{state=\"expired\"} 1",
            "twofa_fleet_hosts_of_version{version=\"0.1.0\"} 4",
            "twofa_fleet_hosts_cut_off 1",
            "twofa_fleet_certificates_near_end 1",
            "twofa_log_unsealed_events 3",
            "twofa_database_synchronous_standby_wanted 1",
            "twofa_database_synchronous_standbys 1",
            "twofa_database_standby_lag_bytes{standby=\"far\"} 4096",
            "twofa_fleet_server_seen_timestamp_seconds{server=\"srv1\"} 1800000000",
            "# TYPE twofa_database_retries_total counter",
            "twofa_database_retries_total{server=\"srv1\"} 7",
            "twofa_database_connection_waits_total{server=\"srv1\"} 4",
            "twofa_database_connection_wait_seconds_total{server=\"srv1\"} 1.5",
            "twofa_database_unknown_commits_total{server=\"srv1\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
