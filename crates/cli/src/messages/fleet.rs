//! Words about the fleet.

use std::fmt::Display;
use std::path::Path;

use twofa_broker::admin::doctor::finding::FleetFinding;
use twofa_broker::admin::fleet::{FleetError, Host, HostRights, Mark, Setback};
use twofa_broker::admin::join_keys::JoinKey;
use twofa_broker::admin::leaving::Leaving;
use twofa_broker::admin::servers::Server;
use twofa_broker::admin::store::ServerPlace;
use twofa_core::{Account, Duration, Mode, Timestamp};

use super::moment;

/// A host that has joined, and whose certificate is valid.
pub(crate) const JOINED: &str = "joined";

/// Asks for the token.
pub(crate) const TOKEN: &str =
    "Token, as 'twofa host add' or 'twofa join-key add' printed it on a server: ";
pub(crate) const SERVER_TOKEN: &str = "Token, as 'twofa server add' printed it on another server: ";
pub(crate) const NO_TERMINAL: &str = "there is no terminal to ask for the token on";

/// What leaving a fleet means.
pub(crate) const LEAVING: &str = "accounts that were shared with the fleet become this host's own: nothing that is \
                                  enrolled on a server counts here, and who has nothing enrolled here is asked as this \
                                  host's own policy says";

/// What leaving means for whom.
pub(crate) fn leaving(leaving: &Leaving) -> String {
    let Leaving {
        shared,
        unenrolled,
        is_complete,
        mode,
    } = leaving;
    let at_least = if *is_complete { "" } else { "at least " };
    let accounts = if *shared == 1 { "account" } else { "accounts" };
    let are = if *shared == 1 { "is" } else { "are" };
    let have = if *unenrolled == 1 { "has" } else { "have" };
    let then = match mode {
        Some(Mode::Mandatory) => {
            "which asks for one, so they set it up at a login or are refused (mode=mandatory)"
        }
        Some(Mode::Optional) => "which then lets them log in without a code (mode=optional)",
        Some(Mode::Report) => "which then lets everyone log in without a code (mode=report)",
        Some(Mode::Disabled) => "which then lets everyone log in without a code (mode=disabled)",
        None => "which cannot be read",
    };
    format!(
        "{at_least}{shared} {accounts} here {are} shared with the fleet and become this host's own; what is enrolled on a server \
         does not count here. {at_least}{unenrolled} of them {have} no second factor here. This host's own policy applies from \
         then on, {then}"
    )
}

/// It is not known what leaving means for whom.
pub(crate) fn leaving_uncounted(why: &str) -> String {
    format!("{LEAVING}. How many they are could not be counted: {why}")
}

/// An image would have second factors.
pub(crate) fn image_has_second_factors(people: usize) -> String {
    let (users, have) = if people == 1 {
        ("user", "has")
    } else {
        ("users", "have")
    };
    format!(
        "{people} {users} {have} a second factor in the store of this machine, and so would every machine that is made from the \
         image: 'twofa user remove' removes one"
    )
}

/// What is left to do before an image is made.
pub(crate) const IMAGE: &str = "\
    This machine has no identity of a fleet. Before the image is made, also empty /etc/machine-id, so that each machine gets its\n\
    own, and remove /var/lib/twofa and /etc/twofa/secret.key unless all of them are to have this store.\n";
pub(crate) const LEFT_HALF: &str =
    "The host's files were removed. According to the store, this machine had not joined a fleet.\n";

/// A database that was to be resumed, and has not gone back.
pub(crate) const NOT_GONE_BACK: &str =
    "The database has every mark that this server has seen in it: there is nothing to resume.";
pub(crate) const RESUMED: &str = "\
    The servers of the fleet go on with this database. Codes of apps up to now count as used, and no device is trusted.\n";

/// What to consider before a database that has gone back counts as the right one.
pub(crate) fn setback(setback: &Setback) -> Vec<String> {
    let Setback {
        last,
        lost,
        backup_codes,
        tokens,
        hosts,
    } = setback;
    let at = |mark: &Option<Mark>| {
        mark.as_ref()
            .map_or_else(|| "-".to_owned(), |mark| moment(mark.at))
    };
    let names = |accounts: &[Account]| {
        let names: Vec<_> = accounts.iter().map(|account| &*account.name).collect();
        names.join(", ")
    };
    let mut warnings = vec![format!(
        "the database has its last mark from {}, and this server has seen one from {}: what was written in between is lost, \
         also changes of the policy and of exemptions. No other database may take changes any longer",
        at(last),
        at(lost)
    )];
    if !backup_codes.is_empty() {
        let names = names(backup_codes);
        warnings.push(format!(
            "backup codes that were used since then work once more; these people have some ('twofa user reset' or \
             'twofa user remove-method' ends that): {names}"
        ));
    }
    if !tokens.is_empty() {
        let names = names(tokens);
        warnings.push(format!(
            "counter-based tokens (HOTP) are accepted only after two codes in a row, because it is not known which codes were \
             used since then; these people have one: {names}"
        ));
    }
    if !hosts.is_empty() {
        let names: Vec<_> = hosts.iter().map(|host| &*host.name).collect();
        warnings.push(format!(
            "hosts that were removed since then may log people in again ('twofa host remove' ends that): {}",
            names.join(", ")
        ));
    }
    warnings
}

pub(crate) fn made(id: &impl Display) -> String {
    format!(
        "This machine is the first server of fleet {id}.\nNext: systemctl enable --now twofad-server.service, and let \
         hosts reach TCP port 6238.\nKeep /etc/twofa/fleet/root.key offline: no server \
         needs it.\nservers.key, which root alone can read, is needed for \
         'twofa server add' and every 90 days for 'twofa fleet renew'.\n"
    )
}

/// What a company's certificate authority is to do.
pub(crate) fn requested(directory: &Path) -> String {
    format!(
        "{0}/hosts.csr and {0}/servers.csr are requests for the two CA certificates that issue those of hosts and servers.\n\
         Next: have your certificate authority sign them with the extensions that they ask for, for example:\n  \
         openssl x509 -req -in hosts.csr -CA ca.crt -CAkey ca.key -copy_extensions copy -days 3650 -out hosts.crt\n\
         Put hosts.crt and servers.crt beside the requests, and run the same command again.\n",
        directory.display()
    )
}

pub(crate) fn renewed(until: Timestamp) -> String {
    let until = moment(until);
    format!(
        "This server has a new certificate, valid until {until}.\nNext: systemctl restart twofad-server.service\n"
    )
}

pub(crate) fn added(host: &Host, token: &str) -> String {
    let until = host.token_until.map_or_else(String::new, moment);
    format!(
        "Run 'twofa join' on {} before {until}, and give it this token, which works once:\n{token}\n",
        host.name
    )
}

/// A rescue code of `host`, of which so many administrators are told.
pub(crate) fn rescue(host: &str, code: &str, told: usize) -> String {
    let told = match told {
        0 => "Nobody was notified: 'twofa policy set fleet.administrators=GROUP' names who is."
            .to_owned(),
        1 => "1 member of fleet.administrators is notified.".to_owned(),
        told => format!("{told} members of fleet.administrators are notified."),
    };
    format!(
        "{code}\nThis is a rescue code for {host}. It works there once, for root and the members of fleet.rescue-group, after \
         their password.\n{told}\n"
    )
}

pub(crate) fn server_added(server: &Server, token: &str) -> String {
    let until = server.token_until.map_or_else(String::new, moment);
    format!(
        "On {}: copy /etc/twofa/database of this server there, run 'twofa server join' before {until}, and give it this \
         token, which works once:\n{token}\n",
        server.name
    )
}

pub(crate) fn server_joined(name: &str, kept_key: Option<&Path>) -> String {
    let kept = kept_key.map_or_else(String::new, |path| {
        format!(
            "The sealing key of the store that this machine had in a file is now {}.\n",
            path.display()
        )
    });
    format!(
        "This machine is a server of the fleet, {name}.\n{kept}Next: systemctl restart twofad.service, systemctl enable \
         --now twofad-server.service, and let hosts reach TCP port 6238.\nIts certificate is valid for 90 days: 'twofa \
         fleet renew' makes the next one.\n"
    )
}

pub(crate) fn server_removed(name: &str) -> String {
    format!(
        "Removed {name}: it stops serving within seconds, and hosts are told.\nIt has had the sealing key and the \
         database: if it is no longer yours, have the database refuse it.\n"
    )
}

/// The state of `server` at `now`, in one word or two.
pub(crate) fn server_state(server: &Server, now: Timestamp) -> &'static str {
    match (server.joined_at, server.token_until) {
        (Some(_), _) => JOINED,
        (None, Some(until)) if now < until => "may join",
        (None, _) => "not joined",
    }
}

pub(crate) fn joined(name: &str) -> String {
    format!(
        "This machine has joined the fleet as {name}. Its servers decide about the accounts of 'fleet.accounts', see \
         'twofa policy show'; root and all others stay its own.\n"
    )
}

pub(crate) fn left(name: &str) -> String {
    format!(
        "This machine has left the fleet, in which it was {name}. Now run on a server: twofa host remove {name}\n"
    )
}

pub(crate) fn removed(name: &str) -> String {
    format!("Removed {name}: its logins to shared accounts are refused from now on.")
}

/// The state of `host` at `now`, in one word or two.
pub(crate) fn state(host: &Host, now: Timestamp) -> &'static str {
    match (host.key_until, host.token_until) {
        _ if host.copied_at.is_some() => "copied",
        (Some(until), _) if now < until && host.cut_off_at.is_some() => "cut off",
        (Some(until), _) if now < until => JOINED,
        (Some(_), _) => "expired",
        (None, Some(until)) if now < until => "may join",
        (None, _) => "not joined",
    }
}

pub(crate) fn services(rights: &HostRights) -> String {
    if rights.services.is_empty() {
        "all".to_owned()
    } else {
        rights.services.join(",")
    }
}

pub(crate) fn people(rights: &HostRights) -> &str {
    rights.people.as_deref().unwrap_or("all")
}

pub(crate) fn unlocked(name: &str, was_cut_off: bool) -> String {
    if was_cut_off {
        format!("{name} may ask about everybody again.")
    } else {
        format!("{name} is not cut off. Whom it asked about within the last hour is forgotten.")
    }
}

pub(crate) const fn switch(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// A public key by its SHA-256.
pub(crate) fn key(digest: &[u8; 32]) -> String {
    let text = "SHA256:".to_owned();
    digest
        .iter()
        .fold(text, |text, byte| text + &format!("{byte:02x}"))
}

/// How the host joined, for a line.
fn joining(host: &Host) -> String {
    let Some(at) = host.joined_at else {
        return "-".to_owned();
    };
    let from = host.joined_from.as_deref();
    let from = from.map_or_else(String::new, |from| format!(" from {from}"));
    let with = host.join_key.as_deref();
    let with = with.map_or_else(String::new, |key| format!(" with the join key {key}"));
    format!("{}{from}{with}", moment(at))
}

/// A join key that was made.
pub(crate) fn join_key_made(key: &JoinKey, token: &str) -> String {
    format!(
        "Up to {} hosts called {} may join with this key until {}. It is shown this once; give it to 'twofa join':\n{token}\n",
        key.uses,
        key.names,
        moment(key.until)
    )
}

/// The state of a join key at `now`, in one word or two.
pub(crate) fn join_key_state(key: &JoinKey, now: Timestamp) -> &'static str {
    if key.until <= now {
        "expired"
    } else if key.used >= key.uses {
        "used up"
    } else {
        IN_FORCE
    }
}

/// A join key with which hosts can join.
pub(crate) const IN_FORCE: &str = "in force";

/// After what time a host of a key is removed.
pub(crate) fn lives(seconds: Option<u64>) -> String {
    seconds.map_or_else(
        || "until removed".to_owned(),
        |seconds| Duration::from_seconds(seconds).to_string(),
    )
}

/// One join key, in lines.
pub(crate) fn join_key(key: &JoinKey, now: Timestamp) -> String {
    format!(
        "Name:         {}\nState:        {}\nHost names:   {}\nServices:     {}\nPeople:       {}\nMay enrol:    {}\nUsed:         {} of {}, \
         at most {} within an hour\nLast used:    {}\nHosts stay:   {}\nMade:         {}\nWorks until:  {}\n",
        key.name,
        join_key_state(key, now),
        key.names,
        services(&key.rights),
        people(&key.rights),
        switch(key.rights.may_enrol),
        key.used,
        key.uses,
        key.hourly,
        key.used_at.map_or_else(|| "-".to_owned(), moment),
        lives(key.host_lives),
        moment(key.added_at),
        moment(key.until),
    )
}

pub(crate) fn join_key_removed(name: &str) -> String {
    format!(
        "Removed {name}: no host joins with it from now on. Those that have stay; 'twofa host list' shows them."
    )
}

/// One host, in lines.
pub(crate) fn host(host: &Host, logins: u64, now: Timestamp) -> String {
    let at = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), moment);
    format!(
        "Name:         {}\nState:        {}\nServices:     {}\nPeople:       {}\nMay enrol:    {}\nAdded:        {}\nJoined:       {}\n\
         With key:     {}\nCertificate:  until {}\nStays:        {}\nLast seen:    {}\nVersion:      {}\nLogins:       {logins}\nId:           {}\n",
        host.name,
        state(host, now),
        services(&host.rights),
        people(&host.rights),
        switch(host.rights.may_enrol),
        moment(host.added_at),
        joining(host),
        host.joined_key.as_ref().map_or_else(|| "-".to_owned(), key),
        at(host.key_until),
        lives(host.lives),
        at(host.seen_at),
        host.version.as_deref().unwrap_or("-"),
        host.id,
    )
}

/// What it found of a server alone.
fn of_server(finding: &FleetFinding) -> String {
    match finding {
        FleetFinding::Server {
            version,
            place,
            sealing_key,
        } => format!(
            "this machine is a fleet server; its hosts are given version {version} of the policy; secrets are encrypted with key \
             {sealing_key}; the store: {}",
            super::store::place(place)
        ),
        FleetFinding::RowAltered { row } => {
            format!("{row}, and is not used: {}", row.remedy())
        }
        FleetFinding::ServerCertificateEnds { until } => format!(
            "the certificate of this server is valid until {}; renew it with 'twofa fleet renew'",
            moment(*until)
        ),
        FleetFinding::HostCertificatesEnd { hosts } => format!(
            "the certificates of these hosts expire within 14 days, and they have not renewed them: {}; see 'twofa host show'",
            hosts.join(", ")
        ),
        _ => String::new(),
    }
}

fn standby_gone(place: &ServerPlace) -> String {
    format!(
        "nobody can log in: commits wait for '{}' (synchronous_standby_names at {}), and no such standby is connected",
        place.replication.synchronous, place.host
    )
}

const SERVER_IS_HOST: &str = "this fleet server has joined a fleet as a host as well, so that logins to it depend on \
                              servers, possibly on itself: remove host.toml, host.crt and host.key from /etc/twofa/fleet, and \
                              keep hosts and servers apart";

/// What the doctor found.
pub(crate) fn finding(finding: &FleetFinding) -> String {
    match finding {
        FleetFinding::Server { .. }
        | FleetFinding::RowAltered { .. }
        | FleetFinding::ServerCertificateEnds { .. }
        | FleetFinding::HostCertificatesEnd { .. } => of_server(finding),
        FleetFinding::NoStandby { place, is_demanded } => no_standby(place, *is_demanded),
        FleetFinding::StandbyGone { place } => standby_gone(place),
        FleetFinding::Host {
            name,
            server,
            version,
            since,
            certificate_until,
        } => format!(
            "this machine is host {name} of a fleet: version {version} of the fleet's policy is in force since {}, and {server} \
             confirms it; the host's certificate is valid until {}",
            moment(*since),
            moment(*certificate_until)
        ),
        FleetFinding::ServerIsHost => SERVER_IS_HOST.to_owned(),
        FleetFinding::Stale {
            version,
            confirmed,
            error,
        } => {
            let last = confirmed.map_or_else(|| "at an unknown time".to_owned(), moment);
            format!(
                "version {version} of the fleet's policy is in force and may be an old one: a server last confirmed it {last}; \
                 {error}"
            )
        }
        FleetFinding::NotAMember { error } => {
            format!("accounts that are shared with the fleet cannot log in: {error}")
        }
        FleetFinding::CertificateEnds { until } => format!(
            "this host's certificate ends {}: from then on shared accounts cannot log in",
            moment(*until)
        ),
        FleetFinding::AuthorityEnds { file, until } => authority_ends(file, *until),
        FleetFinding::Clock { seconds } => {
            let side = if *seconds > 0 { "ahead of" } else { "behind" };
            let seconds = seconds.unsigned_abs();
            format!(
                "this machine's clock is {seconds} seconds {side} the server's: certificates and the log depend on it"
            )
        }
        FleetFinding::OtherUid { here, recorded } => format!(
            "{} has user ID {} here and {recorded} in the fleet; logins work because fleet.identity is name, but files on shared \
             file systems belong to different users",
            here.name, here.uid
        ),
        FleetFinding::SameUid { shared, own } => format!(
            "{} here and {}, who is shared with the fleet, have the same user ID {}: give the local account another",
            own.join(", "),
            shared.name,
            shared.uid
        ),
    }
}

fn authority_ends(file: &str, until: Timestamp) -> String {
    let seconds = until.unix() - twofa_broker::clock::now().unix();
    let when = if seconds <= 0 {
        format!("ended {}", moment(until))
    } else {
        format!("ends in {} days ({})", seconds / 86_400, moment(until))
    };
    format!(
        "the certificate authority of the fleet, /etc/twofa/fleet/{file}, {when}: run 'twofa fleet rotate ca start'"
    )
}

fn no_standby(place: &ServerPlace, is_demanded: bool) -> String {
    let host = &place.host;
    if is_demanded {
        return format!(
            "nobody can log in: the policy has fleet.durability=replicated, and synchronous_standby_names is empty at {host}"
        );
    }
    format!(
        "synchronous_standby_names is empty at {host}: if that machine is lost, codes used in the last moments can be used again on \
         a standby"
    )
}

/// What to do about `error`.
pub(crate) fn advice(error: &FleetError) -> Option<&'static str> {
    match error {
        FleetError::NoServer => {
            Some("'twofa fleet init' makes this machine the first server of a new fleet")
        }
        FleetError::IsHost => Some("'twofa leave' ends that"),
        FleetError::NoRescueCodes(_) => Some(
            "a host fetches them when it reaches a server: check that twofad.service runs there and that its twofa is not older \
             than this one",
        ),
        FleetError::RescueCodesShown(_) => Some(
            "it gets new ones when it reaches a server after fleet.rescue-lifetime, or after one was used",
        ),
        FleetError::HostExists(_) => {
            Some("'twofa host renew' lets it join again, 'twofa host list' shows all")
        }
        FleetError::JoinKeyExists(_) => {
            Some("'twofa join-key remove' removes it, 'twofa join-key list' shows all")
        }
        FleetError::NoMachineId => Some("systemd-machine-id-setup(1) makes one"),
        FleetError::ServerExists(_) => {
            Some("'twofa server remove' removes it, 'twofa server list' shows all")
        }
        FleetError::FleetExists(_) => {
            Some("'twofa server join' makes this machine another server of it")
        }
        FleetError::CompanyAuthority => Some("name its certificate with --ca FILE"),
        FleetError::NoCaRotation => Some("'twofa fleet rotate ca start' begins that"),
        FleetError::NextAuthorityMissing => Some(
            "run 'twofa server add NAME --again' on the server where it began, and 'twofa server join' here",
        ),
        FleetError::ServersWithOldCa(_) => Some("run 'twofa fleet rotate ca finish' there"),
        FleetError::OtherAddresses(_) => Some("give each of them with --address"),
        FleetError::KeyIsCredential => Some(
            "write it to /etc/twofa/secret.key first and remove the credential, see THE KEY AS A CREDENTIAL in twofa-admin(7)",
        ),
        FleetError::NoDatabase => Some("first put /etc/twofa/database of the fleet's servers here"),
        FleetError::OtherDatabase => Some(
            "copy /etc/twofa/database of another server here; then this machine serves, without joining again",
        ),
        FleetError::Unreached(_) => {
            Some("check that twofad-server.service runs there, and that TCP port 6238 is open")
        }
        _ => None,
    }
}
