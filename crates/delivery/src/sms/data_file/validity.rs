//! Checks what the types of a data file do not express: that names are valid, and that its parts fit together.

use super::schema::{
    Auth, COMMON_SETTINGS, DataFile, INBOX_PLACEHOLDERS, MESSAGE_PLACEHOLDERS, RequestSpec,
};
use super::template::{Template, placeholder};
use crate::sms::recipient::NumberFormat;

/// What an administrator writes before an account string, in place of a setting's name.
const ACCOUNT: &str = "account";

/// A mistake in a data file.
pub(super) struct Mistake {
    /// A text in the file near the mistake, by which its line is found.
    pub(super) near: String,
    /// What is wrong and what was expected.
    pub(super) why: String,
}

impl Mistake {
    fn new(near: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            near: near.into(),
            why: why.into(),
        }
    }
}

/// Checks `data_file`.
pub(super) fn check(data_file: &DataFile) -> Result<(), Mistake> {
    for name in data_file.names() {
        check_name(name)?;
    }
    check_head(data_file)?;
    check_settings(data_file)?;
    check_number(data_file)?;
    check_requests(data_file)
}

fn check_head(data_file: &DataFile) -> Result<(), Mistake> {
    let base = data_file.base.source();
    for (key, value) in [("title", data_file.title.as_str()), ("base", base)] {
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(Mistake::new(
                key,
                format!("{key}: one line of text is expected"),
            ));
        }
    }
    if data_file.sources.iter().all(String::is_empty) {
        let why = "sources: name the documents that this file was written from";
        return Err(Mistake::new("sources", why));
    }
    let host = base
        .strip_prefix("https://")
        .or_else(|| base.strip_prefix("http://"));
    if host.is_none_or(str::is_empty) {
        let why = "base: a URL that starts with https:// is expected";
        return Err(Mistake::new("base", why));
    }
    Ok(())
}

fn check_settings(data_file: &DataFile) -> Result<(), Mistake> {
    for (index, setting) in data_file.settings.iter().enumerate() {
        let name = &setting.name;
        check_name(name)?;
        let earlier = data_file
            .settings
            .iter()
            .take(index)
            .map(|setting| setting.name.as_str());
        let mut taken = earlier
            .chain(COMMON_SETTINGS)
            .chain([ACCOUNT])
            .map(placeholder)
            .chain(
                MESSAGE_PLACEHOLDERS
                    .into_iter()
                    .chain(INBOX_PLACEHOLDERS)
                    .map(str::to_owned),
            );
        if taken.any(|taken| taken == placeholder(name)) {
            return Err(Mistake::new(
                format!("\"{name}\""),
                format!("setting '{name}': this name is taken"),
            ));
        }
        if setting.help.is_empty() || setting.help.chars().any(char::is_control) {
            return Err(Mistake::new(
                format!("\"{name}\""),
                format!("setting '{name}': help must be one line of text"),
            ));
        }
    }
    let is_setting = |name: &&String| {
        data_file
            .settings
            .iter()
            .any(|setting| setting.name == **name)
    };
    match data_file.account.iter().find(|field| !is_setting(field)) {
        Some(field) => Err(Mistake::new(
            ACCOUNT,
            format!("account: there is no setting called '{field}' in this file"),
        )),
        None => Ok(()),
    }
}

fn check_number(data_file: &DataFile) -> Result<(), Mistake> {
    let number = &data_file.number;
    if !number
        .calling_codes
        .iter()
        .all(|code| is_calling_code(code))
    {
        let why = "calling-codes: digits such as \"1\" are expected";
        return Err(Mistake::new("calling-codes", why));
    }
    if number.format == NumberFormat::National && number.calling_codes.len() != 1 {
        let why = "form \"national\" needs calling-codes with one code, such as [\"1\"]";
        return Err(Mistake::new("national", why));
    }
    Ok(())
}

fn check_requests(data_file: &DataFile) -> Result<(), Mistake> {
    check_placeholders(data_file, &[&data_file.base], &[])?;
    check_placeholders(data_file, &data_file.auth.templates(), &[])?;
    if let Auth::Header { name, .. } = &data_file.auth {
        check_header(name)?;
    }
    check_request(data_file, &data_file.send, &MESSAGE_PLACEHOLDERS)?;
    if let Some(check) = &data_file.check {
        check_request(data_file, check, &[])?;
    }
    if let Some(inbox) = &data_file.inbox {
        check_request(data_file, &inbox.request, &INBOX_PLACEHOLDERS)?;
        if data_file
            .settings
            .iter()
            .all(|setting| setting.name != inbox.number)
        {
            let why = format!(
                "[inbox] needs a setting called '{}': the number that people send messages to",
                inbox.number
            );
            return Err(Mistake::new("[inbox", why));
        }
    }
    Ok(())
}

fn check_request(
    data_file: &DataFile,
    request: &RequestSpec,
    placeholders: &[&str],
) -> Result<(), Mistake> {
    if request.form.is_some() && request.json.is_some() {
        return Err(Mistake::new(
            "json",
            "a request has either form or json, not both",
        ));
    }
    let path = request.path.source();
    if !path.is_empty() && !path.starts_with('/') {
        return Err(Mistake::new(path, "path: it must start with '/'"));
    }
    for name in request.headers.keys() {
        check_header(name)?;
    }
    check_placeholders(data_file, &request.templates(), placeholders)
}

/// Checks that the placeholders in `templates` are settings or among `others`.
fn check_placeholders(
    data_file: &DataFile,
    templates: &[&Template],
    others: &[&str],
) -> Result<(), Mistake> {
    let known: Vec<_> = data_file
        .settings
        .iter()
        .map(|setting| placeholder(&setting.name))
        .chain(others.iter().map(|name| (*name).to_owned()))
        .collect();
    for template in templates {
        let mut names = template.placeholders().into_iter();
        if let Some(unknown) = names.find(|name| !known.contains(name)) {
            let known = if known.is_empty() {
                "there are none here".to_owned()
            } else {
                format!("those known here are {}", known.join(", "))
            };
            let why = format!("'{{{{ {unknown} }}}}' is not a known placeholder: {known}");
            return Err(Mistake::new(template.source(), why));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Mistake> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty()
        && name.len() <= 40
        && name.chars().all(is_allowed)
        && !name.starts_with('-')
    {
        return Ok(());
    }
    let why = format!(
        "'{name}' is not a valid name: lower-case letters a to z, digits and hyphens are expected"
    );
    Err(Mistake::new(format!("\"{name}\""), why))
}

fn check_header(name: &str) -> Result<(), Mistake> {
    match reqwest::header::HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(Mistake::new(
            name,
            format!("'{name}' is not a valid header name"),
        )),
    }
}

fn is_calling_code(code: &str) -> bool {
    (1..=3).contains(&code.len()) && code.chars().all(|c| c.is_ascii_digit())
}
