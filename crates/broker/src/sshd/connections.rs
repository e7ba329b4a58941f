//! Connections that stand for all those to which a `Match` block applies.

use std::fs;
use std::net::IpAddr;

use ipnet::IpNet;
use nix::unistd::Group;

use super::config::{Block, ConfigError, Trial, matches};
use super::connection::Connection;

/// sshd is asked about at most this many connections for one block.
const MOST: usize = 48;
/// Values for one criterion.
const MOST_VALUES: usize = 6;
/// Addresses that stand for any: of documentation (RFC 5737, RFC 3849) and of this machine.
const ADDRESSES: [&str; 3] = ["192.0.2.1", "2001:db8::1", "127.0.0.1"];

/// Users for whom a block is looked at.
const MOST_PER_BLOCK: usize = 4;
/// Once one is found to whom a block applies, so many others are tried: each takes sshd a hundredth of a second.
const MOST_AFTER_FIRST: usize = 8;

/// Connections to which the block `number` of a configuration applies, of different users, with the settings as sshd prints
/// them. Those of `people` come first. None: none was found.
pub fn applying(
    trial: &Trial,
    (number, block): (usize, &Block),
    people: &[Connection],
) -> Result<Vec<(Connection, String)>, ConfigError> {
    let mut found: Vec<(Connection, String)> = Vec::new();
    let mut left = MOST_AFTER_FIRST;
    for connection in candidates(block, people).unwrap_or_default() {
        if found.len() == MOST_PER_BLOCK || left == 0 {
            break;
        }
        left -= usize::from(!found.is_empty());
        if found.iter().any(|(known, _)| known.user == connection.user) {
            continue;
        }
        let (settings, blocks) = trial.settings(Some(&connection))?;
        if blocks.contains(&number) {
            found.push((connection, settings));
        }
    }
    Ok(found)
}

/// Connections to which a block may apply; sshd says whether it does. Those of `people` come first. `None`: the block has
/// a criterion for which none can be made up.
fn candidates(block: &Block, people: &[Connection]) -> Option<Vec<Connection>> {
    let accounts = accounts(people);
    let mut all: Vec<Connection> = people.to_vec();
    for (criterion, patterns) in &block.patterns {
        let patterns: Vec<&str> = patterns.split(',').map(str::trim).collect();
        let values = match criterion.as_str() {
            "user" => users(&patterns, &accounts),
            "group" => members(&patterns, &accounts),
            "address" | "localaddress" => addresses(&patterns),
            "host" | "localport" | "rdomain" => names(&patterns),
            _ => return None,
        };
        let mut more = Vec::new();
        for connection in &all {
            for value in &values {
                let mut other = connection.clone();
                let field = match criterion.as_str() {
                    "user" | "group" => &mut other.user,
                    "host" => &mut other.host,
                    "address" => &mut other.address,
                    "localaddress" => &mut other.local_address,
                    "localport" => &mut other.port,
                    _ => &mut other.domain,
                };
                field.clone_from(value);
                if !all.contains(&other) && !more.contains(&other) {
                    more.push(other);
                }
            }
        }
        all.extend(more);
        all.truncate(MOST);
    }
    // The last have a value for every criterion.
    all.reverse();
    all.retain(Connection::is_sound);
    Some(all)
}

/// The patterns that are not negated.
fn positive<'a>(patterns: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let patterns = patterns.iter().copied();
    patterns.filter(|pattern| !pattern.starts_with('!') && !pattern.is_empty())
}

fn is_excluded(patterns: &[&str], name: &str) -> bool {
    let mut negated = patterns
        .iter()
        .filter_map(|pattern| pattern.strip_prefix('!'));
    negated.any(|pattern| matches(pattern, name))
}

/// Names of accounts, and without one that fits, names that fit.
fn users(patterns: &[&str], accounts: &[Account]) -> Vec<String> {
    let is_meant = |name: &str| {
        positive(patterns).any(|pattern| matches(pattern, name)) && !is_excluded(patterns, name)
    };
    let known = accounts.iter().map(|account| account.name.clone());
    let mut found: Vec<_> = known.filter(|name| is_meant(name)).collect();
    found.truncate(MOST_VALUES);
    found.extend(names(patterns));
    found
}

/// Accounts in a group that fits.
fn members(patterns: &[&str], accounts: &[Account]) -> Vec<String> {
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    let local = text.lines().filter_map(|line| line.split(':').next());
    let named = positive(patterns).filter(|pattern| !pattern.contains(['*', '?']));
    let mut groups: Vec<_> = local
        .filter(|name| positive(patterns).any(|pattern| matches(pattern, name)))
        .chain(named)
        .map(str::to_owned)
        .collect();
    groups.dedup();
    let mut found = Vec::new();
    for group in groups {
        // The name service knows groups that are in no file.
        let Ok(Some(group)) = Group::from_name(&group) else {
            continue;
        };
        let gid = group.gid.as_raw();
        let primary = accounts.iter().filter(|account| account.gid == gid);
        let primary: Vec<_> = primary.map(|account| account.name.clone()).collect();
        found.extend(group.mem.into_iter().chain(primary).take(MOST_VALUES));
    }
    found.truncate(4 * MOST_VALUES);
    found
}

/// The patterns with letters for their wildcards.
fn names(patterns: &[&str]) -> Vec<String> {
    let filled = |pattern: &str| {
        ["x", "1"]
            .map(|letter| pattern.replace(['*', '?'], letter))
            .to_vec()
    };
    let mut found: Vec<_> = positive(patterns)
        .flat_map(filled)
        .filter(|name| !is_excluded(patterns, name))
        .collect();
    found.dedup();
    found.truncate(MOST_VALUES);
    found
}

/// Addresses in networks, or that fit patterns.
fn addresses(patterns: &[&str]) -> Vec<String> {
    let inside = |pattern: &str, address: &IpAddr| match pattern.parse::<IpNet>() {
        Ok(network) => network.contains(address),
        Err(_) => matches(pattern, &address.to_string()),
    };
    let is_excluded = |address: &IpAddr| {
        let mut negated = patterns
            .iter()
            .filter_map(|pattern| pattern.strip_prefix('!'));
        negated.any(|pattern| inside(pattern, address))
    };
    let mut found = Vec::new();
    for pattern in positive(patterns) {
        let made: Vec<IpAddr> = if let Ok(network) = pattern.parse::<IpNet>() {
            spread(network)
        } else if let Ok(address) = pattern.parse() {
            vec![address]
        } else {
            let filled = pattern.replace(['*', '?'], "1");
            let known = ADDRESSES.iter().filter(|address| matches(pattern, address));
            known
                .copied()
                .chain([filled.as_str()])
                .filter_map(|address| address.parse().ok())
                .collect()
        };
        found.extend(
            made.iter()
                .filter(|address| !is_excluded(address))
                .take(MOST_VALUES)
                .map(ToString::to_string),
        );
    }
    found.truncate(2 * MOST_VALUES);
    found
}

/// Addresses from all over a network: some may be excluded.
fn spread(network: IpNet) -> Vec<IpAddr> {
    let first = network.hosts().next();
    let parts = (1..=4).filter_map(|more| {
        let length = network.prefix_len().checked_add(more)?;
        network.subnets(length).ok()?.last()?.hosts().next()
    });
    first.into_iter().chain(parts).collect()
}

struct Account {
    name: String,
    gid: u32,
}

/// The accounts of `/etc/passwd`: those of `people` first, then the others that are people's.
fn accounts(people: &[Connection]) -> Vec<Account> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid: u32 = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((uid, Account { name, gid }))
    };
    let mut all: Vec<_> = text.lines().filter_map(account).collect();
    all.sort_by_key(|(uid, account)| {
        let is_named = people.iter().any(|person| person.user == account.name);
        (!is_named, *uid != 0 && *uid < 1000, *uid)
    });
    all.into_iter().map(|(_, account)| account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(patterns: &[(&str, &str)]) -> Block {
        let patterns = patterns
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Block {
            place: "f:1".to_owned(),
            criteria: String::new(),
            patterns: patterns.collect(),
            lines: Vec::new(),
        }
    }

    fn first(patterns: &[(&str, &str)]) -> String {
        let people = [Connection::local("root", "22")];
        candidates(&block(patterns), &people).unwrap()[0].to_string()
    }

    #[test]
    fn a_connection_has_a_value_for_each_criterion() {
        let found = first(&[
            ("user", "nobody-here"),
            ("address", "10.0.0.0/8"),
            ("localport", "2222"),
        ]);
        assert!(found.contains("user=nobody-here,"), "{found}");
        assert!(found.contains("addr=10."), "{found}");
        assert!(found.contains("lport=2222"), "{found}");
    }

    #[test]
    fn what_is_excluded_is_not_made_up() {
        let of = |patterns: &[&str]| addresses(patterns);
        assert!(of(&["10.0.0.0/8", "!10.0.0.0/9"])[0].starts_with("10."));
        assert!(
            of(&["*", "!192.0.2.*"])
                .iter()
                .all(|address| !address.starts_with("192.0.2."))
        );
        assert_eq!(of(&["10.0.0.0/8", "!10.0.0.0/8"]), [""; 0]);
        assert!(
            users(&["*", "!root"], &accounts(&[]))
                .iter()
                .all(|user| user != "root")
        );
    }

    #[test]
    fn a_criterion_that_is_not_known_is_not_passed_over() {
        let people = [Connection::local("root", "22")];
        assert_eq!(candidates(&block(&[("version", "*")]), &people), None);
    }
}
