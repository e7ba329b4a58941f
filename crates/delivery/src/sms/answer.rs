//! A provider's answer: whether it is a success, and what it says.

use roxmltree::Node;
use serde_json::{Map, Value};

use super::client::Response;
use super::description::{AnswerForm, Call, Errors, Path, Success, scalar};
use crate::error::{SendError, Step};
use crate::secrets::Secrets;

/// An XML answer that is nested deeper is none that anybody sends.
const DEEPEST: usize = 32;

/// The answer to `call` as data, if it is a success; otherwise what the provider said, without any of the `secrets`.
pub(super) fn judge(
    response: &Response,
    call: &Call,
    errors: &Errors,
    secrets: &Secrets,
) -> Result<Value, SendError> {
    let data = data(&response.body, call.answer);
    let has_good_status = match call.success.status.as_slice() {
        [] => (200..300).contains(&response.status),
        good => good.contains(&response.status),
    };
    match data {
        Some(data) if has_good_status && holds(&call.success, &data) => Ok(data),
        None if has_good_status => {
            let said = secrets.strike(&plain(&response.body));
            let said = if said.is_empty() {
                "nothing".to_owned()
            } else {
                said
            };
            Err(SendError::at(
                Step::Message,
                format!("HTTP {}, not understood: {said}", response.status),
            )
            .hinted("is this the provider's interface? Look at 'base'"))
        }
        data => Err(refused(response, data.as_ref(), errors, secrets)),
    }
}

/// Whether all that makes a success holds of `data`.
fn holds(success: &Success, data: &Value) -> bool {
    let every = success.every.iter().all(|every| {
        let found = every.at.all(data);
        let is_allowed =
            |value: &&Value| scalar(value).is_some_and(|text| every.is.contains(&text));
        !found.is_empty() && found.iter().all(is_allowed)
    });
    every
        && success
            .present
            .iter()
            .all(|path| path.all(data).iter().any(|value| !value.is_null()))
        && success
            .absent
            .iter()
            .all(|path| path.all(data).iter().all(|value| value.is_null()))
}

fn refused(
    response: &Response,
    data: Option<&Value>,
    errors: &Errors,
    secrets: &Secrets,
) -> SendError {
    let first =
        |paths: &[Path]| data.and_then(|data| paths.iter().find_map(|path| path.first(data)));
    let code = first(&errors.code).filter(|code| !code.is_empty());
    let words = first(&errors.words).filter(|words| !words.is_empty());
    // Errors do not always come in the form of the other answers.
    let words = words.or_else(|| {
        if data.is_none() {
            Some(plain(&response.body))
        } else {
            None
        }
    });
    let said = match (&code, words) {
        (Some(code), Some(words)) => format!("{code}: {words}"),
        (Some(code), None) => format!("error {code}"),
        (None, Some(words)) if !words.is_empty() => format!("HTTP {}: {words}", response.status),
        (None, _) => format!("HTTP {}", response.status),
    };
    let known = errors.known.iter().find(|known| {
        (known.codes.is_empty() || code.as_ref().is_some_and(|code| known.codes.contains(code)))
            && (known.status.is_empty() || known.status.contains(&response.status))
    });
    let said = secrets.strike(&said);
    if let Some(known) = known {
        return SendError {
            hint: known.hint.clone(),
            final_: known.final_,
            ..SendError::at(known.step, said)
        };
    }
    match response.status {
        401 | 403 => SendError::at(Step::Login, said)
            .hinted("check the keys, and what they are allowed to do"),
        402 => SendError::at(Step::Message, said).hinted("look at the account's balance"),
        404 => SendError::at(Step::Message, said)
            .hinted("is this the provider's interface? Look at 'base'"),
        // A door of the provider's had no answer from the house behind it, as we had none from a door that hangs.
        502 | 504 => SendError::at(Step::Message, said)
            .hinted("the provider has a fault; try again later")
            .after_handover(),
        429 => SendError::at(Step::Message, said).hinted("the provider takes no more for now"),
        500.. => {
            SendError::at(Step::Message, said).hinted("the provider has a fault; try again later")
        }
        _ => SendError::at(Step::Message, said),
    }
}

fn data(body: &[u8], form: AnswerForm) -> Option<Value> {
    match form {
        AnswerForm::Json => serde_json::from_slice(body).ok(),
        AnswerForm::Xml => {
            let document = roxmltree::Document::parse(std::str::from_utf8(body).ok()?).ok()?;
            let root = document.root_element();
            let mut data = Map::new();
            data.insert(root.tag_name().name().to_owned(), element(root, 0));
            Some(Value::Object(data))
        }
        AnswerForm::Lines => {
            let text = String::from_utf8_lossy(body);
            if text.trim_start().starts_with('<') {
                return None; // a page for people
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

/// An element as what a path can go through: its text, or its children by name. Of those with one name the first is
/// kept; no answer that is looked at has lists.
fn element(node: Node<'_, '_>, depth: usize) -> Value {
    let mut children = Map::new();
    for child in node
        .children()
        .filter(Node::is_element)
        .filter(|_| depth < DEEPEST)
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

/// The first line of an answer that is for people; nothing of a page.
fn plain(body: &[u8]) -> String {
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
    fn an_xml_answer_is_walked_by_the_names_of_its_elements() {
        let xml =
            b"<PublishResponse xmlns=\"http://sns\"><PublishResult><MessageId>a&amp;b</MessageId>\
                    </PublishResult></PublishResponse>";
        let data = data(xml, AnswerForm::Xml).unwrap();
        let path = Path::parse("$.PublishResponse.PublishResult.MessageId").unwrap();
        assert_eq!(path.first(&data).as_deref(), Some("a&b"));
    }

    #[test]
    fn an_xml_bomb_is_no_answer() {
        let bomb = b"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
        assert_eq!(data(bomb, AnswerForm::Xml), None);
        let deep = format!("{}{}", "<a>".repeat(9000), "</a>".repeat(9000));
        let _no_overflow = data(deep.as_bytes(), AnswerForm::Xml);
    }

    #[test]
    fn lines_are_lists_of_fields() {
        let data = data(
            b"OK: 61400000000:2942263\r\n\r\nBAD:0:Invalid Number\n",
            AnswerForm::Lines,
        )
        .unwrap();
        assert_eq!(
            data,
            serde_json::json!([
                ["OK", "61400000000", "2942263"],
                ["BAD", "0", "Invalid Number"]
            ])
        );
    }
}
