//! What an administrator can set for the kinds of e-mail providers.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lettre::Address;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::extension::ClientId;
use reqwest::Url;
use rustls::ClientConfig;
use twofa_core::Channel;
use zeroize::Zeroizing;

use super::compose::Author;
use super::gateway::Pattern;
use super::sendmail::Sendmail;
use super::smtp::Smtp;
use super::token::{Refresh, TokenSource, Way};
use super::{Transport, mailbox};
use crate::error::SendError;
use crate::program::Program;
use crate::provider::{BadProvider, Configuration, Kind, Setting};
use crate::secrets::Secrets;
use crate::tls;

/// A mail server.
pub(super) const SMTP: &str = "smtp";
/// The machine's own mail system.
pub(super) const SENDMAIL: &str = "sendmail";
/// A gateway from e-mail to SMS.
pub(super) const GATEWAY: &str = "email-gateway";

/// Where sendmail is on every Unix that has one (Linux Standard Base, /usr/sbin/sendmail).
const SENDMAIL_COMMAND: &str = "/usr/sbin/sendmail";

/// Connections to one server at a time. Enough for many logins at once, few enough for a relay's limit per client.
const CONNECTIONS: &str = "16";
const MOST_CONNECTIONS: usize = 64;

/// Kind `smtp`.
pub(super) fn smtp() -> Kind {
    Kind {
        name: SMTP.to_owned(),
        aliases: vec!["email".to_owned(), "mail".to_owned()],
        title: "A mail server (SMTP)".to_owned(),
        channel: Channel::Email,
        settings: server_settings(true),
    }
}

/// Kind `sendmail`.
pub(super) fn sendmail() -> Kind {
    Kind {
        name: SENDMAIL.to_owned(),
        aliases: Vec::new(),
        title: "The machine's own mail system (sendmail)".to_owned(),
        channel: Channel::Email,
        settings: vec![from(), command(), reply_to()],
    }
}

/// Kind `email-gateway`.
pub(super) fn gateway() -> Kind {
    let mut settings = vec![
        Setting {
            required: true,
            ..setting(
                "address",
                "The gateway's address for a number, such as {number}@sms.example.com or {e164}@…",
            )
        },
        Setting {
            default: Some(SMTP.to_owned()),
            ..setting(
                "transport",
                "How mail gets to the gateway: smtp or sendmail",
            )
        },
    ];
    settings.extend(server_settings(false));
    settings.push(command());
    Kind {
        name: GATEWAY.to_owned(),
        aliases: vec!["email-to-sms".to_owned()],
        title: "A gateway from e-mail to SMS".to_owned(),
        channel: Channel::Sms,
        settings,
    }
}

fn server_settings(host_required: bool) -> Vec<Setting> {
    let secret = |name, help| Setting {
        secret: true,
        ..setting(name, help)
    };
    let by_default = |name, help, default: &str| Setting {
        default: Some(default.to_owned()),
        ..setting(name, help)
    };
    vec![
        Setting {
            required: host_required,
            ..setting("host", "The mail server's name, as its certificate has it")
        },
        by_default(
            "tls",
            "implicit, starttls, none (this machine only) or none-anywhere (codes cross the network in the clear)",
            "implicit",
        ),
        setting(
            "port",
            "The mail server's port; by tls 465 (implicit), 587 (starttls) or 25",
        ),
        from(),
        setting(
            "username",
            "The name to log in with; the address in 'from' unless set",
        ),
        secret(
            "password",
            "The password to log in with, if the server wants one",
        ),
        by_default(
            "auth",
            "How to log in: auto, plain, login or xoauth2",
            "auto",
        ),
        setting(
            "token-command",
            "A program that prints a token for xoauth2, with its arguments",
        ),
        secret(
            "refresh-token",
            "A refresh token, in place of a token-command",
        ),
        setting(
            "client-id",
            "The client that the refresh token was made for",
        ),
        secret("client-secret", "That client's secret, if it has one"),
        setting(
            "token-url",
            "Where a refresh token is exchanged for a token (https)",
        ),
        setting(
            "ca-file",
            "A CA's certificate (PEM) to trust besides the system's",
        ),
        reply_to(),
        setting(
            "hello",
            "The name this machine gives itself to the server; its host name unless set",
        ),
        by_default(
            "connections",
            "How many connections to the server there may be at a time",
            CONNECTIONS,
        ),
    ]
}

fn from() -> Setting {
    Setting {
        required: true,
        ..setting("from", "The address to send from, or 'Name <address>'")
    }
}

fn reply_to() -> Setting {
    setting("reply-to", "Where answers go, if not to 'from'")
}

fn command() -> Setting {
    Setting {
        default: Some(SENDMAIL_COMMAND.to_owned()),
        ..setting(
            "command",
            "The sendmail program, with arguments of its own if it needs any",
        )
    }
}

fn setting(name: &str, help: &str) -> Setting {
    Setting {
        name: name.to_owned(),
        help: help.to_owned(),
        secret: false,
        required: false,
        default: None,
    }
}

/// How a connection to a mail server is kept from listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    /// From the first byte on (RFC 8314 §3.3).
    Implicit,
    /// Asked for after hello; without it nothing is sent.
    Starttls,
    /// Not at all.
    None {
        /// Not only to this machine.
        anywhere: bool,
    },
}

/// A mail server, and what it takes to talk to it.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) hello: ClientId,
    pub(super) login: Option<Login>,
    ca_file: Option<PathBuf>,
    /// Made when first needed: the system's roots take a while to read. It remembers TLS sessions.
    client: Mutex<Option<Arc<ClientConfig>>>,
}

/// Who we are to a mail server.
pub(super) struct Login {
    pub(super) username: String,
    pub(super) proof: Proof,
    /// In order of preference.
    pub(super) mechanisms: Vec<Mechanism>,
}

/// That it is us.
pub(super) enum Proof {
    Password(Zeroizing<String>),
    Token(TokenSource),
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("place", &self.place())
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Host and port.
    pub(super) fn place(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// Whether it is logged in to with a token.
    pub(super) fn uses_token(&self) -> bool {
        matches!(
            &self.login,
            Some(Login {
                proof: Proof::Token(_),
                ..
            })
        )
    }

    /// What must not stand in an error about it.
    pub(super) fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        if let Some(Login {
            proof: Proof::Password(password),
            ..
        }) = &self.login
        {
            secrets.add(password);
        }
        secrets
    }

    /// What TLS is spoken with; `None`: it is not spoken.
    pub(super) fn tls_settings(&self) -> Result<Option<Arc<ClientConfig>>, SendError> {
        if matches!(self.tls, Tls::None { .. }) {
            return Ok(None);
        }
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if client.is_none() {
            *client = Some(Arc::new(tls::client(self.ca_file.as_deref())?));
        }
        Ok(client.clone())
    }
}

/// The settings of one provider, to be read.
#[derive(Clone, Copy)]
pub(super) struct Settings<'a> {
    kind: &'a Kind,
    configuration: &'a Configuration,
}

impl<'a> Settings<'a> {
    pub(super) fn new(kind: &'a Kind, configuration: &'a Configuration) -> Self {
        Self {
            kind,
            configuration,
        }
    }

    /// Who writes the mails.
    pub(super) fn author(self) -> Result<Author, BadProvider> {
        let read = |name| {
            let text = self.text(name).map(mailbox).transpose();
            text.map_err(|error| {
                bad(
                    name,
                    &format!("must be an address or 'Name <address>': {error}"),
                )
            })
        };
        let from = read("from")?.ok_or_else(|| self.missing("from"))?;
        Ok(Author {
            from,
            reply_to: read("reply-to")?,
        })
    }

    /// What takes the mails of this sender.
    pub(super) fn transport(self, from: Address) -> Result<Box<dyn Transport>, BadProvider> {
        let name = if self.kind.name == GATEWAY {
            self.text("transport")
        } else {
            Some(self.kind.name.as_str())
        };
        match name {
            Some(SENDMAIL) => {
                let command = self.text("command").unwrap_or(SENDMAIL_COMMAND);
                let program = Program::parse(command).map_err(|why| bad("command", &why))?;
                Ok(Box::new(
                    Sendmail::new(program, from).map_err(|why| bad("command", &why))?,
                ))
            }
            Some(SMTP) => {
                let server = self.server(&from)?;
                let connections = self.number("connections", 1..=MOST_CONNECTIONS)?;
                let connections = connections.ok_or_else(|| self.missing("connections"))?;
                Ok(Box::new(Smtp::new(server, from, connections)))
            }
            _ => Err(bad("transport", "must be 'smtp' or 'sendmail'")),
        }
    }

    /// How a gateway's addresses are made.
    pub(super) fn pattern(self) -> Result<Pattern, BadProvider> {
        let text = self
            .text("address")
            .ok_or_else(|| self.missing("address"))?;
        Pattern::parse(text).map_err(|why| bad("address", &why))
    }

    /// The mail server it is about.
    pub(super) fn server(self, from: &Address) -> Result<Server, BadProvider> {
        let host = self.text("host").ok_or_else(|| self.missing("host"))?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@') {
            return Err(bad(
                "host",
                "must be a name such as smtp.example.com, without more",
            ));
        }
        let tls = match self.text("tls") {
            Some("implicit") => Tls::Implicit,
            Some("starttls") => Tls::Starttls,
            Some("none") => Tls::None { anywhere: false },
            Some("none-anywhere") => Tls::None { anywhere: true },
            _ => {
                return Err(bad(
                    "tls",
                    "must be 'implicit', 'starttls', 'none' or 'none-anywhere'",
                ));
            }
        };
        let port = self.number("port", 1..=usize::from(u16::MAX))?;
        let usual = match tls {
            Tls::Implicit => 465,
            Tls::Starttls => 587,
            Tls::None { .. } => 25,
        };
        Ok(Server {
            host,
            port: port
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(usual),
            tls,
            hello: self.hello()?,
            login: self.login(from)?,
            ca_file: self.ca_file()?,
            client: Mutex::default(),
        })
    }

    fn hello(self) -> Result<ClientId, BadProvider> {
        let is_name = |name: &str| {
            let inner = name
                .strip_prefix('[')
                .and_then(|name| name.strip_suffix(']'))
                .unwrap_or(name);
            !inner.is_empty()
                && inner
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b))
        };
        match self.text("hello") {
            Some(name) if is_name(name) => Ok(ClientId::Domain(name.to_owned())),
            Some(_) => Err(bad("hello", "must be a host name")),
            None => Ok(match ClientId::default() {
                // Some host names would not do as an argument of a command.
                ClientId::Domain(name) if !is_name(&name) => {
                    ClientId::Domain("localhost".to_owned())
                }
                id => id,
            }),
        }
    }

    fn login(self, from: &Address) -> Result<Option<Login>, BadProvider> {
        let source = self.token_source()?;
        let password = self
            .configuration
            .settings
            .get("password")
            .filter(|password| !password.is_empty());
        let both = vec![Mechanism::Plain, Mechanism::Login];
        let (mechanisms, wants_token) = match (self.text("auth"), &source) {
            (Some("auto"), Some(_)) | (Some("xoauth2"), _) => (vec![Mechanism::Xoauth2], true),
            (Some("auto"), None) => (both, false),
            (Some("plain"), _) => (vec![Mechanism::Plain], false),
            (Some("login"), _) => (vec![Mechanism::Login], false),
            _ => return Err(bad("auth", "must be 'auto', 'plain', 'login' or 'xoauth2'")),
        };
        let proof = match (source, password) {
            (Some(_), Some(_)) => {
                return Err(bad("password", "must not be set together with a token"));
            }
            (Some(source), None) if wants_token => Proof::Token(source),
            (None, Some(password)) if !wants_token => Proof::Password(password.clone()),
            (None, None) if self.text("auth") == Some("auto") => {
                return match self.text("username") {
                    Some(_) => Err(self.missing("password")),
                    None => Ok(None),
                };
            }
            (_, _) if wants_token => return Err(self.missing("token-command")),
            (_, _) => return Err(self.missing("password")),
        };
        let username = self
            .text("username")
            .map_or_else(|| from.to_string(), str::to_owned);
        if username.contains(char::is_control) {
            return Err(bad("username", "must be printable"));
        }
        Ok(Some(Login {
            username,
            proof,
            mechanisms,
        }))
    }

    fn token_source(self) -> Result<Option<TokenSource>, BadProvider> {
        let refresh_token = self
            .configuration
            .settings
            .get("refresh-token")
            .filter(|token| !token.is_empty());
        let way = match (self.text("token-command"), refresh_token) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(bad(
                    "token-command",
                    "must not be set together with refresh-token",
                ));
            }
            (Some(command), None) => {
                Way::Program(Program::parse(command).map_err(|why| bad("token-command", &why))?)
            }
            (None, Some(refresh_token)) => {
                let url = self
                    .text("token-url")
                    .ok_or_else(|| self.missing("token-url"))?;
                let url = Url::parse(url)
                    .ok()
                    .filter(|url| url.scheme() == "https" && url.has_host());
                Way::Refresh(Box::new(Refresh {
                    url: url.ok_or_else(|| {
                        bad("token-url", "must be a URL that begins with https://")
                    })?,
                    grant: refresh_token.clone(),
                    client_id: self.text("client-id").map(str::to_owned),
                    client_secret: self.configuration.settings.get("client-secret").cloned(),
                    ca_file: self.ca_file()?,
                    client: OnceLock::new(),
                }))
            }
        };
        Ok(Some(TokenSource::new(way)))
    }

    fn ca_file(self) -> Result<Option<PathBuf>, BadProvider> {
        match self.text("ca-file").map(PathBuf::from) {
            Some(path) if path.is_relative() => Err(bad("ca-file", "must be a path from / on")),
            path => Ok(path),
        }
    }

    fn number(
        self,
        name: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<usize>, BadProvider> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse().ok().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(bad(
                name,
                &format!("must be a number from {} to {}", range.start(), range.end()),
            )),
        }
    }

    /// What is set, without space around it, or the default.
    fn text(self, name: &str) -> Option<&'a str> {
        self.configuration
            .value(self.kind, name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    fn missing(self, name: &str) -> BadProvider {
        let help = self.kind.setting(name).map(|setting| setting.help.clone());
        BadProvider::Missing {
            kind: self.kind.name.clone(),
            setting: name.to_owned(),
            help: help.unwrap_or_default(),
        }
    }
}

fn bad(setting: &str, why: &str) -> BadProvider {
    BadProvider::Value {
        setting: setting.to_owned(),
        why: why.to_owned(),
    }
}
