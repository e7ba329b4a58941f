//! Scripts that write the mail server's files, start it and stop it.

use std::fmt::Write as _;

use crate::DOMAIN;
use crate::Ports;
use crate::authority::{Authority, Identity};

pub(super) const LOGIN: &str = "login@example.org";
pub(super) const PASSWORD: &str = "Mail-server pass wörd";
/// The key that access tokens are signed with.
pub(super) const TOKEN_KEY: &str = "key-that-signs-the-tokens";

/// Postfix's main.cf. Names are not looked up, because there is no resolver.
const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = FOLDER/queue
data_directory = FOLDER/data
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.org
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = FOLDER/mail.log
maillog_file_prefixes = /
virtual_mailbox_domains = DOMAIN
virtual_mailbox_base = FOLDER/mail
virtual_mailbox_maps = texthash:FOLDER/mailboxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_tls_cert_file = FOLDER/good.crt
smtpd_tls_key_file = FOLDER/good.key
smtpd_sasl_type = dovecot
smtpd_sasl_path = FOLDER/dovecot/auth
smtpd_sender_restrictions = check_sender_access texthash:FOLDER/access
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:FOLDER/access
smtpd_delay_reject = no
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
header_checks = regexp:FOLDER/headers
";

/// Postfix's master.cf, without the programs that connect to other machines.
const MASTER: &str = "\
pickup unix n - n 60 1 pickup
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 discard
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
smtp unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
";

/// The configuration of Dovecot before 2.4, which only checks passwords and tokens.
const DOVECOT_2_3: &str = "\
base_dir = FOLDER/dovecot/run
log_path = FOLDER/dovecot/log
protocols =
ssl = no
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u FOLDER/dovecot/users
  mechanisms = plain login
}
passdb {
  driver = oauth2
  args = FOLDER/dovecot/oauth2
  mechanisms = xoauth2
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/
}
service auth {
  unix_listener FOLDER/dovecot/auth {
    mode = 0666
  }
}
";

/// Tokens are checked by their signature alone.
const OAUTH2_2_3: &str = "\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=FOLDER/dovecot/keys/
username_attribute = email
";

/// The configuration of Dovecot 2.4 and later, which does not accept older ones.
const DOVECOT_2_4: &str = "\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = FOLDER/dovecot/run
log_path = FOLDER/dovecot/log
protocols =
ssl = no
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
passdb passwd-file {
  passwd_file_path = FOLDER/dovecot/users
  default_password_scheme = PLAIN
}
oauth2 {
  introspection_mode = local
  username_attribute = email
  oauth2_local_validation {
    dict fs {
      fs posix {
        prefix = FOLDER/dovecot/keys/
      }
    }
  }
}
userdb static {
  fields {
    uid = 65534
    gid = 65534
    home = /
  }
}
service auth {
  unix_listener FOLDER/dovecot/auth {
    mode = 0666
  }
}
";

const ACCESS: &str = "\
grey@example.org 450 4.7.1 Greylisted, come back in five minutes
full@example.org 552 5.2.2 Mailbox is full
banned@example.org 550 5.7.1 You may not send as this sender
";

/// A script that writes all files of a server in `folder`.
pub(super) fn files(folder: &str, ports: &Ports, users: &[&str]) -> String {
    let authority = Authority::new();
    let good = authority.identity(&["localhost", "mail.example.org"]);
    let other_name = authority.identity(&["mail.example.net", "smtp.example.net"]);
    let expired = authority.expired(&["localhost", "mail.example.org"]);

    let mut mailboxes = String::new();
    for user in users.iter().chain(&["login", "grey", "full", "spam"]) {
        let _ = writeln!(mailboxes, "{user}@{DOMAIN} {user}/");
    }
    let files = [
        ("etc/main.cf", MAIN.to_owned()),
        ("etc/master.cf", master(ports)),
        ("mailboxes", mailboxes),
        ("access", ACCESS.to_owned()),
        (
            "headers",
            "/^To: .*spam@/ REJECT This looks like spam\n".to_owned(),
        ),
        ("ca.pem", authority.certificate().to_owned()),
        ("dovecot/2.3.conf", DOVECOT_2_3.to_owned()),
        ("dovecot/oauth2", OAUTH2_2_3.to_owned()),
        ("dovecot/2.4.conf", DOVECOT_2_4.to_owned()),
        ("dovecot/users", format!("{LOGIN}:{PASSWORD}\n")),
        ("dovecot/key", TOKEN_KEY.to_owned()),
    ];
    let mut pems = Vec::new();
    for (name, Identity { certificate, key }) in [
        ("good", good),
        ("other-name", other_name),
        ("expired", expired),
    ] {
        pems.push((format!("{name}.crt"), certificate));
        pems.push((format!("{name}.key"), key));
    }

    let mut script = format!("mkdir -p {folder}\ncd {folder}\nchmod 0755 .\n{FOLDERS}");
    let pems = pems
        .iter()
        .map(|(path, content)| (path.as_str(), content.clone()));
    for (path, content) in files.into_iter().chain(pems) {
        let content = content.replace("FOLDER", folder).replace("DOMAIN", DOMAIN);
        let _ = writeln!(script, "printf %s {} >{path}", quote(&content));
    }
    script + "base64 -w0 dovecot/key >dovecot/keys/default/HS256/default\n"
}

/// Creates the directories, with the owners that Postfix requires.
const FOLDERS: &str = "\
mkdir -p etc data mail dovecot/keys/default/HS256 queue
(cd queue
 mkdir -p active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace
 chown postfix active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace
 chgrp postdrop maildrop public
 chmod 0730 maildrop
 chmod 0710 public
 chmod 0700 active bounce corrupt defer deferred hold incoming private)
chown postfix data
chown 65534:65534 mail
";

/// A script that starts a server in `folder` and prints the PIDs of its main processes once it answers. Postfix's
/// master kills its process group when it exits, so it runs in one of its own.
pub(super) fn start(folder: &str, ports: &Ports) -> String {
    let ports = ports.map(|port| port.to_string()).join(" ");
    format!(
        "cd {folder}
         rm -f dovecot/auth
         case $(dovecot --version) in 2.[0-3].*) version=2.3 ;; *) version=2.4 ;; esac
         setsid dovecot -F -c {folder}/dovecot/$version.conf </dev/null >>dovecot/out 2>&1 &
         echo $!
         setsid /usr/lib/postfix/sbin/master -c {folder}/etc -d </dev/null >>postfix.out 2>&1 &
         echo $!
         {LISTENS}
         until_true() {{
             for _ in $(seq 1000); do \"$@\" && return; sleep 0.01; done
             cat dovecot/out dovecot/log postfix.out mail.log >&2
             exit 1
         }}
         until_true test -S dovecot/auth
         for port in {ports}; do until_true listens $port; done
        "
    )
}

/// A script that kills these processes, and waits until they have exited (as zombies or reaped) and nothing listens on
/// the ports.
pub(super) fn stop(pids: &[u32], ports: &Ports) -> String {
    let pids = pids
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    let ports = ports.map(|port| port.to_string()).join(" ");
    format!(
        "runs() {{ read -r _ _ state _ 2>/dev/null </proc/$1/stat && [[ $state != Z ]]; }}
         kill {pids} || true
         for pid in {pids}; do while runs $pid; do sleep 0.01; done; done
         {LISTENS}
         for port in {ports}; do while listens $port; do sleep 0.01; done; done
        "
    )
}

/// A shell function: whether a port is listened on, from the kernel's table.
const LISTENS: &str =
    r#"listens() { grep -q ":$(printf %04X $1) 00000000:0000 0A" /proc/net/tcp; }"#;

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn master(ports: &Ports) -> String {
    let [implicit, starttls, plain, other_name, expired, strict] = ports;
    let certificate = |name: &str| {
        format!(
            " -o smtpd_tls_cert_file=FOLDER/{name}.crt -o smtpd_tls_key_file=FOLDER/{name}.key \
             -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes"
        )
    };
    let listeners = [
        (implicit, certificate("good")),
        (
            starttls,
            " -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes".to_owned(),
        ),
        (plain, String::new()),
        (other_name, certificate("other-name")),
        (expired, certificate("expired")),
        (
            strict,
            " -o smtpd_delay_reject=yes -o smtpd_helo_required=yes \
             -o smtpd_helo_restrictions=reject_invalid_helo_hostname,reject_non_fqdn_helo_hostname"
                .to_owned(),
        ),
    ];
    let lines = listeners
        .map(|(port, options)| format!("127.0.0.1:{port} inet n - n - - smtpd{options}\n"));
    lines.concat() + MASTER
}
