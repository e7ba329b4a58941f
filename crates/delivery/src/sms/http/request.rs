//! Builds requests from a data file and the values of its placeholders.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::sigv4;
use crate::net::http::{Request, form_urlencoded};
use crate::sms::data_file::{
    AnswerFormat, Auth, HttpMethod, JsonTemplate, RequestSpec, Template, Values,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// The request that `spec` describes. `base` has no slash at its end. Errors contain no values.
pub(super) fn build(
    spec: &RequestSpec,
    auth: &Auth,
    base: &str,
    values: &Values,
) -> Result<Request, String> {
    let mut url = parse_url(&format!("{base}{}", spec.path.path(values)?))?;
    let query = pairs(&spec.query, values)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    build_for(url, spec, auth, values)
}

/// Like [`build`], for a `url` that the provider returned, such as that of the next page.
pub(super) fn build_for(
    url: Url,
    spec: &RequestSpec,
    auth: &Auth,
    values: &Values,
) -> Result<Request, String> {
    let mut headers = HeaderMap::new();
    let accepts = match spec.answer {
        AnswerFormat::Json => JSON,
        AnswerFormat::Xml => "application/xml, text/xml",
        AnswerFormat::Lines => "text/plain, */*",
    };
    headers.insert(ACCEPT, HeaderValue::from_static(accepts));
    for (name, template) in &spec.headers {
        if let Some(value) = template.text(values)? {
            insert_header(&mut headers, name, &value)?;
        }
    }
    let body = body(spec, values)?;
    if let Some((kind, _)) = &body {
        headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(kind));
    }
    let mut request = Request {
        method: match spec.method {
            HttpMethod::Get => reqwest::Method::GET,
            HttpMethod::Post => reqwest::Method::POST,
            HttpMethod::Put => reqwest::Method::PUT,
        },
        url,
        headers,
        body: body.map(|(_, bytes)| bytes),
    };
    authorize(&mut request, auth, values)?;
    Ok(request)
}

/// Parses the URL of a request: with a host, and without a login.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if url.has_host() && url.username().is_empty() && url.password().is_none() => {
            Ok(url)
        }
        _ => Err("'base' must be a URL such as https://api.example.com".to_owned()),
    }
}

fn authorize(request: &mut Request, auth: &Auth, values: &Values) -> Result<(), String> {
    let needed = |template: &Template| {
        template
            .text(values)?
            .ok_or_else(|| format!("'{}' has no value", template.source()))
    };
    match auth {
        Auth::None => Ok(()),
        Auth::Basic { user, password } => {
            let user = needed(user)?;
            if user.contains(':') {
                return Err("the user name must not contain a colon".to_owned()); // RFC 7617 §2
            }
            let password = password.text(values)?.unwrap_or_default();
            let both = BASE64.encode(format!("{user}:{password}").as_bytes());
            insert_header(
                &mut request.headers,
                AUTHORIZATION.as_str(),
                &format!("Basic {both}"),
            )
        }
        Auth::Bearer { token } => insert_header(
            &mut request.headers,
            AUTHORIZATION.as_str(),
            &format!("Bearer {}", needed(token)?),
        ),
        Auth::Header { name, value } => insert_header(&mut request.headers, name, &needed(value)?),
        Auth::SigV4 {
            service,
            region,
            access_key_id,
            secret_access_key,
            session_token,
        } => {
            let key = sigv4::Key {
                id: needed(access_key_id)?,
                secret: needed(secret_access_key)?,
                session: session_token
                    .as_ref()
                    .map_or(Ok(None), |token| token.text(values))?,
            };
            for (name, value) in sigv4::sign(request, &key, service, &needed(region)?)? {
                insert_header(&mut request.headers, &name, &value)?;
            }
            Ok(())
        }
    }
}

/// Adds a header whose value does not appear in debug output.
fn insert_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("'{name}' is not a valid header name"))?;
    // Fails for line breaks, which would begin another header.
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        format!(
            "the value of the header '{name}' contains characters that are not allowed in a header"
        )
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn body(spec: &RequestSpec, values: &Values) -> Result<Option<(&'static str, Vec<u8>)>, String> {
    if let Some(form) = &spec.form {
        let pairs = pairs(form, values)?;
        let body = form_urlencoded(&pairs);
        return Ok(Some((FORM, body.into_bytes())));
    }
    let Some(json) = &spec.json else {
        return Ok(None);
    };
    let json = fill_in(json, values)?.unwrap_or_default();
    Ok(Some((JSON, json.to_string().into_bytes())))
}

fn pairs(
    templates: &BTreeMap<String, Template>,
    values: &Values,
) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::with_capacity(templates.len());
    for (name, template) in templates {
        if let Some(value) = template.text(values)? {
            pairs.push((name.clone(), value));
        }
    }
    Ok(pairs)
}

/// Fills in a JSON template. `None`: the entry is left out, because it is a single placeholder without a value, or a
/// list or table whose entries are all left out.
fn fill_in(template: &JsonTemplate, values: &Values) -> Result<Option<serde_json::Value>, String> {
    Ok(match template {
        JsonTemplate::Fixed(value) => Some(value.clone()),
        JsonTemplate::String(template) => match template.value(values)? {
            Some(value) => Some(
                serde_json::to_value(&value)
                    .map_err(|_| "a value cannot be written as JSON".to_owned())?,
            ),
            None => None,
        },
        JsonTemplate::Array(items) => {
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                list.extend(fill_in(item, values)?);
            }
            (!list.is_empty() || items.is_empty()).then(|| list.into())
        }
        JsonTemplate::Object(entries) => {
            let mut table = serde_json::Map::new();
            for (name, entry) in entries {
                if let Some(value) = fill_in(entry, values)? {
                    table.insert(name.clone(), value);
                }
            }
            (!table.is_empty() || entries.is_empty()).then(|| table.into())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sms::data_file::parse;

    fn request_of(send: &str, auth: &str, set: &[(&str, &str)]) -> Result<Request, String> {
        let text = format!(
            "name = \"x\"\ntitle = \"X\"\nsources = [\"here\"]\nbase = \"https://x.example\"\n\
             [[setting]]\nname = \"key\"\nhelp = \"Key\"\n[[setting]]\nname = \"from\"\nhelp = \"From\"\n\
             [auth]\n{auth}\n[send]\n{send}\n"
        );
        let data_file = parse(&text).unwrap();
        let mut values = Values::default();
        for name in ["key", "from", "to", "text", "lifetime"] {
            values.set(name, ());
        }
        values.set("unicode", false);
        for (name, value) in set {
            values.set(name, *value);
        }
        build(
            &data_file.send,
            &data_file.auth,
            "https://x.example/v1",
            &values,
        )
    }

    fn body(request: &Request) -> &str {
        std::str::from_utf8(request.body.as_deref().unwrap()).unwrap()
    }

    #[test]
    fn no_value_can_break_out_of_the_form_the_json_or_the_url() {
        let evil = "\"},{\"a\":\"b\"}&to=1 +#?/\r\nX: y{{ key }}";
        let request = request_of(
            "path = \"/{{ text }}\"\nquery = { q = \"{{ text }}\" }\nform = { Body = \"{{ text }}\" }",
            "kind = \"none\"",
            &[("text", evil), ("key", "hidden")],
        )
        .unwrap();
        assert_eq!(request.url.host_str(), Some("x.example"));
        assert_eq!(request.url.path_segments().unwrap().count(), 2);
        let pairs: Vec<_> = request.url.query_pairs().collect();
        assert_eq!(pairs, [("q".into(), evil.into())]);
        let form = Url::parse(&format!("x:?{}", body(&request))).unwrap();
        assert_eq!(
            form.query_pairs().collect::<Vec<_>>(),
            [("Body".into(), evil.into())]
        );

        let request = request_of(
            "path = \"/\"\njson = { m = [{ t = \"a {{ text }}\" }] }",
            "kind = \"none\"",
            &[("text", evil)],
        );
        let json: serde_json::Value = serde_json::from_str(body(&request.unwrap())).unwrap();
        assert_eq!(json, serde_json::json!({"m": [{"t": format!("a {evil}")}]}));
    }

    #[test]
    fn a_line_break_in_a_header_is_refused_without_showing_the_value() {
        let error = request_of(
            "path = \"/\"\njson = {}",
            "kind = \"header\"\nname = \"X-Key\"\nvalue = \"{{ key }}\"",
            &[("key", "abc\r\nX: y")],
        );
        let error = error.unwrap_err();
        assert!(error.contains("x-key") && !error.contains("abc"), "{error}");
    }

    #[test]
    fn entries_of_settings_without_a_value_are_left_out() {
        let request = request_of(
            "path = \"/\"\njson = { from = \"{{ from }}\", list = [{ a = \"{{ from }}\" }], empty = {}, n = 1, u = \"{{ unicode }}\" }",
            "kind = \"none\"",
            &[],
        );
        assert_eq!(body(&request.unwrap()), r#"{"empty":{},"n":1,"u":false}"#);
        let request = request_of(
            "path = \"/\"\nform = { from = \"{{ from }}\", a = \"b c\" }",
            "kind = \"none\"",
            &[],
        );
        assert_eq!(body(&request.unwrap()), "a=b+c");
    }

    #[test]
    fn debug_output_of_a_request_shows_no_secret() {
        let request = request_of(
            "path = \"/{{ key }}\"\nquery = { k = \"{{ key }}\" }\nform = { k = \"{{ key }}\" }",
            "kind = \"basic\"\nuser = \"{{ key }}\"\npassword = \"{{ key }}\"",
            &[("key", "hush")],
        );
        let shown = format!("{:?}", request.unwrap());
        assert!(
            !shown.contains("hush") && !shown.contains("aHVzaDpodXNo"),
            "{shown}"
        );
    }
}
