//! A request, made of a [`Call`] and the values of its placeholders.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::client::Request;
use super::description::{AnswerForm, Auth, Call, Method, Node};
use super::sigv4;
use super::template::{Template, Values};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// The request that `call` describes. `base` has no slash at its end. An error is a sentence without values.
pub(super) fn build(
    call: &Call,
    auth: &Auth,
    base: &str,
    values: &Values,
) -> Result<Request, String> {
    let mut url = url(&format!("{base}{}", call.path.path(values)?))?;
    let query = pairs(&call.query, values)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    build_for(url, call, auth, values)
}

/// The same for a `url` that the provider gave, such as that of the next page.
pub(super) fn build_for(
    url: Url,
    call: &Call,
    auth: &Auth,
    values: &Values,
) -> Result<Request, String> {
    let mut headers = HeaderMap::new();
    let accepts = match call.answer {
        AnswerForm::Json => JSON,
        AnswerForm::Xml => "application/xml, text/xml",
        AnswerForm::Lines => "text/plain, */*",
    };
    headers.insert(ACCEPT, HeaderValue::from_static(accepts));
    for (name, template) in &call.headers {
        if let Some(value) = template.text(values)? {
            put(&mut headers, name, &value)?;
        }
    }
    let body = body(call, values)?;
    if let Some((kind, _)) = &body {
        headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(kind));
    }
    let mut request = Request {
        method: match call.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        },
        url,
        headers,
        body: body.map(|(_, bytes)| bytes),
    };
    authorize(&mut request, auth, values)?;
    Ok(request)
}

/// `text` as a URL that can be asked.
pub(super) fn url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if url.has_host() && url.username().is_empty() && url.password().is_none() => {
            Ok(url)
        }
        _ => Err("base must be a URL such as https://api.example.com".to_owned()),
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
                return Err("a user's name cannot have a colon".to_owned()); // RFC 7617 §2
            }
            let password = password.text(values)?.unwrap_or_default();
            let both = BASE64.encode(format!("{user}:{password}").as_bytes());
            put(
                &mut request.headers,
                AUTHORIZATION.as_str(),
                &format!("Basic {both}"),
            )
        }
        Auth::Bearer { token } => put(
            &mut request.headers,
            AUTHORIZATION.as_str(),
            &format!("Bearer {}", needed(token)?),
        ),
        Auth::Header { name, value } => put(&mut request.headers, name, &needed(value)?),
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
            sigv4::sign(request, &key, service, &needed(region)?)
        }
    }
}

/// Adds a header that is never shown.
pub(super) fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is no header"))?;
    // Control characters would make a second header of it.
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        format!("the value for the header '{name}' has characters that cannot be in a header")
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn body(call: &Call, values: &Values) -> Result<Option<(&'static str, Vec<u8>)>, String> {
    if let Some(form) = &call.form {
        let pairs = pairs(form, values)?;
        let body = form_urlencoded(&pairs);
        return Ok(Some((FORM, body.into_bytes())));
    }
    let Some(json) = &call.json else {
        return Ok(None);
    };
    let json = node(json, values)?.unwrap_or_default();
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

/// As `application/x-www-form-urlencoded` of the URL standard.
fn form_urlencoded(pairs: &[(String, String)]) -> String {
    // The query of any URL is written this way; there is no other way to it without one more dependency.
    Url::parse_with_params("x:", pairs)
        .ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}

/// The value; `None` where a lone placeholder has none, which leaves out the entry. So does a list or a table of which
/// nothing is left.
fn node(node: &Node, values: &Values) -> Result<Option<serde_json::Value>, String> {
    Ok(match node {
        Node::Fixed(value) => Some(value.clone()),
        Node::Text(template) => match template.value(values)? {
            Some(value) => {
                Some(serde_json::to_value(&value).map_err(|_| "a value is no JSON".to_owned())?)
            }
            None => None,
        },
        Node::List(nodes) => {
            let mut list = Vec::with_capacity(nodes.len());
            for entry in nodes {
                list.extend(self::node(entry, values)?);
            }
            (!list.is_empty() || nodes.is_empty()).then(|| list.into())
        }
        Node::Table(nodes) => {
            let mut table = serde_json::Map::new();
            for (name, entry) in nodes {
                if let Some(value) = self::node(entry, values)? {
                    table.insert(name.clone(), value);
                }
            }
            (!table.is_empty() || nodes.is_empty()).then(|| table.into())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sms::description::Description;

    fn sent(send: &str, auth: &str, set: &[(&str, &str)]) -> Result<Request, String> {
        let text = format!(
            "name = \"x\"\ntitle = \"X\"\nsources = [\"here\"]\nbase = \"https://x.example\"\n\
             [[setting]]\nname = \"key\"\nhelp = \"Key\"\n[[setting]]\nname = \"from\"\nhelp = \"From\"\n\
             [auth]\n{auth}\n[send]\n{send}\n"
        );
        let description = Description::parse(&text).unwrap();
        let mut values = Values::default();
        for name in ["key", "from", "to", "text", "lifetime"] {
            values.set(name, ());
        }
        values.set("unicode", false);
        for (name, value) in set {
            values.set(name, *value);
        }
        build(
            &description.send,
            &description.auth,
            "https://x.example/v1",
            &values,
        )
    }

    fn body(request: &Request) -> &str {
        std::str::from_utf8(request.body.as_deref().unwrap()).unwrap()
    }

    #[test]
    fn nothing_in_a_value_can_break_out_of_the_form_the_json_or_the_url() {
        let evil = "\"},{\"a\":\"b\"}&to=1 +#?/\r\nX: y{{ key }}";
        let request = sent(
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

        let request = sent(
            "path = \"/\"\njson = { m = [{ t = \"a {{ text }}\" }] }",
            "kind = \"none\"",
            &[("text", evil)],
        );
        let json: serde_json::Value = serde_json::from_str(body(&request.unwrap())).unwrap();
        assert_eq!(json, serde_json::json!({"m": [{"t": format!("a {evil}")}]}));
    }

    #[test]
    fn a_line_break_in_a_header_is_refused_without_showing_the_value() {
        let error = sent(
            "path = \"/\"\njson = {}",
            "kind = \"header\"\nname = \"X-Key\"\nvalue = \"{{ key }}\"",
            &[("key", "abc\r\nX: y")],
        );
        let error = error.unwrap_err();
        assert!(error.contains("x-key") && !error.contains("abc"), "{error}");
    }

    #[test]
    fn settings_that_are_not_set_leave_their_entries_out() {
        let request = sent(
            "path = \"/\"\njson = { from = \"{{ from }}\", list = [{ a = \"{{ from }}\" }], empty = {}, n = 1, u = \"{{ unicode }}\" }",
            "kind = \"none\"",
            &[],
        );
        assert_eq!(body(&request.unwrap()), r#"{"empty":{},"n":1,"u":false}"#);
        let request = sent(
            "path = \"/\"\nform = { from = \"{{ from }}\", a = \"b c\" }",
            "kind = \"none\"",
            &[],
        );
        assert_eq!(body(&request.unwrap()), "a=b+c");
    }

    #[test]
    fn a_request_does_not_show_what_it_holds() {
        let request = sent(
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
