//! HTTP proxies that an administrator names in a provider's settings. Those in the environment are never used: a
//! program that starts the broker must not choose where codes and keys go.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use rustls::ClientConfig;
use zeroize::Zeroizing;

use super::lookup::look_up;
use super::stream::Stream;
use crate::provider::{BadProvider, ProviderConfig, ProviderKind, Setting};
use crate::redaction::Secrets;

/// The setting with the proxy's URL and the user's name.
const PROXY: &str = "proxy";
/// The setting with the user's password.
const PASSWORD: &str = "proxy-password";

/// An HTTP proxy. Connections with TLS are tunnelled through it by CONNECT (RFC 9110 §9.3.6), so that it sees the name of
/// the server and nothing else.
pub(crate) struct Proxy {
    /// Without a user.
    url: Url,
    login: Option<Login>,
}

/// Name and password, sent as Basic (RFC 7617).
struct Login {
    username: String,
    password: Zeroizing<String>,
}

/// The settings of a proxy. `used_for` says which connections go through it.
pub(crate) fn settings(used_for: &str) -> [Setting; 2] {
    let setting = |name: &str, help: String| Setting {
        name: name.to_owned(),
        help,
        secret: name == PASSWORD,
        required: false,
        default: None,
    };
    [
        setting(
            PROXY,
            format!("HTTP proxy for {used_for}, such as http://user@proxy.example.com:3128"),
        ),
        setting(
            PASSWORD,
            "Password of the user in 'proxy'; asked for if there is one".to_owned(),
        ),
    ]
}

impl Proxy {
    /// The proxy that `config` names, if any.
    pub(crate) fn from_settings(
        kind: &ProviderKind,
        config: &ProviderConfig,
    ) -> Result<Option<Self>, BadProvider> {
        let password = config.settings.get(PASSWORD);
        let password = password.filter(|password| !password.is_empty());
        let Some(text) = config.value(kind, PROXY).map(str::trim) else {
            return match password {
                Some(_) => Err(kind.missing(PROXY)),
                None => Ok(None),
            };
        };
        let (url, username) = parse(text).map_err(|why| bad(PROXY, why))?;
        let login = match (username, password) {
            (None, None) => None,
            (Some(_), None) => return Err(kind.missing(PASSWORD)),
            (None, Some(_)) => {
                return Err(bad(
                    PROXY,
                    "must name the user whose password is given: http://user@proxy.example.com:3128",
                ));
            }
            (Some(_), Some(password)) if password.chars().any(char::is_control) => {
                return Err(bad(PASSWORD, "must be one line of text"));
            }
            (Some(username), Some(password)) => Some(Login {
                username,
                password: password.clone(),
            }),
        };
        Ok(Some(Self { url, login }))
    }

    /// The proxy in the form that the HTTP client takes.
    pub(super) fn for_client(&self) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(self.url.clone())?;
        Ok(match &self.login {
            Some(Login { username, password }) => proxy.basic_auth(username, password),
            None => proxy,
        })
    }

    /// The proxy's host name or address.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Host and port.
    pub(super) fn endpoint(&self) -> String {
        format!("{}:{}", self.host(), self.port())
    }

    fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// Whether the connection to the proxy itself is encrypted.
    pub(super) fn uses_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether this machine logs in to the proxy.
    pub(super) const fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// Adds the proxy's password to `secrets`.
    pub(super) fn add_secrets(&self, secrets: &mut Secrets) {
        if let Some(login) = &self.login {
            secrets.add(&login.password);
        }
    }

    /// The status with which the proxy answers a request for a connection to `target`, such as `403 Forbidden`. The HTTP
    /// client only says that it refuses.
    pub(super) fn ask_status(
        &self,
        target: &str,
        tls: &Arc<ClientConfig>,
        deadline: Instant,
    ) -> io::Result<String> {
        let host = self.host().trim_matches(['[', ']']);
        let mut stream = Stream::connect(&look_up(host, self.port(), deadline)?, deadline)?;
        if self.uses_tls() {
            stream.start_tls(tls, host)?;
        }
        let login = self.login.as_ref().map(|Login { username, password }| {
            let pair = Zeroizing::new(format!("{username}:{}", password.as_str()));
            let pair = Zeroizing::new(BASE64.encode(pair.as_bytes()));
            format!("Proxy-Authorization: Basic {}\r\n", pair.as_str())
        });
        let login = Zeroizing::new(login.unwrap_or_default());
        let request = Zeroizing::new(format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{}\r\n",
            login.as_str()
        ));
        stream.write(request.as_bytes())?;
        let line = String::from_utf8_lossy(&stream.read_line()?).into_owned();
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..));
        status
            .map(|status| status.trim().to_owned())
            .ok_or_else(|| io::Error::other("it does not answer like an HTTP proxy"))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.endpoint()).finish()
    }
}

/// The URL of a proxy without its user, and the user's name.
fn parse(text: &str) -> Result<(Url, Option<String>), &'static str> {
    const FORM: &str = "must be a URL such as http://proxy.example.com:3128 or https://user@proxy.example.com:3129; in \
                        the user's name, write '@' as %40 and '\\' as %5C";
    let mut url = Url::parse(text).map_err(|_| FORM)?;
    // First, because of what follows from it: others can see the command line.
    if url.password().is_some() {
        return Err(
            "must not contain the password: give it as 'proxy-password', and change it, because it may have been seen",
        );
    }
    let is_bare =
        matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_bare {
        return Err(FORM);
    }
    let username = percent_decode_str(url.username()).decode_utf8();
    let username = username.map_err(|_| FORM)?.into_owned();
    if username.contains(|c: char| c == ':' || c.is_control()) {
        return Err(
            "must not have ':' in the user's name, which a login to a proxy cannot contain",
        );
    }
    url.set_username("").map_err(|()| FORM)?;
    Ok((url, Some(username).filter(|username| !username.is_empty())))
}

fn bad(setting: &str, why: &str) -> BadProvider {
    BadProvider::Value {
        setting: setting.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_url_with_or_without_a_user() {
        for (text, url, user) in [
            ("http://proxy.corp:3128", "http://proxy.corp:3128/", None),
            ("http://proxy.corp", "http://proxy.corp/", None),
            (
                "https://[2001:db8::1]:3129/",
                "https://[2001:db8::1]:3129/",
                None,
            ),
            (
                "http://ann@proxy.corp:3128",
                "http://proxy.corp:3128/",
                Some("ann"),
            ),
            (
                "http://ann@proxy.corp:3128/",
                "http://proxy.corp:3128/",
                Some("ann"),
            ),
            (
                "http://CORP%5Cann%40corp@proxy.corp:3128",
                "http://proxy.corp:3128/",
                Some("CORP\\ann@corp"),
            ),
        ] {
            let (read, username) = parse(text).unwrap();
            assert_eq!((read.as_str(), username.as_deref()), (url, user), "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_not_repeated() {
        for text in [
            "proxy.corp:3128",
            "proxy.corp",
            "socks5://proxy.corp:1080",
            "http://proxy.corp:3128/path",
            "http://proxy.corp:3128/?x",
            "http://CORP\\ann@proxy.corp:3128",
            "http://ann:hunter2@proxy.corp:3128",
            "http://a%3Ab@proxy.corp:3128",
            "http://",
            "",
        ] {
            let why = parse(text).expect_err(text);
            assert!(
                why.starts_with("must ") && !why.contains("hunter2"),
                "{text}: {why}"
            );
        }
    }
}
