//! Evaluates a provider's answer: whether it is successful, and the error if it is not.

use roxmltree::Node;
use serde_json::{Map, Value};

use crate::error::{SendError, Step};
use crate::net::http::Response;
use crate::redaction::Secrets;
use crate::sms::data_file::{
    AnswerFormat, DataFile, KnownError, Path, RequestSpec, Success, scalar,
};

/// The maximum depth to which an XML answer is read. Real answers are less deep.
const MAX_DEPTH: usize = 32;

/// What to do about an answer that is not the provider's.
const CHECK_BASE: &str = "check that 'base' is the URL of the provider's interface";
/// What to do about a provider that is out of order.
const PROVIDER_FAULT: &str = "the provider is having problems: try again later";

/// The content of the answer to `spec` if it is successful, or the provider's error without any of the `secrets`.
pub(super) fn evaluate(
    response: &Response,
    spec: &RequestSpec,
    data_file: &DataFile,
    secrets: &Secrets,
) -> Result<Value, SendError> {
    let content = parse(&response.body, spec.answer);
    let has_good_status = match spec.success.status.as_slice() {
        [] => (200..300).contains(&response.status),
        good => good.contains(&response.status),
    };
    match content {
        Some(content) if has_good_status && holds(&spec.success, &content) => Ok(content),
        None if has_good_status => {
            let text = secrets.redact(&first_line(&response.body));
            let text = if text.is_empty() {
                "an empty answer".to_owned()
            } else {
                text
            };
            Err(SendError::new(
                Step::Message,
                format!(
                    "HTTP {}, not an answer in the expected format: {text}",
                    response.status
                ),
            )
            .hinted(CHECK_BASE))
        }
        content => Err(refused(
            response,
            content.as_ref(),
            spec,
            data_file,
            secrets,
        )),
    }
}

/// Whether all conditions of `success` hold for `content`.
fn holds(success: &Success, content: &Value) -> bool {
    let every = success.every.iter().all(|every| {
        let found = every.at.all(content);
        let is_allowed =
            |value: &&Value| scalar(value).is_some_and(|text| every.is.contains(&text));
        !found.is_empty() && found.iter().all(is_allowed)
    });
    every
        && success.present.iter().all(|path| has_value(path, content))
        && success
            .absent
            .iter()
            .all(|path| path.all(content).iter().all(|value| value.is_null()))
}

/// Whether there is a value other than `null` at `path`.
fn has_value(path: &Path, content: &Value) -> bool {
    path.all(content).iter().any(|value| !value.is_null())
}

fn refused(
    response: &Response,
    content: Option<&Value>,
    spec: &RequestSpec,
    data_file: &DataFile,
    secrets: &Secrets,
) -> SendError {
    let errors = &data_file.errors;
    let first = |paths: &[Path]| {
        content.and_then(|content| paths.iter().find_map(|path| path.first(content)))
    };
    let code = first(&errors.code).map(without_namespace);
    let code = code.filter(|code| !code.is_empty());
    let text = first(&errors.text).filter(|text| !text.is_empty());
    // Errors are not always in the format of other answers.
    let text = text.or_else(|| {
        if content.is_none() {
            Some(first_line(&response.body))
        } else {
            None
        }
    });
    let reason = match (&code, text) {
        (Some(code), Some(text)) => format!("{code}: {text}"),
        (Some(code), None) => format!("error {code}"),
        (None, Some(text)) if !text.is_empty() => format!("HTTP {}: {text}", response.status),
        (None, _) => format!("HTTP {}", response.status),
    };
    // A check and a list have no recipient.
    let mut known = errors
        .known
        .iter()
        .filter(|known| known.step != Step::Recipient || data_file.sends_by(spec));
    let known =
        known.find(|known| is_known(known, response.status, code.as_ref(), &reason, content));
    let reason = secrets.redact(&reason);
    if let Some(known) = known {
        return SendError {
            hint: known.hint.clone(),
            stops_failover: known.stops_failover,
            ..SendError::new(known.step, reason)
        };
    }
    refused_by_status(response.status, reason)
}

/// Whether an answer with this `status`, error `code`, error text `reason` and `content` is the error `known`.
fn is_known(
    known: &KnownError,
    status: u16,
    code: Option<&String>,
    reason: &str,
    content: Option<&Value>,
) -> bool {
    let has_any = |content| known.present.iter().any(|path| has_value(path, content));
    (known.codes.is_empty() || code.is_some_and(|code| known.codes.contains(code)))
        && (known.words.is_empty() || contains_any(reason, &known.words))
        && (known.present.is_empty() || content.is_some_and(has_any))
        && (known.status.is_empty() || known.status.contains(&status))
}

/// Whether one of `parts` is in `text`, in upper or lower case.
fn contains_any(text: &str, parts: &[String]) -> bool {
    let text = text.to_lowercase();
    parts.iter().any(|part| text.contains(&part.to_lowercase()))
}

/// An error's code without the namespace that AWS may put before it (`com.amazonaws.x#ErrorName`; Smithy, protocol
/// `awsJson1_0`, "Operation error serialization").
fn without_namespace(code: String) -> String {
    match code.rsplit_once('#') {
        Some((_, name)) => name.to_owned(),
        None => code,
    }
}

/// An error that the data file does not list.
fn refused_by_status(status: u16, reason: String) -> SendError {
    let error = SendError::new(Step::Message, reason);
    match status {
        401 => SendError {
            step: Step::Login,
            ..error
        }
        .hinted("check the keys"),
        // Providers also answer 403 for a lack of credit, a country that is not enabled, or a recipient who opted out.
        403 => error.hinted("the provider does not permit this: check what it says, the account's balance, and what the account and its keys may do"),
        402 => error.hinted("check the account's balance"),
        404 => error.hinted(CHECK_BASE),
        429 => error.hinted("the provider accepts no more requests for now: try again later"),
        // A gateway of the provider had no answer from the server behind it, which may have sent the message.
        502 | 504 => error.hinted(PROVIDER_FAULT).after_handover(),
        500.. => error.hinted(PROVIDER_FAULT),
        _ => error.hinted("look this error up in the provider's documentation"),
    }
}

/// Parses an answer. `None`: it is not in `format`.
fn parse(body: &[u8], format: AnswerFormat) -> Option<Value> {
    match format {
        AnswerFormat::Json => serde_json::from_slice(body).ok(),
        AnswerFormat::Xml => {
            let document = roxmltree::Document::parse(std::str::from_utf8(body).ok()?).ok()?;
            let root = document.root_element();
            let mut content = Map::new();
            content.insert(root.tag_name().name().to_owned(), element(root, 0));
            Some(Value::Object(content))
        }
        AnswerFormat::Lines => {
            let text = String::from_utf8_lossy(body);
            if text.trim_start().starts_with('<') {
                return None; // a web page
            }
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let fields = |line: &str| {
                line.split(':')
                    .map(|field| Value::from(field.trim()))
                    .collect::<Value>()
            };
            Some(lines.map(fields).collect())
        }
    }
}

/// An XML element as JSON: its text, or its children by name. Of several with one name the first is kept, because no
/// supported answer has lists.
fn element(node: Node<'_, '_>, depth: usize) -> Value {
    let mut children = Map::new();
    for child in node
        .children()
        .filter(Node::is_element)
        .filter(|_| depth < MAX_DEPTH)
    {
        children
            .entry(child.tag_name().name())
            .or_insert_with(|| element(child, depth + 1));
    }
    if children.is_empty() {
        node.text().unwrap_or_default().into()
    } else {
        Value::Object(children)
    }
}

/// The first line of an answer as a description of it. Nothing of a web page.
fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    if line.starts_with('<') {
        "a web page".to_owned()
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_xml_elements_by_their_names() {
        let xml =
            b"<PublishResponse xmlns=\"http://sns\"><PublishResult><MessageId>a&amp;b</MessageId>\
                    </PublishResult></PublishResponse>";
        let content = parse(xml, AnswerFormat::Xml).unwrap();
        let path = Path::parse("$.PublishResponse.PublishResult.MessageId").unwrap();
        assert_eq!(path.first(&content).as_deref(), Some("a&b"));
    }

    #[test]
    fn an_xml_bomb_is_not_parsed() {
        let bomb = b"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
        assert_eq!(parse(bomb, AnswerFormat::Xml), None);
        let deep = format!("{}{}", "<a>".repeat(9000), "</a>".repeat(9000));
        let _no_overflow = parse(deep.as_bytes(), AnswerFormat::Xml);
    }

    #[test]
    fn words_of_a_known_error_are_found_in_upper_or_lower_case() {
        let words = ["no credit".to_owned(), "unknown sender".to_owned()];
        assert!(contains_any("Account has NO credit left", &words));
        assert!(!contains_any("sender", &words));
    }

    #[test]
    fn lines_are_lists_of_fields() {
        let content = parse(
            b"OK: 61400000000:2942263\r\n\r\nBAD:0:Invalid Number\n",
            AnswerFormat::Lines,
        )
        .unwrap();
        assert_eq!(
            content,
            serde_json::json!([
                ["OK", "61400000000", "2942263"],
                ["BAD", "0", "Invalid Number"]
            ])
        );
    }
}
