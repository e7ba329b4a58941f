//! What the grammar of a data file alone does not say: that its names are names, and that its parts fit together.

use super::description::{Auth, COMMON, Call, Description, OF_LISTING, OF_MESSAGE};
use super::number::Form;
use super::template::{Template, placeholder};

/// What an administrator writes before an account string, where a setting's name stands otherwise.
const ACCOUNT: &str = "account";

/// A text in the file that it is about, and what is wrong there.
type Wrong = (String, String);

/// Whether `description` fits together.
pub(super) fn check(description: &Description) -> Result<(), Wrong> {
    for name in description.aliases.iter().chain([&description.name]) {
        check_name(name)?;
    }
    for (key, value) in [
        ("title", description.title.as_str()),
        ("base", description.base.source()),
    ] {
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err((
                key.to_owned(),
                format!("{key}: one line of text is expected"),
            ));
        }
    }
    if description.sources.iter().all(String::is_empty) {
        return Err((
            "sources".to_owned(),
            "sources: say where the facts in this file are from".to_owned(),
        ));
    }
    let base = description.base.source();
    let host = base
        .strip_prefix("https://")
        .or_else(|| base.strip_prefix("http://"));
    if host.is_none_or(str::is_empty) {
        return Err((
            "base".to_owned(),
            "base: a URL that starts with https:// is expected".to_owned(),
        ));
    }
    check_settings(description)?;
    if !description
        .number
        .calling_codes
        .iter()
        .all(|code| is_calling_code(code))
    {
        return Err((
            "calling-codes".to_owned(),
            "calling-codes: digits such as \"1\" are expected".to_owned(),
        ));
    }
    if description.number.form == Form::National && description.number.calling_codes.len() != 1 {
        let why = "form \"national\" needs calling-codes with one code, such as [\"1\"]";
        return Err(("national".to_owned(), why.to_owned()));
    }
    check_calls(description)
}

fn check_settings(description: &Description) -> Result<(), Wrong> {
    for (index, setting) in description.settings.iter().enumerate() {
        let name = &setting.name;
        check_name(name)?;
        let earlier = description
            .settings
            .iter()
            .take(index)
            .map(|setting| setting.name.as_str());
        let mut taken = earlier
            .chain(COMMON)
            .chain([ACCOUNT])
            .map(placeholder)
            .chain(built_in());
        if taken.any(|taken| taken == placeholder(name)) {
            return Err((
                format!("\"{name}\""),
                format!("setting '{name}': this name is taken"),
            ));
        }
        if setting.help.is_empty() || setting.help.chars().any(char::is_control) {
            return Err((
                format!("\"{name}\""),
                format!("setting '{name}': help is one line of text"),
            ));
        }
    }
    match description.account.iter().find(|field| {
        description
            .settings
            .iter()
            .all(|setting| setting.name != **field)
    }) {
        Some(field) => Err((
            "account".to_owned(),
            format!("account: there is no setting called '{field}' in this file"),
        )),
        None => Ok(()),
    }
}

fn check_calls(description: &Description) -> Result<(), Wrong> {
    check_placeholders(description, &[&description.base], &[])?;
    check_placeholders(description, &description.auth.templates(), &[])?;
    if let Auth::Header { name, .. } = &description.auth {
        check_header(name)?;
    }
    check_call(description, &description.send, &OF_MESSAGE)?;
    if let Some(check) = &description.check {
        check_call(description, check, &[])?;
    }
    if let Some(inbox) = &description.inbox {
        check_call(description, &inbox.request, &OF_LISTING)?;
        if description
            .settings
            .iter()
            .all(|setting| setting.name != "from")
        {
            let why =
                "[inbox] needs a setting called 'from', which is the number that people write to";
            return Err(("[inbox".to_owned(), why.to_owned()));
        }
    }
    Ok(())
}

fn check_call(description: &Description, call: &Call, built_in: &[&str]) -> Result<(), Wrong> {
    if call.form.is_some() && call.json.is_some() {
        return Err((
            "json".to_owned(),
            "a request has a form or json, not both".to_owned(),
        ));
    }
    if !call.path.source().is_empty() && !call.path.source().starts_with('/') {
        let why = "path: a '/' at the start is expected".to_owned();
        return Err((call.path.source().to_owned(), why));
    }
    for name in call.headers.keys() {
        check_header(name)?;
    }
    check_placeholders(description, &call.templates(), built_in)
}

fn check_placeholders(
    description: &Description,
    templates: &[&Template],
    built_in: &[&str],
) -> Result<(), Wrong> {
    for template in templates {
        for name in template.placeholders() {
            let is_setting = description
                .settings
                .iter()
                .any(|setting| placeholder(&setting.name) == name);
            if is_setting || built_in.contains(&name.as_str()) {
                continue;
            }
            let settings = description
                .settings
                .iter()
                .map(|setting| placeholder(&setting.name));
            let known: Vec<_> = settings
                .chain(built_in.iter().map(|name| (*name).to_owned()))
                .collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            let why = format!("'{{{{ {name} }}}}' is no setting; here there are: {known}");
            return Err((template.source().to_owned(), why));
        }
    }
    Ok(())
}

fn built_in() -> impl Iterator<Item = String> {
    OF_MESSAGE.into_iter().chain(OF_LISTING).map(str::to_owned)
}

fn check_name(name: &str) -> Result<(), Wrong> {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty() && name.len() <= 40 && name.chars().all(is_good) && !name.starts_with('-') {
        return Ok(());
    }
    let why = format!("'{name}' is no name: small letters a to z, digits and hyphens are expected");
    Err((format!("\"{name}\""), why))
}

fn check_header(name: &str) -> Result<(), Wrong> {
    match reqwest::header::HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err((name.to_owned(), format!("'{name}' is no name of a header"))),
    }
}

fn is_calling_code(code: &str) -> bool {
    (1..=3).contains(&code.len()) && code.chars().all(|c| c.is_ascii_digit())
}
