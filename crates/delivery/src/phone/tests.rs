use super::*;

#[test]
fn numbers_are_normalised_however_they_are_written() {
    for text in ["+14155552671", "+1 (415) 555-2671", " +1.415.555.2671 "] {
        assert_eq!(normalise(text, None).unwrap(), "+14155552671", "{text}");
    }
    assert_eq!(
        normalise("(415) 555-2671", Some("US")).unwrap(),
        "+14155552671"
    );
    assert_eq!(normalise("030 901820", Some("de")).unwrap(), "+4930901820");
    assert_eq!(
        normalise("+44 20 7946 0958", Some("US")).unwrap(),
        "+442079460958"
    );
}

#[test]
fn a_foreign_number_is_read_by_the_plan_of_its_own_country_alone() {
    for (text, here) in [
        ("+49 176 12345678", "US"),
        ("011 49 176 12345678", "US"),
        ("0049 176 12345678", "US"),
        ("+49 (0)176 12345678", "US"),
        ("0011 49 176 12345678", "AU"),
        ("010 49 176 12345678", "JP"),
        ("8~10 49 176 12345678", "RU"),
        ("00 49 176 12345678", "CH"),
    ] {
        assert_eq!(
            normalise(text, Some(here)).unwrap(),
            "+4917612345678",
            "{text} in {here}"
        );
    }
    assert_eq!(
        normalise("0049 176 12345678", None).unwrap(),
        "+4917612345678"
    );
    assert_eq!(
        normalise("+1 415 555 2671", Some("DE")).unwrap(),
        "+14155552671"
    );
    for text in [
        "0176 12345678",
        "49 176 12345678",
        "+0176 12345678",
        "+011 49 176 12345678",
    ] {
        assert!(normalise(text, Some("US")).is_err(), "{text}");
    }
    assert!(normalise("+0176 12345678", Some("DE")).is_err());
    assert!(normalise("+0049 176 12345678", Some("DE")).is_err());
}

#[test]
fn a_number_that_two_countries_could_have_is_refused() {
    // Singapore dials 004 for one of its carriers, and then this is a number in India.
    let error = normalise("0049 176 12345678", Some("SG")).unwrap_err();
    assert!(matches!(error, BadNumber::Ambiguous(..)), "{error:?}");
    assert!(error.to_string().contains("+91 76123 45678"), "{error}");
    assert!(error.to_string().contains("+49 176 12345678"), "{error}");
    // A toll-free number in Japan, and a mobile phone in Kazakhstan.
    assert!(normalise("0077 7123 4567", Some("JP")).is_err());
    // A mobile phone, and somebody's telephone in Como.
    assert!(matches!(
        normalise("+39 (0)312 345 6789", None),
        Err(BadNumber::Ambiguous(..))
    ));
    assert_eq!(
        normalise("+39 (0)6 698 12345", None).unwrap(),
        "+390669812345"
    );
}

#[test]
fn a_number_that_does_not_exist_is_not_turned_into_another_one() {
    for text in [
        "+49 1",
        "+1 415 555 267",
        "+1 415 555 26711",
        "+1 015 555 2671",
        "+39 347",
        "+44 99 1234 5678",
    ] {
        assert!(normalise(text, Some("US")).is_err(), "{text}");
    }
}

#[test]
fn a_copied_number_is_read_as_it_looks() {
    for text in [
        "\u{202d}+49 176 12345678\u{202c}",
        "\u{feff}+49\u{a0}176\u{2011}12345678\u{200b}",
        "\u{ff0b}49 176 12345678",
        "\u{fe62}49 176 12345678",
        "+49\t176\t12345678\n",
        "+49 176 – 1234 — 5678",
        "+49\u{2009}176\u{2212}1234\u{2060}5678",
        "+４９ １７６ １２３４５６７８",
        "+٤٩ ١٧٦ ١٢٣٤٥٦٧٨",
        "\u{2066}(+49) 176·1234·5678\u{2069}",
        "［+49］（176）１２３４５６７８",
        "tel:+49-176-12345678",
        "TEL: +49 176 12345678",
        "Tel.: +49 176 12345678",
        "tel://+49(176)12345678",
        "tel:%2B49%20176%2012345678",
        "sms:+4917612345678",
        "\u{feff}<tel:+49-176-12345678>\u{a0}",
        "\u{2068}tel:+49 176 12345678\u{2069}",
        "+49（0）176 12345678",
        "+49 ( ０ ) 176 12345678",
        "+49\u{a0}(\u{200b}0)\u{a0}176\u{202f}12345678",
        "+49．176．1234．5678",
        "+49／176／12345678",
        "⁺49 176 12345678",
        "➕49 176 12345678",
        "+49•176•1234•5678",
        "+49。176。12345678",
        "+49\u{6d4}176\u{6d4}12345678",
        "+۴۹ ۱۷۶ ۱۲۳۴۵۶۷۸",
        "+४९ १७६ १२३४५६७८",
        "+𝟒𝟗 𝟏𝟕𝟔 𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖",
        "+49\u{2003}176\u{3000}12345678\u{2800}",
        "+49\u{ad}176\u{30fc}1234\u{2796}5678",
        "\u{202a}+49\u{202c} \u{202b}176\u{202c} \u{2067}12345678\u{2069}",
        "+4\u{fe0f}\u{20e3}9\u{fe0f}\u{20e3} 176 12345678",
        "\"+49 176 12345678\"",
        "'+49 176 12345678",
    ] {
        assert_eq!(
            normalise(text, Some("US")).unwrap(),
            "+4917612345678",
            "{text:?}"
        );
    }
}

#[test]
fn what_does_not_belong_to_a_number_is_named_and_not_shown_if_that_could_mislead() {
    for (text, named) in [
        ("+49 176 1234567O", "'O' (U+004F)"),
        ("+49 176 12345678 ext. 5", "'e' (U+0065)"),
        ("tel:+49-176-12345678;ext=5", "';' (U+003B)"),
        ("alice@example.org", "'a' (U+0061)"),
        ("+49 176 12345678\u{1b}[2J", "U+001B"),
        ("+49 176 12345678\u{9b}2J", "U+009B"),
        ("+49 176 12345678\0", "U+0000"),
        // What is shown as 87654321 here is not what would be dialled.
        ("\u{202e}+49 176 12345678", "U+202E (shows text backwards)"),
        ("+49 176 12345678\u{e0031}", "U+E0031"),
        ("+49 176 1234567⑧", "'⑧' (U+2467)"),
        ("+49 176 1234567²", "'²' (U+00B2)"),
        ("4\u{ff0b}9", "'\u{ff0b}' (U+FF0B)"),
        ("+49 176 +49 176", "'+' (U+002B)"),
        // A combining character would join what is before it.
        ("+49 176 12345678\u{338}", "U+0338"),
    ] {
        let error = normalise(text, None).unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.starts_with(&format!("{named} does not belong to a phone number")),
            "{text:?}: {shown}"
        );
        assert!(!shown.chars().any(is_unprintable), "{shown:?}");
    }
    for text in [
        "",
        " ",
        "+",
        "()",
        "tel:",
        "\u{202d}\u{202c}",
        &"1".repeat(31),
    ] {
        assert_eq!(
            normalise(text, None),
            Err(BadNumber::Unreadable),
            "{text:?}"
        );
    }
}

#[test]
fn the_number_of_a_sender_has_its_country_code_with_or_without_a_plus_sign() {
    for text in [
        "+4917612345678",
        "4917612345678",
        " 49 176 12345678 ",
        "\u{202a}+49\u{a0}176 12345678\u{202c}",
        "＋４９１７６１２３４５６７８",
        "tel:+4917612345678",
        "004917612345678",
    ] {
        let number = Number::parse_sender(text).unwrap();
        assert_eq!(number.e164(), "+4917612345678", "{text:?}");
    }
    for text in ["INFO", "0176 12345678", "12345", "++4917612345678", ""] {
        assert!(Number::parse_sender(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_sender_that_is_a_number_loses_its_separators_and_a_name_stays() {
    for (text, expected) in [
        ("+1 (500) 555-0001", "+15005550001"),
        (
            "\u{202a}+1\u{a0}500\u{2011}555\u{2011}0001\u{202c}",
            "+15005550001",
        ),
        ("１５００５５５０００１", "15005550001"),
        ("tel:+1-500-555-0001", "+15005550001"),
        ("15005550001", "15005550001"),
        ("12345", "12345"),
        (" Acme ", "Acme"),
        ("\u{feff}Acme\u{200b}", "Acme"),
        ("24/7", "24/7"),
        ("MG0123456789", "MG0123456789"),
        ("whatsapp:+15005550001", "whatsapp:+15005550001"),
        ("Büro 7", "Büro 7"),
    ] {
        assert_eq!(normalise_sender(text), expected, "{text:?}");
    }
}

#[test]
fn a_number_belongs_to_its_country_and_to_those_that_share_it() {
    let is_in = |text: &str, country| Number::parse(text, None).unwrap().is_in(country);
    assert!(is_in("+49 176 12345678", "DE"));
    assert!(!is_in("+49 176 12345678", "US"));
    assert!(is_in("+1 876 210 1234", "JM") && !is_in("+1 876 210 1234", "US"));
    assert!(is_in("+7 701 234 5678", "KZ") && !is_in("+7 701 234 5678", "RU"));
    // Guadeloupe shares its numbers with Saint Martin.
    assert!(is_in("+590 690 00 12 34", "GP") && is_in("+590 690 00 12 34", "MF"));
    assert!(!is_in("+49 176 12345678", "XX") && !is_in("+49 176 12345678", ""));
}

#[test]
fn what_is_not_a_number_is_refused_and_the_error_says_how_to_write_one() {
    assert_eq!(normalise("415 555 2671", None), Err(BadNumber::NoCountry));
    assert_eq!(
        normalise("alice", Some("US")),
        Err(BadNumber::Character('a'))
    );
    assert_eq!(normalise("", None), Err(BadNumber::Unreadable));
    assert_eq!(
        normalise("+1 800 FLOWERS", None),
        Err(BadNumber::Character('F'))
    );
    assert_eq!(
        normalise("+14155552671 ext. 5", None),
        Err(BadNumber::Character('e'))
    );
    assert_eq!(normalise("+1415555", None), Err(BadNumber::Invalid));
    assert!(normalise("+999123456789", None).is_err());
    assert_eq!(
        normalise("+1 415 555 2671", Some("XX")).unwrap(),
        "+14155552671"
    );
    assert_eq!(
        normalise("415 555 2671", Some("XX")),
        Err(BadNumber::UnknownCountry("XX".to_owned()))
    );
    assert!(
        normalise("1", None)
            .unwrap_err()
            .to_string()
            .contains("+14155552671")
    );
    assert!(normalise("+", Some("US")).is_err());
    assert!(normalise("++++", None).is_err());
    assert!(normalise("+49 176 12345678, +49 176 12345679", None).is_err());
    assert!(normalise(&"1".repeat(41), Some("US")).is_err());
}

#[test]
fn a_number_that_costs_more_than_a_text_message_is_refused_by_its_kind() {
    for (text, kind) in [
        ("+1 900 234 5678", "premium-rate"),
        ("+49 900 1 234567", "premium-rate"),
        ("+44 909 879 0000", "premium-rate"),
        ("+33 892 70 1239", "premium-rate"),
        ("+979 123456789", "non-geographic"),
        ("+49 180 5 123456", "shared-cost"),
        ("+39 848 123 456", "shared-cost"),
        ("+1 800 234 5678", "toll-free"),
        ("+800 12345678", "non-geographic"),
        ("+808 12345678", "non-geographic"),
        ("+870 773 111 632", "non-geographic"),
        ("+878 10 1234567890", "non-geographic"),
        ("+881 6 3145 1234", "non-geographic"),
        ("+882 16 50000000", "non-geographic"),
        ("+883 510 012 345 678", "non-geographic"),
        ("+44 70 1234 5678", "personal"),
        ("+1 500 234 5678", "personal"),
        ("+44 76 4012 3456", "pager"),
        ("+44 55 1234 5678", "universal-access"),
        ("+49 177 99 1234567", "voicemail"),
    ] {
        let refused = normalise(text, Some("DE")).unwrap_err();
        assert!(
            matches!(refused, BadNumber::Costly(_)),
            "{text}: {refused:?}"
        );
        assert!(refused.to_string().contains(kind), "{text}: {refused}");
    }
}

#[test]
fn mobile_numbers_of_every_country_are_accepted_and_premium_rate_numbers_are_not() {
    let regions = PHONE_NUMBER_UTIL.get_supported_regions();
    assert!(regions.len() > 200);
    for region in regions {
        let is_accepted = |kind| {
            let example = PHONE_NUMBER_UTIL
                .get_example_number_for_type_and_region(region, kind)
                .ok()?;
            Some(normalise(&example.format_as(PhoneNumberFormat::E164), None).is_ok())
        };
        // Tristan da Cunha has none.
        assert_eq!(
            is_accepted(PhoneNumberType::Mobile).unwrap_or_default(),
            region != Region::TA,
            "{region}"
        );
        for kind in [
            PhoneNumberType::PremiumRate,
            PhoneNumberType::SharedCost,
            PhoneNumberType::PersonalNumber,
            PhoneNumberType::UAN,
        ] {
            assert_ne!(is_accepted(kind), Some(true), "{region} {kind:?}");
        }
    }
}

#[test]
fn fixed_line_and_voip_numbers_are_accepted() {
    for text in [
        "+49 30 901820",
        "+39 02 3661 8300",
        "+39 06 698 12345",
        "+44 20 7946 0958",
        "+44 56 1234 5678",
        "+81 50 1234 5678",
        "+1 876 210 1234",
    ] {
        assert!(
            normalise(text, None).is_ok(),
            "{text}: {:?}",
            normalise(text, None)
        );
    }
}
