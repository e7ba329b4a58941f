//! A provider's interface with the settings of an administrator.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use zeroize::Zeroizing;

use super::request;
use super::response::evaluate;
use crate::error::{SendError, Step};
use crate::net::http::{Client, Request};
use crate::net::proxy::Proxy;
use crate::phone;
use crate::provider::{BadProvider, ProviderConfig, ProviderKind};
use crate::redaction::Secrets;
use crate::sms::data_file::{COMMON_SETTINGS, DataFile, RequestSpec, Values};

/// The maximum length of an answer to a message, in bytes.
pub(super) const MAX_ANSWER: u64 = 64 * 1024;
/// The maximum length of a list of received messages, in bytes.
pub(super) const MAX_LIST: u64 = 1024 * 1024;

/// A provider's interface.
pub(super) struct Api {
    pub(super) data_file: Arc<DataFile>,
    /// Without a slash at its end.
    pub(super) base: String,
    /// The values of the settings.
    pub(super) values: Values,
    /// The values of the secret settings.
    pub(super) secrets: Secrets,
    pub(super) client: Client,
}

impl Api {
    /// The interface that `data_file` describes, with the settings in `config`. Connects to nothing.
    pub(super) fn open(
        data_file: Arc<DataFile>,
        kind: &ProviderKind,
        config: &ProviderConfig,
    ) -> Result<Self, BadProvider> {
        let (values, secrets) = read_settings(&data_file, kind, config)?;
        let base = match config.settings.get("base").filter(|base| !base.is_empty()) {
            Some(base) => base.trim_end_matches('/').to_owned(),
            None => data_file.base.base(&values).map_err(|_| {
                let why = "cannot be built from the settings: those in it may only have letters, digits, '.' and '-'";
                bad("base", why)
            })?,
        };
        let allow_plain = match config.value(kind, "allow-plain") {
            None | Some("no") => false,
            Some("yes") => true,
            Some(_) => return Err(bad("allow-plain", "must be yes or no")),
        };
        check_base(&base, allow_plain).map_err(|why| bad("base", why))?;
        let ca_file = config.value(kind, "ca-file").map(PathBuf::from);
        if ca_file.as_deref().is_some_and(Path::is_relative) {
            return Err(bad("ca-file", "must be an absolute path"));
        }
        Ok(Self {
            data_file,
            base,
            values,
            secrets,
            client: Client::new(ca_file, Proxy::from_settings(kind, config)?, "base"),
        })
    }

    /// The request that `spec` describes, with `values`.
    pub(super) fn request(
        &self,
        spec: &RequestSpec,
        values: &Values,
    ) -> Result<Request, SendError> {
        request::build(spec, &self.data_file.auth, &self.base, values).map_err(settings_error)
    }

    /// Sends `request` and returns the answer if it is successful by `spec`. It may have at most `max_length` bytes.
    pub(super) fn call(
        &self,
        spec: &RequestSpec,
        request: Request,
        max_length: u64,
        deadline: Instant,
        secrets: &Secrets,
    ) -> Result<Value, SendError> {
        let response = self
            .client
            .exchange(request, max_length, deadline, secrets)?;
        evaluate(&response, spec, &self.data_file, secrets)
    }
}

/// The values of all settings of the provider's own, and those of the secret ones again.
fn read_settings(
    data_file: &DataFile,
    kind: &ProviderKind,
    config: &ProviderConfig,
) -> Result<(Values, Secrets), BadProvider> {
    let mut values = Values::default();
    let mut secrets = Secrets::default();
    let inbox_number = data_file.inbox.as_ref().map(|inbox| inbox.number.as_str());
    let is_number = |name: &str| name == "from" || Some(name) == inbox_number;
    for setting in kind
        .settings
        .iter()
        .filter(|setting| !COMMON_SETTINGS.contains(&setting.name.as_str()))
    {
        let value = config.value(kind, &setting.name).map(|value| {
            Zeroizing::new(if is_number(&setting.name) {
                phone::normalise_sender(value)
            } else {
                value.to_owned()
            })
        });
        match &value {
            Some(value) if value.chars().any(char::is_control) => {
                return Err(bad(&setting.name, "must be one line of text"));
            }
            Some(value) => values.set(&setting.name, value.as_str()),
            None => values.set(&setting.name, ()),
        }
        if let Some(value) = value.filter(|_| setting.secret) {
            secrets.add(&value);
        }
    }
    Ok((values, secrets))
}

/// Checks that secrets may be sent to `base`.
fn check_base(base: &str, allow_plain: bool) -> Result<(), &'static str> {
    let url =
        request::parse_url(base).map_err(|_| "must be a URL such as https://api.example.com")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must be a URL without '?' and '#'");
    }
    let is_local = match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(host) => host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_local || allow_plain => Ok(()),
        "http" => Err(
            "must start with https://; to send codes and keys unencrypted nevertheless, set allow-plain=yes",
        ),
        _ => Err("must start with https://"),
    }
}

/// The error for a request that cannot be built from the settings.
pub(super) fn settings_error(why: String) -> SendError {
    SendError::new(Step::Settings, why)
        .hinted("check the provider's settings with 'twofa provider show'")
}

fn bad(setting: &str, why: &str) -> BadProvider {
    BadProvider::Value {
        setting: setting.to_owned(),
        why: why.to_owned(),
    }
}
