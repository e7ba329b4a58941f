//! Reads the settings of the e-mail providers and builds what they describe.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use lettre::Address;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::extension::ClientId;
use reqwest::Url;

use super::address::parse_mailbox;
use super::compose::Author;
use super::gateway::AddressPattern;
use super::mailer::Transport;
use super::sendmail::{self, Sendmail};
use super::smtp::{
    Authentication, Credential, RefreshGrant, Server, Smtp, Tls, TokenCache, TokenSource,
};
use crate::net::http::Client;
use crate::net::proxy::Proxy;
use crate::provider::{BadProvider, ProviderConfig, ProviderKind};
use crate::subprocess::Program;

const MAX_CONNECTIONS: usize = 64;

/// Reads the settings of one provider.
#[derive(Clone, Copy)]
pub(super) struct SettingsReader<'a> {
    kind: &'a ProviderKind,
    config: &'a ProviderConfig,
}

impl<'a> SettingsReader<'a> {
    pub(super) fn new(kind: &'a ProviderKind, config: &'a ProviderConfig) -> Self {
        Self { kind, config }
    }

    /// The sender of the mails.
    pub(super) fn author(self) -> Result<Author, BadProvider> {
        let read = |name| {
            let mailbox = self.text(name).map(parse_mailbox).transpose();
            mailbox.map_err(|error| {
                bad(
                    name,
                    &format!("must be an address or 'Name <address>': {error}"),
                )
            })
        };
        let from = read("from")?.ok_or_else(|| self.kind.missing("from"))?;
        Ok(Author {
            from,
            reply_to: read("reply-to")?,
        })
    }

    /// The transport that a gateway is reached by.
    pub(super) fn transport(self, from: Address) -> Result<Box<dyn Transport>, BadProvider> {
        match self.text("transport") {
            Some("smtp") => Ok(Box::new(self.smtp(from)?)),
            Some("sendmail") => Ok(Box::new(self.sendmail(from)?)),
            _ => Err(bad("transport", "must be 'smtp' or 'sendmail'")),
        }
    }

    /// The mail server as a transport for mails from `from`.
    pub(super) fn smtp(self, from: Address) -> Result<Smtp, BadProvider> {
        let server = self.server(&from)?;
        let connections = self.number("connections", 1..=MAX_CONNECTIONS)?;
        let connections = connections.ok_or_else(|| self.kind.missing("connections"))?;
        Ok(Smtp::new(server, from, connections))
    }

    /// The sendmail program as a transport for mails from `from`.
    pub(super) fn sendmail(self, from: Address) -> Result<Sendmail, BadProvider> {
        let command = self.text("command").unwrap_or(sendmail::DEFAULT_COMMAND);
        Program::parse(command)
            .and_then(|program| Sendmail::new(program, from))
            .map_err(|why| bad("command", &why))
    }

    /// The pattern of a gateway's addresses.
    pub(super) fn address_pattern(self) -> Result<AddressPattern, BadProvider> {
        let text = self
            .text("address")
            .ok_or_else(|| self.kind.missing("address"))?;
        AddressPattern::parse(text).map_err(|why| bad("address", &why))
    }

    /// The mail server.
    pub(super) fn server(self, from: &Address) -> Result<Server, BadProvider> {
        let host = self.text("host").ok_or_else(|| self.kind.missing("host"))?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@') {
            return Err(bad(
                "host",
                "must be a host name alone, such as smtp.example.com",
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
        let port = port
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(tls.default_port());
        let (hello, authentication) = (self.hello()?, self.authentication(from)?);
        let ca_file = self.ca_file()?;
        Ok(Server::new(host, port, tls, hello, authentication, ca_file))
    }

    fn hello(self) -> Result<Option<ClientId>, BadProvider> {
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
            Some(name) if is_name(name) => Ok(Some(ClientId::Domain(name.to_owned()))),
            Some(_) => Err(bad(
                "hello",
                "must be a host name such as login.example.org, or an address such as [192.0.2.1]",
            )),
            None => Ok(None),
        }
    }

    fn authentication(self, from: &Address) -> Result<Option<Authentication>, BadProvider> {
        let Some((mechanisms, credential)) = self.credential()? else {
            return Ok(None);
        };
        let username = self
            .text("username")
            .map_or_else(|| from.to_string(), str::to_owned);
        if username.contains(char::is_control) {
            return Err(bad("username", "must not contain control characters"));
        }
        Ok(Some(Authentication {
            username,
            credential,
            mechanisms,
        }))
    }

    /// The credential and the mechanisms it can be used with, in order of preference. `None`: no login is configured.
    fn credential(self) -> Result<Option<(Vec<Mechanism>, Credential)>, BadProvider> {
        let source = self.token_source()?;
        let password = self
            .config
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
        let credential = match (source, password) {
            (Some(_), Some(_)) => {
                return Err(bad(
                    "password",
                    "cannot be combined with a token: unset 'password', or unset 'token-command' and 'refresh-token'",
                ));
            }
            (Some(source), None) if wants_token => Credential::Token(TokenCache::new(source)),
            (None, Some(password)) if !wants_token => Credential::Password(password.clone()),
            (None, None) if self.text("auth") == Some("auto") => {
                return match self.text("username") {
                    Some(_) => Err(self.kind.missing("password")),
                    None => Ok(None),
                };
            }
            (_, _) if wants_token => return Err(self.kind.missing("token-command")),
            (_, _) => return Err(self.kind.missing("password")),
        };
        Ok(Some((mechanisms, credential)))
    }

    fn token_source(self) -> Result<Option<TokenSource>, BadProvider> {
        let refresh_token = self
            .config
            .settings
            .get("refresh-token")
            .filter(|token| !token.is_empty());
        if refresh_token.is_none() && self.text("proxy").is_some() {
            return Err(bad(
                "proxy",
                "is used for 'token-url' alone: the mail server is always connected to directly",
            ));
        }
        match (self.text("token-command"), refresh_token) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(bad(
                "token-command",
                "cannot be combined with 'refresh-token': unset one of them",
            )),
            (Some(command), None) => {
                let program = Program::parse(command).map_err(|why| bad("token-command", &why))?;
                Ok(Some(TokenSource::Command(program)))
            }
            (None, Some(refresh_token)) => {
                let url = self
                    .text("token-url")
                    .ok_or_else(|| self.kind.missing("token-url"))?;
                let url = Url::parse(url)
                    .ok()
                    .filter(|url| url.scheme() == "https" && url.has_host())
                    .ok_or_else(|| bad("token-url", "must be a URL that begins with https://"))?;
                let proxy = Proxy::from_settings(self.kind, self.config)?;
                Ok(Some(TokenSource::Refresh(Box::new(RefreshGrant::new(
                    url,
                    refresh_token.clone(),
                    self.text("client-id").map(str::to_owned),
                    self.config.settings.get("client-secret").cloned(),
                    Client::new(self.ca_file()?, proxy, "token-url"),
                )))))
            }
        }
    }

    fn ca_file(self) -> Result<Option<PathBuf>, BadProvider> {
        match self.text("ca-file").map(PathBuf::from) {
            Some(path) if path.is_relative() => Err(bad("ca-file", "must be an absolute path")),
            path => Ok(path),
        }
    }

    fn number(
        self,
        name: &str,
        range: RangeInclusive<usize>,
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

    /// The value without surrounding space, or the default.
    fn text(self, name: &str) -> Option<&'a str> {
        self.config
            .value(self.kind, name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }
}

fn bad(setting: &str, why: &str) -> BadProvider {
    BadProvider::Value {
        setting: setting.to_owned(),
        why: why.to_owned(),
    }
}
