use super::*;

#[test]
fn an_address_is_normalised_to_the_form_that_servers_accept() {
    for (text, expected) in [
        (" alice@example.org\n", "alice@example.org"),
        (
            "Alice.Smith+login@EXAMPLE.org",
            "Alice.Smith+login@example.org",
        ),
        ("alice@bücher.example", "alice@xn--bcher-kva.example"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
        ("o'hara@example.org", "o'hara@example.org"),
        ("root@[192.0.2.1]", "root@[192.0.2.1]"),
        ("root@[ipv6:2001:DB8::1]", "root@[IPv6:2001:db8::1]"),
        ("alice@example.org.", "alice@example.org"),
        ("a_b-c/d=e!f%g@example.org", "a_b-c/d=e!f%g@example.org"),
    ] {
        assert_eq!(address(text).as_deref(), Ok(expected), "{text:?}");
    }
}

#[test]
fn a_pasted_address_is_read_as_it_looks() {
    for text in [
        "\u{feff}alice@example.org",
        "\u{a0}alice@example.org\u{3000}\t",
        "alice\u{200b}@\u{200b}example.org\u{200d}",
        "\u{202a}alice@example.org\u{202c}",
        "\u{2068}alice@ex\u{ad}ample.org\u{2069}",
        "mailto:alice@example.org",
        "MAILTO:alice%40example.org?subject=Hello%20you",
        "<alice@example.org>",
        "<mailto:alice@example.org>",
        "Alice Adams <alice@example.org>",
        "\"Adams, Alice\" <alice@example.org>",
        "alice@example.org <alice@example.org>",
        "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｏｒｇ",
        "alice﹫example。org",
    ] {
        assert_eq!(
            address(text).as_deref(),
            Ok("alice@example.org"),
            "{text:?}"
        );
    }
    for (text, expected) in [
        ("o\u{2019}hara@example.org", "o'hara@example.org"),
        ("alice@my\u{2011}example.org", "alice@my-example.org"),
        ("a\u{2013}b@example.org", "a-b@example.org"),
        // A joiner that belongs to a word.
        (
            "alice@نامه\u{200c}ای.example",
            "alice@xn--mgba3gch31f060k.example",
        ),
    ] {
        assert_eq!(address(text).as_deref(), Ok(expected), "{text:?}");
    }
}

#[test]
fn addresses_with_dots_that_no_standard_has_are_one_mailbox_quoted_or_not() {
    for (text, stored, sent) in [
        (
            "a..b@docomo.ne.jp",
            "a..b@docomo.ne.jp",
            "\"a..b\"@docomo.ne.jp",
        ),
        (
            "\"a..b\"@DOCOMO.ne.jp",
            "a..b@docomo.ne.jp",
            "\"a..b\"@docomo.ne.jp",
        ),
        (
            ".ab@docomo.ne.jp",
            ".ab@docomo.ne.jp",
            "\".ab\"@docomo.ne.jp",
        ),
        (
            "ab.@docomo.ne.jp",
            "ab.@docomo.ne.jp",
            "\"ab.\"@docomo.ne.jp",
        ),
        (
            "a...@ezweb.ne.jp",
            "a...@ezweb.ne.jp",
            "\"a...\"@ezweb.ne.jp",
        ),
        (
            "\"alice\"@example.org",
            "alice@example.org",
            "alice@example.org",
        ),
        (
            "\"al\\ice\"@example.org",
            "alice@example.org",
            "alice@example.org",
        ),
        (
            "\"a@b\"@example.org",
            "\"a@b\"@example.org",
            "\"a@b\"@example.org",
        ),
        (
            "\"a\\\"\\\\b\"@example.org",
            "\"a\\\"\\\\b\"@example.org",
            "\"a\\\"\\\\b\"@example.org",
        ),
    ] {
        assert_eq!(address(text).as_deref(), Ok(stored), "{text}");
        assert_eq!(parse(text).unwrap().to_string(), sent, "{text}");
        assert_eq!(parse(stored).unwrap().to_string(), sent, "{stored}");
    }
    let longest = format!(".{}@example.org", "a".repeat(63));
    assert_eq!(parse(&longest).unwrap().user().len(), 66);
}

#[test]
fn what_is_wrong_with_an_address_is_named() {
    let long = format!("{}@example.org", "a".repeat(65));
    for (text, why) in [
        ("alice", "it has no '@'"),
        ("@example.org", "nothing is before the '@'"),
        ("\"\"@example.org", "nothing is before the '@'"),
        ("alice@", "'' is not a domain"),
        ("alice@exa_mple..org", "'exa_mple..org' is not a domain"),
        ("alice@[192.0.2]", "is not a domain"),
        ("a b@example.org", "a space (U+0020) does not belong there"),
        (
            "a\u{a0}b@example.org",
            "a space (U+00A0) does not belong there",
        ),
        (
            "alice@example.org, bob@example.org",
            "'@' (U+0040) does not belong there",
        ),
        (
            "alice\u{202e}@example.org",
            "U+202E (shows text backwards) does not belong there",
        ),
        ("alice\u{1b}[2J@example.org", "U+001B does not belong there"),
        (
            "alice@exam\u{e0061}ple.org",
            "U+E0061 does not belong there",
        ),
        ("a\"b@example.org", "'\"' (U+0022) does not belong there"),
        ("\"a\\\"@example.org", "'\\' (U+005C) does not belong there"),
        ("a(b)@example.org", "'(' (U+0028) does not belong there"),
        (&long, "longer than 64 bytes"),
    ] {
        let error = address(text).expect_err(text).to_string();
        assert!(
            error.ends_with(why) || error.contains(why),
            "{text:?}: {error}"
        );
        assert!(error.contains("is not an e-mail address"), "{error}");
        assert!(!error.chars().any(is_unprintable), "{error:?}");
    }
}

#[test]
fn what_is_not_an_address_is_refused_and_escaped_in_the_error() {
    let long = format!("a@{}.example", "b.".repeat(130));
    for text in [
        "",
        "alice",
        "@example.org",
        "alice@",
        "a b@example.org",
        "alice@exa mple.org",
        "alice@example.org>\r\nRCPT TO:<bob@example.org",
        "alice@example.org>\r\nRCPT TO:<bob@example.org>",
        "Alice\r\nBcc: <bob@example.org>",
        "mailto:alice%0D%0A@example.org",
        "\"a\\\r\n\"@example.org",
        "\"a\\ b\"@example.org",
        "\"a\\>b\"@example.org",
        "\"a> b\"@example.org",
        "alice\u{202e}@example.org",
        "alice@example.org, bob@example.org",
        &long,
    ] {
        let error = address(text).expect_err(text);
        assert!(
            !error.to_string().contains(['\r', '\n', '\u{202e}']),
            "{error}"
        );
    }
}

#[test]
fn a_mailbox_is_an_address_with_or_without_a_name() {
    let plain = parse_mailbox(" login@example.org ").unwrap();
    assert_eq!(
        (plain.name, plain.email.to_string()),
        (None, "login@example.org".to_owned())
    );
    for (text, name) in [
        ("Büro 7 <login@example.org>", "Büro 7"),
        ("\"Logins, all\" <login@example.org>", "Logins, all"),
        ("東京 <login@example.org>", "東京"),
    ] {
        let named = parse_mailbox(text).unwrap();
        assert_eq!(named.name.as_deref(), Some(name));
        assert_eq!(named.email.to_string(), "login@example.org");
    }
    for text in [
        "",
        "login",
        "Name <login@example.org",
        "a\nb <login@example.org>",
        "<>",
    ] {
        assert!(parse_mailbox(text).is_err(), "{text:?}");
    }
}
