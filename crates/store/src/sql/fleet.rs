//! Hosts and the fleet: the tables `host`, `host_attempts` and `joined_fleet`.

use twofa_core::{Throttle, Timestamp};

use super::row_hashes::{HOST as HASHED, NO_HASH, RowHash};
use super::{Ahead, Db, Row, values};
use crate::error::StoreError;

/// A host of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its random id, never given to another.
    pub id: String,
    /// The name that an administrator gave it.
    pub name: String,
    /// What it may do.
    pub rights: HostRights,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it joined; `None`: not yet.
    pub joined_at: Option<Timestamp>,
    /// Until when it can join; `None`: it has joined.
    pub token_until: Option<Timestamp>,
    /// When its certificate ends; `None`: it has not joined.
    pub key_until: Option<Timestamp>,
    /// When somebody last logged in there, to within a minute; `None`: not yet.
    pub seen_at: Option<Timestamp>,
    /// How often it has renewed its certificate since it joined.
    pub renewals: u64,
    /// When two machines turned out to have its key; `None`: that has not happened since it joined.
    pub copied_at: Option<Timestamp>,
    /// The version of the twofa there at that time, as the host said.
    pub version: Option<String>,
    /// Since when it may ask only about people who have passed there; `None`: it is not cut off.
    pub cut_off_at: Option<Timestamp>,
    /// When an administrator last ended that; what came before does not count again.
    pub unlocked_at: Option<Timestamp>,
    /// The name of the key with which it joined; `None`: it had a token of its own.
    pub join_key: Option<String>,
    /// After so many seconds of silence it is removed; `None`: it never is.
    pub lives: Option<u64>,
    /// The address from which it joined; `None`: not known.
    pub joined_from: Option<String>,
    /// SHA-256 of the public key with which it joined; `None`: not known.
    pub joined_key: Option<[u8; 32]>,
}

/// What a host may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostRights {
    /// The PAM services that it may ask for; empty: all.
    pub services: Vec<String>,
    /// The group whose members it may ask about; `None`: everybody.
    pub people: Option<String>,
    /// Whether people may set up their first method there.
    pub may_enrol: bool,
}

/// The fleet that this machine has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedFleet {
    /// The id of the fleet.
    pub fleet: String,
    /// The id of this machine there.
    pub host: String,
    /// The name of this machine there.
    pub name: String,
    /// When it joined.
    pub joined_at: Timestamp,
    /// Where servers are, as it was last told by one; empty: not yet.
    pub servers: Vec<String>,
    /// Its certificate, as PEM, and the key of that; `None`: the ones with which it joined.
    pub renewed: Option<Renewed>,
    /// The certificate authorities of the fleet, since they were rotated; `None`: the ones with which it joined.
    pub authorities: Option<KnownAuthorities>,
}

/// What a host knows of the certificate authorities of its fleet, since they were rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAuthorities {
    /// Each change has a greater one.
    pub version: i64,
    /// Those for servers that it trusts, as PEM.
    pub servers: String,
    /// The one for hosts that is to sign its certificate, as PEM; `None`: any.
    pub hosts: Option<String>,
    /// When it asks for a certificate of that.
    pub renew_at: Timestamp,
}

/// A certificate that a host got after it joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The certificate, as PEM.
    pub certificate: String,
    /// Its key, sealed.
    pub(crate) key: Vec<u8>,
}

/// The keys of a host, as SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostKeys {
    pub(crate) current: Option<[u8; 32]>,
    pub(crate) previous: Option<[u8; 32]>,
}

/// How an attempt on a host ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostAttempt {
    Passed,
    /// The code was wrong, or is not known to be right yet.
    Failed,
}

macro_rules! host {
    () => {
        "SELECT id, name, services, may_enrol, added_at, token_until, key_until, joined_at, seen_at, renewals, copied_at,
                people, version, cut_off_at, unlocked_at, join_key, lives, joined_from, joined_key,
                token, key, previous_key, previous_until, seal FROM host"
    };
}
const HOST: &str = host!();
const BY_KEY: &str = concat!(
    host!(),
    " WHERE key = ?1 OR (previous_key = ?1 AND previous_until > ?2)"
);

/// Every host, by name.
pub(crate) fn all(db: &Db<'_>) -> Result<Vec<Host>, StoreError> {
    db.query_all(&format!("{HOST} ORDER BY name"), values![], host)
}

pub(crate) fn find(db: &Db<'_>, name: &str) -> Result<Option<Host>, StoreError> {
    db.query_opt(&format!("{HOST} WHERE name = ?1"), values![name], host)
}

/// The host whose certificate has this key, or had it until a moment ago, with the hash of its row.
pub(crate) fn find_by_key(
    db: &Db<'_>,
    key: &[u8; 32],
    now: Timestamp,
) -> Result<Option<(Host, RowHash)>, StoreError> {
    db.query_opt(BY_KEY, values![key, now], |row| {
        Ok((host(row)?, RowHash::of(&HASHED, row)?))
    })
}

/// [`find_by_key`], to be asked later.
pub(crate) fn find_by_key_ahead(key: &[u8; 32], now: Timestamp) -> Ahead {
    Ahead::new(BY_KEY, values![key, now])
}

pub(crate) fn find_by_id(db: &Db<'_>, id: &str) -> Result<Option<Host>, StoreError> {
    db.query_opt(&format!("{HOST} WHERE id = ?1"), values![id], host)
}

/// The key of the certificate of the host of this id; `None`: there is no such host, or it has not joined.
pub(crate) fn key(db: &Db<'_>, id: &str) -> Result<Option<[u8; 32]>, StoreError> {
    let sql = "SELECT key FROM host WHERE id = ?1";
    let key = db.query_opt(sql, values![id], |row| row.get("key"))?;
    Ok(key.flatten())
}

/// The host that may join with this token.
pub(crate) fn find_by_token(db: &Db<'_>, token: &[u8; 32]) -> Result<Option<Host>, StoreError> {
    db.query_opt(&format!("{HOST} WHERE token = ?1"), values![token], host)
}

/// Adds a host. Like those that change one, it leaves the hash of the row to be made afterwards.
pub(crate) fn insert(db: &Db<'_>, host: &Host, token: &[u8; 32]) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO host (id, name, services, may_enrol, added_at, token, token_until, people, seal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        values![
            &host.id,
            &host.name,
            host.rights.services.join(","),
            host.rights.may_enrol,
            host.added_at,
            token,
            host.token_until,
            host.rights.people.as_deref(),
            NO_HASH
        ],
    )?;
    Ok(())
}

/// Gives the host its key, if the token is still the one with which it may join, and takes the token. Says whether it was:
/// of any number of transactions with one token, one gets `true`.
pub(crate) fn join(
    db: &Db<'_>,
    token: &[u8; 32],
    key: &[u8; 32],
    key_until: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let joined = db.execute(
        "UPDATE host SET token = NULL, token_until = NULL, key = ?2, key_until = ?3, joined_at = ?4,
                         previous_key = NULL, previous_until = NULL, renewals = 0, copied_at = NULL,
                         ca_version = NULL, issuer = NULL, seal = ?5
         WHERE token = ?1 AND token_until > ?4",
        values![token, key, key_until, now, NO_HASH],
    )?;
    Ok(joined == 1)
}

/// Lets the host join again with `token`.
pub(crate) fn set_token(
    db: &Db<'_>,
    id: &str,
    token: &[u8; 32],
    until: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE host SET token = ?2, token_until = ?3, seal = ?4 WHERE id = ?1";
    db.execute(sql, values![id, token, until, NO_HASH])?;
    Ok(())
}

/// The keys of the host.
pub(crate) fn keys(db: &Db<'_>, id: &str) -> Result<HostKeys, StoreError> {
    let sql = "SELECT key, previous_key FROM host WHERE id = ?1";
    db.query_one(sql, values![id], |row| {
        Ok(HostKeys {
            current: row.get("key")?,
            previous: row.get("previous_key")?,
        })
    })
}

/// Puts `key` in the place of `previous`, which goes on to be good until `previous_until`. Says whether `previous` was the
/// host's key: of any number of transactions, one gets `true`.
pub(crate) fn renew_key(
    db: &Db<'_>,
    id: &str,
    previous: &[u8; 32],
    previous_until: Timestamp,
    (key, key_until): (&[u8; 32], Timestamp),
) -> Result<bool, StoreError> {
    let renewed = db.execute(
        "UPDATE host SET key = ?2, key_until = ?3, previous_key = ?4, previous_until = ?5, renewals = renewals + 1,
                         seal = ?6
         WHERE id = ?1 AND key = ?4",
        values![id, key, key_until, previous, previous_until, NO_HASH],
    )?;
    Ok(renewed == 1)
}

/// Notes that two machines have the host's key, neither of which is let in from now on.
pub(crate) fn set_copied(db: &Db<'_>, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE host SET copied_at = ?2, seal = ?3 WHERE id = ?1";
    db.execute(sql, values![id, now, NO_HASH])?;
    Ok(())
}

pub(crate) fn delete(db: &Db<'_>, id: &str) -> Result<(), StoreError> {
    db.execute("DELETE FROM host WHERE id = ?1", values![id])?;
    Ok(())
}

pub(crate) fn set_seen(
    db: &Db<'_>,
    id: &str,
    version: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE host SET seen_at = ?2, version = ?3 WHERE id = ?1";
    db.execute(sql, values![id, now, version])?;
    Ok(())
}

/// How many logins there were on each host, by its id.
pub(crate) fn logins(db: &Db<'_>) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT host, CAST(sum(passes) AS BIGINT) AS logins FROM host_attempts GROUP BY host";
    db.query_all(sql, values![], |row| {
        Ok((row.get("host")?, row.get("logins")?))
    })
}

const THROTTLE: &str =
    "SELECT attempts, cleared_through, locked_until FROM host_attempts JOIN host ON host.id = host
                        WHERE user = ?1 AND (key = ?2 OR previous_key = ?2)";

/// [`throttle`], to be asked later.
pub(crate) fn throttle_ahead(user: i64, key: &[u8; 32]) -> Ahead {
    Ahead::new(THROTTLE, values![user, key])
}

/// The attempts on `user` at the host whose certificate has this key.
pub(crate) fn throttle(db: &Db<'_>, user: i64, key: &[u8; 32]) -> Result<Throttle, StoreError> {
    let throttle = db.query_opt(THROTTLE, values![user, key], |row| {
        Ok(Throttle {
            attempts: row.get("attempts")?,
            cleared_through: row.get("cleared_through")?,
            locked_until: row.get("locked_until")?,
        })
    });
    Ok(throttle?.unwrap_or_default())
}

/// Saves the attempts on `user` at the host whose certificate has this key, the last of which ended so at `now`.
pub(crate) fn save_throttle(
    db: &Db<'_>,
    user: i64,
    key: &[u8; 32],
    throttle: Throttle,
    last: HostAttempt,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO host_attempts (user, host, attempts, cleared_through, locked_until, passes, passed_at, wrong_at)
               VALUES (?1, (SELECT id FROM host WHERE key = ?2 OR previous_key = ?2), ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT (user, host) DO UPDATE SET attempts = excluded.attempts,
                   cleared_through = excluded.cleared_through, locked_until = excluded.locked_until,
                   passes = host_attempts.passes + excluded.passes,
                   passed_at = coalesce(excluded.passed_at, host_attempts.passed_at),
                   wrong_at = coalesce(excluded.wrong_at, host_attempts.wrong_at)";
    let until = throttle.locked_until;
    let has_passed = last == HostAttempt::Passed;
    db.execute_later(
        sql,
        values![
            user,
            key,
            throttle.attempts,
            throttle.cleared_through,
            until,
            has_passed,
            has_passed.then_some(now),
            (!has_passed).then_some(now)
        ],
    )
}

/// Wrong codes for a user on all hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failures {
    pub count: u64,
    /// When the last of them was typed.
    pub last_at: Option<Timestamp>,
}

const FAILURES: &str = "SELECT CAST(coalesce(sum(CASE WHEN attempts - cleared_through > ?2 THEN ?2
                                             ELSE attempts - cleared_through END), 0) AS BIGINT) AS failures,
                               max(wrong_at) AS last_at
                        FROM host_attempts WHERE user = ?1 AND attempts > cleared_through";

/// [`failures`], to be asked later.
pub(crate) fn failures_ahead(user: i64, most: u32) -> Ahead {
    Ahead::new(FAILURES, values![user, most])
}

/// The wrong codes for `user` on all hosts, of which no host counts for more than `most`.
pub(crate) fn failures(db: &Db<'_>, user: i64, most: u32) -> Result<Failures, StoreError> {
    db.query_one(FAILURES, values![user, most], |row| {
        Ok(Failures {
            count: row.get("failures")?,
            last_at: row.get("last_at")?,
        })
    })
}

/// Forgets the wrong codes for `user` on all hosts.
pub(crate) fn clear_failures(db: &Db<'_>, user: i64) -> Result<(), StoreError> {
    let sql =
        "UPDATE host_attempts SET cleared_through = attempts, locked_until = NULL WHERE user = ?1";
    db.execute(sql, values![user])?;
    Ok(())
}

/// The fleet that this machine has joined.
pub(crate) fn joined(db: &Db<'_>) -> Result<Option<JoinedFleet>, StoreError> {
    let sql = "SELECT fleet, host, name, joined_at, servers, certificate, key, ca_version, servers_ca, hosts_ca, ca_renew_at
               FROM joined_fleet";
    db.query_opt(sql, values![], |row| {
        let (certificate, key) = (row.get("certificate")?, row.get("key")?);
        let (version, servers_ca) = (row.get("ca_version")?, row.get("servers_ca")?);
        let renew_at: Option<Timestamp> = row.get("ca_renew_at")?;
        let hosts = row.get("hosts_ca")?;
        Ok(JoinedFleet {
            fleet: row.get("fleet")?,
            host: row.get("host")?,
            name: row.get("name")?,
            joined_at: row.get("joined_at")?,
            servers: split(&row.get::<Option<String>>("servers")?.unwrap_or_default()),
            renewed: Option::zip(certificate, key)
                .map(|(certificate, key)| Renewed { certificate, key }),
            authorities: Option::zip(version, servers_ca).map(|(version, servers)| {
                KnownAuthorities {
                    version,
                    servers,
                    hosts,
                    renew_at: renew_at.unwrap_or(Timestamp::from_unix(0)),
                }
            }),
        })
    })
}

/// Notes the certificate authorities of the fleet.
pub(crate) fn set_authorities(db: &Db<'_>, known: &KnownAuthorities) -> Result<(), StoreError> {
    db.execute(
        "UPDATE joined_fleet SET ca_version = ?1, servers_ca = ?2, hosts_ca = ?3, ca_renew_at = ?4",
        values![known.version, &known.servers, &known.hosts, known.renew_at],
    )?;
    Ok(())
}

/// Notes where servers are.
pub(crate) fn set_servers(db: &Db<'_>, servers: &[String]) -> Result<(), StoreError> {
    let sql = "UPDATE joined_fleet SET servers = ?1";
    db.execute(sql, values![servers.join(",")])?;
    Ok(())
}

/// The key (sealed) for which the host has asked for a certificate.
pub(crate) fn next_key(db: &Db<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT next_key FROM joined_fleet";
    let found = db.query_opt(sql, values![], |row| row.get("next_key"))?;
    Ok(found.flatten())
}

pub(crate) fn set_next_key(db: &Db<'_>, sealed: &[u8]) -> Result<(), StoreError> {
    db.execute("UPDATE joined_fleet SET next_key = ?1", values![sealed])?;
    Ok(())
}

/// Puts the certificate and the key for which it was asked in the place of those before.
pub(crate) fn set_certificate(
    db: &Db<'_>,
    certificate: &str,
    sealed: &[u8],
) -> Result<(), StoreError> {
    let sql = "UPDATE joined_fleet SET certificate = ?1, key = ?2, next_key = NULL";
    db.execute(sql, values![certificate, sealed])?;
    Ok(())
}

pub(crate) fn set_joined(db: &Db<'_>, fleet: &JoinedFleet) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO joined_fleet (id, fleet, host, name, joined_at) VALUES (1, ?1, ?2, ?3, ?4)",
        values![&fleet.fleet, &fleet.host, &fleet.name, fleet.joined_at],
    )?;
    Ok(())
}

pub(crate) fn delete_joined(db: &Db<'_>) -> Result<(), StoreError> {
    db.execute("DELETE FROM joined_fleet", values![])?;
    Ok(())
}

fn host(row: &Row<'_>) -> Result<Host, StoreError> {
    Ok(Host {
        id: row.get("id")?,
        name: row.get("name")?,
        rights: HostRights {
            services: split(&row.get::<String>("services")?),
            people: row.get("people")?,
            may_enrol: row.get("may_enrol")?,
        },
        added_at: row.get("added_at")?,
        joined_at: row.get("joined_at")?,
        token_until: row.get("token_until")?,
        key_until: row.get("key_until")?,
        seen_at: row.get("seen_at")?,
        renewals: row.get("renewals")?,
        copied_at: row.get("copied_at")?,
        version: row.get("version")?,
        cut_off_at: row.get("cut_off_at")?,
        unlocked_at: row.get("unlocked_at")?,
        join_key: row.get("join_key")?,
        lives: row.get("lives")?,
        joined_from: row.get("joined_from")?,
        joined_key: row.get("joined_key")?,
    })
}

/// The parts of a list with commas.
pub(super) fn split(list: &str) -> Vec<String> {
    let parts = list.split(',').filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}
