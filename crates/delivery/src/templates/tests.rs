use std::fs;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::context::{duration, time};
use super::*;
use crate::message::NoticeMessage;
use twofa_core::Timestamp;

const CODE: &str = "918273";

fn code(application: &str) -> CodeMessage {
    CodeMessage {
        code: Zeroizing::new(CODE.into()),
        application: application.into(),
        user: "alice".into(),
        purpose: "log in with sshd".into(),
        from: Some("203.0.113.7".into()),
        at: Timestamp::from_unix(1_764_000_000),
        lifetime: 600,
        domain: None,
        in_subject: false,
    }
}

fn messages(application: &str) -> [Message; 3] {
    let at = Timestamp::from_unix(1_764_000_000);
    let notice = NoticeMessage {
        application: application.into(),
        user: "alice".into(),
        what: "An authenticator app was added.".into(),
        from: None,
        at,
    };
    let test = Message::Test {
        application: application.into(),
        at,
    };
    [
        Message::Code(code(application)),
        Message::Notice(notice),
        test,
    ]
}

fn built_in() -> Templates {
    Templates::load(Path::new("/nowhere"))
}

/// Templates with these files in the administrator's directory.
fn with_custom(files: &[(&str, &str)]) -> (TempDir, Templates) {
    let folder = TempDir::new().unwrap();
    for (name, source) in files {
        fs::write(folder.path().join(name), source).unwrap();
    }
    let templates = Templates::load(folder.path());
    (folder, templates)
}

fn problem_of(templates: &Templates) -> String {
    let problems = templates.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].step, Step::Settings);
    problems[0].to_string()
}

#[test]
fn a_code_mail_says_for_whom_from_where_and_when_it_was_requested_and_what_to_do() {
    let mail = built_in()
        .mail(&Message::Code(code("Example Server")))
        .unwrap();
    assert_eq!(
        mail.subject, "Your code for Example Server",
        "no code: subjects are logged"
    );
    for body in [&mail.text, &mail.html] {
        for words in [
            CODE,
            "Example Server",
            "alice",
            "203.0.113.7",
            "log in with sshd",
            "November 2025",
            "10 minutes",
            "change your password and tell your administrator",
        ] {
            assert!(body.contains(words), "{words:?} in {body}");
        }
        assert!(
            !body.contains("://") && !body.contains("href"),
            "no links: {body}"
        );
    }
    assert!(mail.text.is_ascii() && mail.text.lines().all(|line| line.len() <= 78));
}

#[test]
fn every_message_has_templates_for_mails_and_text_messages() {
    let templates = built_in();
    for message in messages("Example") {
        let mail = templates.mail(&message).unwrap();
        assert!(mail.subject.contains("Example"));
        assert!(
            mail.text.contains("Example")
                && !mail.text.contains("none")
                && !mail.text.contains("{{")
        );
        assert!(mail.html.starts_with("<!DOCTYPE html>") && mail.html.contains("Example"));
        let text = templates.sms(&message).unwrap();
        assert!(text.contains("Example") && segments(&text) == 1, "{text}");
    }
    assert_eq!(templates.problems(), []);
}

#[test]
fn a_mail_is_laid_out_as_designed() {
    let mail = built_in().mail(&Message::Code(code("Example"))).unwrap();
    let time = time(Timestamp::from_unix(1_764_000_000));
    let expected = format!(
        "918273 is your code for Example.\n\nUse it to log in with sshd.\n\
         It is valid for 10 minutes and can be used once.\n\n    User:   alice\n    \
         From:   203.0.113.7\n    Time:   {time}\n\n\
         If you did not request it, change your password and tell your administrator.\n\
         Never give this code to anyone: nobody will ask you for it."
    );
    assert_eq!(mail.text, expected);
    let nowhere = Message::Code(CodeMessage {
        from: None,
        ..code("Example")
    });
    assert_eq!(
        built_in().mail(&nowhere).unwrap().text,
        expected.replace("    From:   203.0.113.7\n", "")
    );
}

#[test]
fn the_code_is_in_the_subject_only_where_the_policy_allows_it_and_always_begins_the_text() {
    let message = |in_subject| {
        Message::Code(CodeMessage {
            in_subject,
            ..code("Example")
        })
    };
    for (in_subject, subject) in [
        (false, "Your code for Example"),
        (true, "918273 is your code for Example"),
    ] {
        let mail = built_in().mail(&message(in_subject)).unwrap();
        assert_eq!(mail.subject, subject);
        // What a phone's notification shows of it.
        assert!(
            mail.text.starts_with("918273 is your code"),
            "{}",
            mail.text
        );
    }
    let (_folder, templates) = with_custom(&[("code.subject", "Code")]);
    assert_eq!(templates.mail(&message(true)).unwrap().subject, "Code");
}

#[test]
fn html_is_escaped_and_a_subject_is_one_line() {
    let evil = "<b>\"Evil\" & 'Söhne'\r\nBcc: x@y.org\u{202e}";
    let mail = built_in().mail(&Message::Code(code(evil))).unwrap();
    assert!(
        mail.html.contains("&lt;b&gt;&quot;Evil&quot; &amp; "),
        "{}",
        mail.html
    );
    assert!(!mail.html.contains("<b>"));
    assert_eq!(
        mail.subject,
        "Your code for <b>\"Evil\" & 'Söhne' Bcc: x@y.org?"
    );
    assert!(
        mail.text.contains("<b>\"Evil\" & 'Söhne'"),
        "text is not escaped"
    );

    let (_folder, templates) = with_custom(&[("code.subject", "One\n  two {{ application }}\n")]);
    assert_eq!(
        templates.mail(&Message::Code(code("x"))).unwrap().subject,
        "One two x"
    );
}

#[test]
fn a_template_that_was_saved_on_windows_has_neither_a_mark_nor_a_broken_subject() {
    let (_folder, templates) = with_custom(&[(
        "code.subject",
        "\u{feff}Your code for {{ application }}\r\n",
    )]);
    let mail = templates.mail(&messages("vm")[0]).unwrap();
    assert_eq!(mail.subject, "Your code for vm");
}

#[test]
fn a_text_message_has_all_facts_when_there_is_room() {
    let text = built_in()
        .sms(&Message::Code(code("Example Server")))
        .unwrap();
    assert_eq!(
        text,
        "Example Server: 918273 is the code for alice to log in with sshd from 203.0.113.7, valid for 10 minutes."
    );
}

#[test]
fn a_code_by_text_message_is_always_one_segment_with_the_whole_code() {
    let templates = built_in();
    for name in [
        "x",
        "Büro",
        "東京サーバー",
        "😀",
        "„quoted“",
        "{braces} [and] €",
    ] {
        for length in [1, 12, 40] {
            let application: String = name.chars().cycle().take(length).collect();
            for from in [
                None,
                Some("a-rather-long-host-name.of-a-rather-long-domain.example.org".to_owned()),
            ] {
                for domain in [None, Some("login.example.org".to_owned())] {
                    let message = CodeMessage {
                        from: from.clone(),
                        domain,
                        ..code(&application)
                    };
                    let text = templates.sms(&Message::Code(message)).unwrap();
                    assert_eq!(segments(&text), 1, "{text}");
                    assert!(text.contains(CODE), "{text}");
                }
            }
        }
    }
}

#[test]
fn a_code_bound_to_a_domain_ends_in_the_line_for_phones() {
    let bound = |application: &str, domain: &str| {
        let message = CodeMessage {
            domain: Some(domain.to_owned()),
            ..code(application)
        };
        built_in().sms(&Message::Code(message)).unwrap()
    };
    let text = bound("Example", "example.org");
    assert_eq!(text.lines().last(), Some("@example.org #918273"));
    assert!(text.starts_with("Example: 918273 is the code for alice"));
    assert_eq!(
        bound("東京", "example.org").lines().last(),
        Some("@example.org #918273")
    );
    // There is no room for both: the text is kept and the line left out.
    let text = bound("Example", &format!("{}.example.org", "a".repeat(140)));
    assert!(!text.contains('@') && segments(&text) == 1, "{text}");
}

#[test]
fn the_least_important_facts_are_left_out_first() {
    let text = |application: &str| {
        let message = CodeMessage {
            from: Some("10.0.0.7".into()),
            ..code(application)
        };
        built_in().sms(&Message::Code(message)).unwrap()
    };
    assert_eq!(
        text("東京"),
        "東京: 918273 is the code for alice from 10.0.0.7, valid for 10 minutes."
    );
    assert_eq!(
        text("東京サーバー"),
        "東京サーバー: 918273 is the code for alice, valid for 10 minutes."
    );
    let long = text(&"東".repeat(40));
    assert!(
        long.starts_with("東東東") && long.contains("...: 918273 is the code for alice, valid"),
        "{long}"
    );
}

#[test]
fn an_administrators_template_replaces_only_its_own_part() {
    let (_folder, templates) = with_custom(&[
        (
            "code.txt",
            "{{ application }} says {{ code }} to {{ user }} ({{ lifetime }})\n",
        ),
        ("notice.sms", "{{ what }}"),
        (".code.html.swp", "{{"),
        ("code.html~", "{{"),
    ]);
    assert_eq!(templates.problems(), []);
    let mail = templates.mail(&Message::Code(code("Example"))).unwrap();
    assert_eq!(mail.text, "Example says 918273 to alice (10 minutes)");
    assert_eq!(mail.subject, "Your code for Example");
    assert!(mail.html.contains("Use it to log in with sshd."));
    let [_, notice, _] = messages("Example");
    assert_eq!(
        templates.sms(&notice).unwrap(),
        "An authenticator app was added."
    );
}

#[test]
fn an_invalid_template_is_reported_by_file_and_line_and_the_built_in_one_is_used() {
    for (name, source, place, why) in [
        (
            "code.txt",
            "Hello\n{{ code }\n",
            ", line 2: ",
            "syntax error",
        ),
        (
            "code.txt",
            "{{ code }}\n\n{{ password }}\n",
            ", line 3: ",
            "undefined",
        ),
        (
            "code.html",
            "{{ code }}{% if name %}{% endif %}",
            ", line 1: ",
            "undefined",
        ),
        ("code.sms", "Hello", ": ", "{{ code }} is missing"),
        ("code.text", "{{ code }}", ": ", "no template of this name"),
    ] {
        let (folder, templates) = with_custom(&[(name, source)]);
        let problem = problem_of(&templates);
        let file = format!("settings: {}{place}", folder.path().join(name).display());
        assert!(
            problem.starts_with(&file) && problem.contains(why),
            "{problem}"
        );
        let message = Message::Code(code("Example"));
        assert_eq!(
            templates.mail(&message).unwrap(),
            built_in().mail(&message).unwrap()
        );
        assert_eq!(
            templates.sms(&message).unwrap(),
            built_in().sms(&message).unwrap()
        );
    }
}

#[test]
fn a_template_that_fails_for_one_message_is_reported_without_the_code() {
    let (_folder, templates) = with_custom(&[(
        "code.txt",
        "{{ code }}{% if application == 'Bad' %}{{ code.x.y }}{{ (code ~ 'x')|int }}{% endif %}",
    )]);
    assert_eq!(templates.problems(), []);
    let message = Message::Code(code("Bad"));
    for _ in 0..3 {
        assert_eq!(
            templates.mail(&message).unwrap(),
            built_in().mail(&message).unwrap()
        );
    }
    assert!(!problem_of(&templates).contains(CODE));
}

#[test]
fn an_unreadable_directory_is_reported() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let templates = Templates::load(file.path());
    assert!(problem_of(&templates).contains(&*file.path().display().to_string()));
}

#[test]
fn durations_are_written_in_words() {
    for (seconds, words) in [
        (0, "0 seconds"),
        (1, "1 second"),
        (60, "1 minute"),
        (600, "10 minutes"),
        (5430, "1 hour 30 minutes 30 seconds"),
    ] {
        assert_eq!(duration(seconds), words);
    }
}

#[test]
fn debug_output_of_a_mail_does_not_show_its_code() {
    let mail = built_in().mail(&Message::Code(code("Example"))).unwrap();
    assert!(!format!("{mail:?}").contains(CODE));
}
