//! What the HTML of every mail looks like, as far as that can be computed without a browser. The end-to-end tests show
//! the mails in one, where it is installed.

use std::collections::BTreeMap;
use std::path::Path;

use twofa_core::Timestamp;
use twofa_delivery::templates::Templates;
use twofa_delivery::{Message, NoticeMessage};

use super::{CODE, message_of};

/// The contrast that normal text needs at least: WCAG 2.2, success criterion 1.4.3.
const MIN_CONTRAST: f64 = 4.5;

/// The narrowest screen, in CSS pixels.
const NARROW: f64 = 360.0;

/// A selector's declarations.
type Rules = BTreeMap<String, BTreeMap<String, String>>;

fn html() -> Vec<String> {
    let at = Timestamp::from_unix(1_764_000_000);
    let application = "Example".to_owned();
    let notice = NoticeMessage {
        application: application.clone(),
        user: "alice".into(),
        what: "An authenticator app was added.".into(),
        from: Some("203.0.113.7".into()),
        at,
    };
    let messages = [
        message_of("Example"),
        Message::Notice(notice),
        Message::Test { application, at },
    ];
    let templates = Templates::load(Path::new("/nowhere"));
    let html = |message| templates.mail(message).unwrap().html.clone();
    messages.iter().map(html).collect()
}

#[test]
fn text_has_enough_contrast_in_light_and_in_dark() {
    for html in html() {
        let [light, dark] = schemes(&html);
        assert_ne!(light["body"], dark["body"], "a scheme of its own");
        for rules in [light, dark] {
            for (text, background) in [
                ("body", "body"),
                ("body", ".card"),
                ("body", ".code"),
                ("th", ".card"),
            ] {
                let contrast = contrast(
                    &rules[text]["color"],
                    &rules[background]["background-color"],
                );
                assert!(
                    contrast >= MIN_CONTRAST,
                    "{text} on {background}: {contrast}"
                );
            }
        }
        assert!(html.contains("<meta name=\"color-scheme\" content=\"light dark\">"));
    }
}

#[test]
fn nothing_is_wider_than_a_phone() {
    for html in html() {
        let [rules, _] = schemes(&html);
        for (selector, declarations) in rules {
            for (property, value) in declarations {
                let is_fixed = matches!(property.as_str(), "width" | "min-width");
                assert!(
                    !is_fixed || pixels(&value) <= NARROW,
                    "{selector} {property}: {value}"
                );
            }
        }
        assert!(!html.contains(" width="), "in HTML instead of CSS: {html}");
        assert!(html.contains("content=\"width=device-width"));
        // A host name has no spaces to break it at.
        assert!(html.contains("overflow-wrap: anywhere"));
    }
}

#[test]
fn a_mail_fetches_nothing_links_nowhere_and_runs_nothing() {
    for html in html() {
        for forbidden in [
            "http", "//", "url(", "@import", "<img", "<a ", "href", "src=", "<script", "<link",
            "<form", "onload",
        ] {
            assert!(!html.contains(forbidden), "{forbidden} in {html}");
        }
        assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        assert!(html.contains("<title>") && html.ends_with("</html>"));
        // Phones turn numbers into links to dial.
        assert!(html.contains("name=\"format-detection\" content=\"telephone=no"));
    }
}

#[test]
fn a_code_is_large_and_is_copied_in_one_piece() {
    let code = &html()[0];
    let element = format!("style=\"font-size: 32px; letter-spacing: 4px\">{CODE}</strong>");
    assert!(code.contains(&element), "{code}");
    let [rules, _] = schemes(code);
    assert_eq!(rules[".code"]["user-select"], "all");
    assert_eq!(rules[".code"]["white-space"], "nowrap");
}

#[test]
fn without_css_a_mail_is_read_from_top_to_bottom() {
    let code = &html()[0];
    let body = code.split_once("<body>").unwrap().1;
    let mut text = String::new();
    for piece in body.split('<') {
        text.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
    }
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.starts_with(&format!("{CODE} is your code for Example. Use it to")),
        "{words}"
    );
}

/// The rules of the light scheme, and those of the dark one, which change some of them.
fn schemes(html: &str) -> [Rules; 2] {
    let mut styles = html
        .split("<style>")
        .skip(1)
        .map(|style| style.split_once("</style>").unwrap().0);
    let light = rules(styles.next().unwrap());
    let dark = styles.next().unwrap().trim();
    let dark = dark
        .strip_prefix("@media (prefers-color-scheme: dark) {")
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap();
    let mut all = light.clone();
    for (selector, declarations) in rules(dark) {
        all.entry(selector).or_default().extend(declarations);
    }
    [light, all]
}

fn rules(css: &str) -> Rules {
    let mut rules = Rules::new();
    for rule in css.trim().split_terminator('}') {
        let (selector, declarations) = rule.split_once('{').unwrap();
        let declarations = declarations.split(';').filter_map(|declaration| {
            let (property, value) = declaration.split_once(':')?;
            Some((property.trim().to_owned(), value.trim().to_owned()))
        });
        rules
            .entry(selector.trim().to_owned())
            .or_default()
            .extend(declarations);
    }
    rules
}

fn pixels(value: &str) -> f64 {
    value.trim_end_matches("px").parse().unwrap()
}

/// WCAG 2.2: the contrast ratio of two colours such as `#1f2328`.
fn contrast(one: &str, other: &str) -> f64 {
    let [one, other] = [luminance(one), luminance(other)];
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: &str) -> f64 {
    let number = u32::from_str_radix(colour.strip_prefix('#').unwrap(), 16).unwrap();
    let [_, red, green, blue] = number.to_be_bytes().map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}
