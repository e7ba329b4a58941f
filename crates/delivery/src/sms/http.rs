//! A provider that is reached by HTTP: what its data file says, with an administrator's settings.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jiff::tz::TimeZone;
use serde_json::Value;
use twofa_core::{Channel, Timestamp};

use super::answer::judge;
use super::client::{Client, LONG, Request, SHORT};
use super::description::{Auth, COMMON, Call, Description, Listing, Method, TimeForm, scalar};
use super::number::in_form;
use super::request::{self, build, build_for};
use super::template::Values;
use crate::error::{SendError, Step};
use crate::message::Message;
use crate::provider::{BadProvider, Configuration, Inbox, Kind, Provider, Receipt, Received};
use crate::secrets::Secrets;
use crate::templates::{Templates, septets};

/// So many pages of a list are read, and no more.
const PAGES: usize = 5;
/// How long a message is kept that the provider tells of only once, in seconds.
const KEPT: u64 = 60 * 60;
/// So many of them are kept, and no more.
const MOST_KEPT: usize = 1000;

/// An open provider.
pub(super) struct HttpProvider {
    description: Description,
    /// Without a slash at its end.
    base: String,
    from: Option<String>,
    values: Values,
    secrets: Secrets,
    templates: Templates,
    client: Client,
    /// With the moment until which each is kept.
    kept: Mutex<Vec<(Timestamp, Received)>>,
}

impl HttpProvider {
    /// Opens the provider that `description` describes. Nothing is connected.
    pub(super) fn open(
        description: Description,
        kind: &Kind,
        configuration: &Configuration,
        templates: Templates,
    ) -> Result<Self, BadProvider> {
        let bad = |setting: &str, why: String| BadProvider::Value {
            setting: setting.to_owned(),
            why,
        };
        let mut values = Values::default();
        let mut secrets = Secrets::default();
        for setting in kind
            .settings
            .iter()
            .filter(|setting| !COMMON.contains(&setting.name.as_str()))
        {
            let value = configuration.value(kind, &setting.name);
            match value {
                Some(value) if value.chars().any(char::is_control) => {
                    return Err(bad(&setting.name, "must be one line".to_owned()));
                }
                Some(value) => values.set(&setting.name, value),
                None => values.set(&setting.name, ()),
            }
            if let Some(value) = value.filter(|_| setting.secret) {
                secrets.add(value);
            }
        }
        let base = match configuration
            .settings
            .get("base")
            .filter(|base| !base.is_empty())
        {
            Some(base) => base.trim_end_matches('/').to_owned(),
            None => description
                .base
                .base(&values)
                .map_err(|_| bad("base", UNFIT_BASE.to_owned()))?,
        };
        let allow_plain = match configuration.value(kind, "allow-plain") {
            None | Some("no") => false,
            Some("yes") => true,
            Some(_) => return Err(bad("allow-plain", "must be yes or no".to_owned())),
        };
        check_base(&base, allow_plain).map_err(|why| bad("base", why))?;
        let ca_file = configuration.value(kind, "ca-file").map(PathBuf::from);
        if ca_file.as_deref().is_some_and(Path::is_relative) {
            return Err(bad(
                "ca-file",
                "must be a path that starts with /".to_owned(),
            ));
        }
        Ok(Self {
            from: configuration.value(kind, "from").map(str::to_owned),
            client: Client::new(ca_file),
            kept: Mutex::default(),
            description,
            base,
            values,
            secrets,
            templates,
        })
    }

    /// The request that sends `text` to `to`.
    fn sending(&self, to: &str, text: &str, lifetime: Option<u64>) -> Result<Request, SendError> {
        let number = &self.description.number;
        let mut values = self.values.clone();
        values.set("to", in_form(to, number.form, &number.calling_codes)?);
        values.set("unicode", septets(text).is_none());
        values.set("text", text);
        match lifetime {
            Some(seconds) => values.set("lifetime", seconds),
            None => values.set("lifetime", ()),
        }
        build(
            &self.description.send,
            &self.description.auth,
            &self.base,
            &values,
        )
        .map_err(unfit)
    }

    /// Asks, and gives the answer if it is a success.
    fn ask(
        &self,
        call: &Call,
        request: Request,
        longest: u64,
        deadline: Instant,
        secrets: &Secrets,
    ) -> Result<Value, SendError> {
        let response = self.client.exchange(request, longest, deadline, secrets)?;
        judge(&response, call, &self.description.errors, secrets)
    }

    /// All messages of `listing` that the provider tells of now.
    fn list(
        &self,
        listing: &Listing,
        since: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<Received>, SendError> {
        let mut values = self.values.clone();
        values.set("since", since.unix());
        values.set("since-date", utc(since, "%Y-%m-%d"));
        values.set("since-time", utc(since, "%Y-%m-%dT%H:%M:%SZ"));
        let auth = &self.description.auth;
        let mut request = build(&listing.request, auth, &self.base, &values).map_err(unfit)?;
        let mut received = Vec::new();
        for _ in 0..PAGES {
            let answer = self.ask(&listing.request, request, LONG, deadline, &self.secrets);
            let answer = answer.map_err(without_message)?;
            received.extend(
                listing
                    .messages
                    .all(&answer)
                    .into_iter()
                    .filter_map(|m| read(listing, m)),
            );
            let next = listing
                .next
                .as_ref()
                .and_then(|next| next.first(&answer))
                .filter(|next| !next.is_empty());
            let Some(next) = next else { break };
            let url = self.page(&next)?;
            request = build_for(url, &listing.request, auth, &values).map_err(unfit)?;
        }
        Ok(received)
    }

    /// The page `next`, which is on the same server: the keys go with the request.
    fn page(&self, next: &str) -> Result<reqwest::Url, SendError> {
        let base = request::url(&self.base).map_err(unfit)?;
        match base.join(next) {
            Ok(url) if url.origin() == base.origin() && url.username().is_empty() => Ok(url),
            _ => Err(SendError::at(
                Step::Message,
                "the next page of the list is on another server",
            )),
        }
    }
}

impl Provider for HttpProvider {
    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError> {
        let text = self.templates.text_message(message)?;
        let mut secrets = self.secrets.clone();
        secrets.add(&text);
        let mut lifetime = None;
        if let Message::Code(code) = message {
            secrets.add(&code.code);
            lifetime = Some(code.lifetime);
        }
        let request = self.sending(to, &text, lifetime)?;
        let answer = self.ask(&self.description.send, request, SHORT, deadline, &secrets)?;
        let id = self
            .description
            .id
            .as_ref()
            .and_then(|path| path.first(&answer));
        Ok(Receipt {
            id: id.map(|id| secrets.strike(&id)).filter(|id| !id.is_empty()),
        })
    }

    fn check(&self, deadline: Instant) -> Result<(), SendError> {
        let Some(check) = &self.description.check else {
            let reached = self
                .client
                .reach(request::url(&self.base).map_err(unfit)?, deadline);
            return reached.map_err(without_message);
        };
        let request =
            build(check, &self.description.auth, &self.base, &self.values).map_err(unfit)?;
        self.ask(check, request, LONG, deadline, &self.secrets)
            .map(|_| ())
            .map_err(without_message)
    }

    fn own_address(&self) -> Option<&str> {
        self.from.as_deref().filter(|from| is_number(from))
    }

    fn inbox(&self) -> Option<&dyn Inbox> {
        (self.description.inbox.is_some() && self.own_address().is_some()).then_some(self)
    }
}

impl Inbox for HttpProvider {
    fn number(&self) -> &str {
        self.from.as_deref().unwrap_or_default()
    }

    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<Received>, SendError> {
        let Some(listing) = &self.description.inbox else {
            return Ok(Vec::new());
        };
        let received = self.list(listing, since, deadline)?;
        if !listing.once {
            return Ok(received);
        }
        // Whoever asks next would not hear of these again, and they may be for them.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(until, _)| *until > since);
        kept.extend(
            received
                .into_iter()
                .map(|message| (message.at.unwrap_or(since).after(KEPT), message)),
        );
        let surplus = kept.len().saturating_sub(MOST_KEPT);
        kept.drain(..surplus);
        Ok(kept.iter().map(|(_, message)| message.clone()).collect())
    }
}

impl fmt::Debug for HttpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProvider")
            .field("kind", &self.description.name)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

const UNFIT_BASE: &str =
    "cannot be made of the settings: letters, digits, '.' and '-' are expected in them";

/// Whether secrets may be sent to `base`.
pub(super) fn check_base(base: &str, allow_plain: bool) -> Result<(), String> {
    let url = request::url(base)
        .map_err(|_| "must be a URL such as https://api.example.com".to_owned())?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must be a URL without '?' and '#'".to_owned());
    }
    let is_here = match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(host) => host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here || allow_plain => Ok(()),
        "http" => {
            Err("must start with https:// (or say allow-plain=yes: codes and keys then travel in clear)"
                .to_owned())
        }
        _ => Err("must start with https://".to_owned()),
    }
}

/// One message of a list; `None` where it has no sender or no text.
fn read(listing: &Listing, message: &Value) -> Option<Received> {
    let at = listing
        .at
        .as_ref()
        .and_then(|path| path.all(message).into_iter().find_map(scalar));
    Some(Received {
        from: listing.from.first(message)?,
        text: listing.text.first(message)?,
        at: at.and_then(|at| moment(&at, listing.time)),
    })
}

/// The moment `text`; `None` where it cannot be read: it is only for people, and a text is none the worse for it.
fn moment(text: &str, form: TimeForm) -> Option<Timestamp> {
    let text = text.trim();
    let seconds = match form {
        TimeForm::Rfc3339 => text.parse::<jiff::Timestamp>().or_else(|_| {
            // ISO 8601 without colons in the offset, and without an offset at all.
            jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text)
                .or_else(|_| in_utc(text, "%Y-%m-%dT%H:%M:%S%.f"))
        }),
        TimeForm::Rfc2822 => jiff::fmt::rfc2822::parse(text).map(|zoned| zoned.timestamp()),
        TimeForm::Plain => in_utc(text, "%Y-%m-%d %H:%M:%S%.f"),
        TimeForm::Dotnet => {
            let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
            let digits = digits.split(|c: char| !c.is_ascii_digit()).next()?;
            return digits
                .parse::<i64>()
                .ok()
                .map(|milliseconds| Timestamp::from_unix(milliseconds / 1000));
        }
        TimeForm::Unix => return text.parse().ok().map(Timestamp::from_unix),
    };
    seconds
        .ok()
        .map(|moment| Timestamp::from_unix(moment.as_second()))
}

fn in_utc(text: &str, form: &str) -> Result<jiff::Timestamp, jiff::Error> {
    let moment = jiff::civil::DateTime::strptime(form, text)?.to_zoned(TimeZone::UTC)?;
    Ok(moment.timestamp())
}

fn utc(at: Timestamp, form: &str) -> String {
    jiff::Timestamp::from_second(at.unix())
        .unwrap_or_default()
        .strftime(form)
        .to_string()
}

/// Whether something can be sent to `from`; it may also be a name.
fn is_number(from: &str) -> bool {
    let digits = from.strip_prefix('+').unwrap_or(from);
    digits.len() >= 3 && digits.bytes().all(|b| b.is_ascii_digit())
}

/// What went wrong where there was no message to arrive.
fn without_message(error: SendError) -> SendError {
    SendError {
        may_have_arrived: false,
        ..error
    }
}

fn unfit(why: String) -> SendError {
    SendError::at(Step::Settings, why)
        .hinted("look at the provider's settings with 'twofa provider show'")
}

/// The request that `description` makes of these `settings`, for people: secrets are masked by the caller.
pub(super) fn sample(
    description: &Description,
    settings: &[(String, String)],
) -> Result<String, String> {
    let mut values = Values::default();
    for (name, value) in settings {
        values.set(name, value.as_str());
    }
    let number = &description.number;
    let code = number.calling_codes.first().map_or("1", String::as_str);
    let to = in_form(
        &format!("+{code}4155552671"),
        number.form,
        &number.calling_codes,
    );
    values.set("to", to.map_err(|error| error.reason)?);
    values.set("text", "Example: 123456 is your code.");
    values.set("unicode", false);
    values.set("lifetime", 600_u64);
    let base = description.base.base(&values)?;
    let call = &description.send;
    let request = build(call, &Auth::None, base.trim_end_matches('/'), &values)?;
    // What the login adds is named rather than made, so that nothing has to be decoded to see it.
    let login = match &description.auth {
        Auth::None => None,
        Auth::Basic { user, .. } => Some(format!(
            "authorization: Basic, user {}",
            user.text(&values)?.unwrap_or_default()
        )),
        Auth::Bearer { token } => Some(format!(
            "authorization: Bearer {}",
            token.text(&values)?.unwrap_or_default()
        )),
        Auth::Header { name, value } => Some(format!(
            "{}: {}",
            name.to_lowercase(),
            value.text(&values)?.unwrap_or_default()
        )),
        Auth::SigV4 { service, .. } => {
            Some(format!("authorization: AWS4-HMAC-SHA256 for {service}"))
        }
    };
    let method = match call.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
    };
    let mut lines = vec![format!("{method} {}", request.url)];
    for (name, value) in &request.headers {
        lines.push(format!(
            "{name}: {}",
            value.to_str().unwrap_or("(not text)")
        ));
    }
    lines.extend(login);
    if let Some(body) = &request.body {
        lines.push(String::new());
        lines.push(String::from_utf8_lossy(body).into_owned());
    }
    Ok(lines.join("\n"))
}
