//! A request as it would be sent, for people.

use super::request;
use crate::sms::data_file::{Auth, DataFile, HttpMethod, Values};
use crate::sms::recipient::format_number;

/// The request by which `data_file` sends a message with these `settings`, as text. The caller masks the secrets among
/// the settings.
pub(in crate::sms) fn sample(
    data_file: &DataFile,
    settings: &[(String, String)],
) -> Result<String, String> {
    let mut values = Values::default();
    for (name, value) in settings {
        values.set(name, value.as_str());
    }
    set_message(&mut values, data_file)?;
    let base = data_file.base.base(&values)?;
    let spec = &data_file.send;
    let request = request::build(spec, &Auth::None, base.trim_end_matches('/'), &values)?;
    let method = match spec.method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
    };
    let mut lines = vec![format!("{method} {}", request.url)];
    for (name, value) in &request.headers {
        let value = value.to_str().unwrap_or("(not text)");
        lines.push(format!("{name}: {value}"));
    }
    lines.extend(describe_auth(&data_file.auth, &values)?);
    if let Some(body) = &request.body {
        lines.push(String::new());
        lines.push(String::from_utf8_lossy(body).into_owned());
    }
    Ok(lines.join("\n"))
}

/// Adds a message to a number that the provider serves.
pub(super) fn set_message(values: &mut Values, data_file: &DataFile) -> Result<(), String> {
    let number = &data_file.number;
    let code = number.calling_codes.first().map_or("1", String::as_str);
    let to = format!("+{code}4155552671");
    let to = format_number(&to, number.format, &number.calling_codes);
    values.set("to", to.map_err(|error| error.reason)?);
    values.set("text", "Example: 123456 is your code.");
    values.set("unicode", false);
    values.set("lifetime", 600_u64);
    values.set("expires", 1_769_903_999_u64);
    values.set("expires-time", "2026-01-31T23:59:59Z");
    values.set("uuid", "00000000-0000-4000-8000-000000000000");
    Ok(())
}

/// The header that authenticates the request, described instead of encoded so that it can be read.
fn describe_auth(auth: &Auth, values: &Values) -> Result<Option<String>, String> {
    Ok(match auth {
        Auth::None => None,
        Auth::Basic { user, .. } => Some(format!(
            "authorization: Basic, user {}",
            user.text(values)?.unwrap_or_default()
        )),
        Auth::Bearer { token } => Some(format!(
            "authorization: Bearer {}",
            token.text(values)?.unwrap_or_default()
        )),
        Auth::Header { name, value } => Some(format!(
            "{}: {}",
            name.to_lowercase(),
            value.text(values)?.unwrap_or_default()
        )),
        Auth::SigV4 { service, .. } => {
            Some(format!("authorization: AWS4-HMAC-SHA256 for {service}"))
        }
    })
}
