use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use twofa_core::policy::PolicyKey;

use super::*;

fn rulebook() -> Rulebook {
    let policy =
        Policy::from_settings([("mode", "optional"), ("application-name", "Büro \"7\"")]).unwrap();
    let class = Class {
        name: "admins".into(),
        group: Group::called("sudo"),
        settings: vec![
            ("mode".into(), "mandatory".into()),
            ("trust.remote".into(), "1d".into()),
        ],
    };
    Rulebook::new(policy, vec![class]).unwrap()
}

#[test]
fn a_policy_is_written_as_a_person_would_write_it() {
    let text = write(&rulebook());
    for part in [
        "\nmode = \"optional\"\n",
        "\napplication-name = 'Büro \"7\"'\n",
        "\nmethods = [\"app\", \"email\", \"sms\", \"backup\"]\n",
        "\n[lockout]\nafter = 10\nfor = \"15m\"\n",
        "\n[addresses]\nunique = false\n",
        "\n[[class]]\nname = \"admins\"\ngroup = \"sudo\"\nmode = \"mandatory\"\ntrust.remote = \"1d\"\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_document_of_an_earlier_version_is_read() {
    let old = "[policy]\n\"addresses.unique\" = \"off\"\napplication-name = 'Büro \"7\"'\n\
               \"lockout.after\" = \"10\"\nmethods = \"app,email,sms,backup\"\nmode = \"optional\"\n\n\
               [[class]]\nname = \"admins\"\ngroup = \"sudo\"\nmode = \"mandatory\"\n\"trust.remote\" = \"1d\"\n";
    assert_eq!(read(old).unwrap(), rulebook());
}

#[test]
fn a_setting_can_be_written_in_several_ways() {
    for text in [
        "mode = \"optional\"\nlockout.after = 5",
        "mode = \"optional\"\n[lockout]\nafter = 5",
        "mode = \"optional\"\n\"lockout.after\" = 0x5",
        "[policy]\nmode = \"optional\"\nlockout.after = \"5\"",
        "[policy]\nmode = \"optional\"\n[policy.lockout]\nafter = 5",
        "lockout = { after = 5 }\r\nmode = 'optional'\r\n",
    ] {
        assert_eq!(read(text).unwrap().machine().lockout.after, 5, "{text}");
    }
}

/// Documents with a mistake outside the classes, and part of the error.
const BAD_SETTINGS: &[(&str, &str)] = &[
    ("", "it does not set mode"),
    ("[policy]", "it does not set mode"),
    ("swordfish:swordfish", "line 1: this is not TOML: "),
    ("mode = swordfish", "line 1: this is not TOML: "),
    (
        "mode = \"optional\"\nmode = \"optional\"",
        "line 2: this is not TOML: duplicate",
    ),
    (
        "mode = \"optional\"\n\nmethods = \"swordfish\"",
        "line 3: methods: it must be one or more of app,email,sms,backup",
    ),
    (
        "[policy]\nmode = \"swordfish\"",
        "line 2: mode: it must be disabled, report, optional or mandatory",
    ),
    ("mode = 3", "line 1: mode: it must be disabled"),
    ("mode = 1.5", "line 1: mode: it must be disabled"),
    (
        "mode = \"optional\"\nswordfish = 1",
        "line 2: there is no setting of this name",
    ),
    (
        "mode = \"optional\"\n[lockout]\nswordfish = 1",
        "line 3: there is no setting of this name",
    ),
    (
        "mode = \"optional\"\n[[swordfish]]\na = 1",
        "line 2: there is no setting of this name",
    ),
    (
        "mode = \"optional\"\n[policy]\nmode = \"optional\"",
        ": mode is set twice",
    ),
];

/// Documents with a mistake in a class, and part of the error.
const BAD_CLASSES: &[(&str, &str)] = &[
    (
        "mode = \"optional\"\n[[class]]\nname = \"a\"",
        "line 2: a class needs group = \"…\"",
    ),
    (
        "mode = \"optional\"\nclass = 1",
        "line 2: classes begin with [[class]]",
    ),
    (
        "mode = \"optional\"\n[[class]]\nname = \"sword fish\"\ngroup = \"a\"",
        "line 2: the name of a class has 1 to 32",
    ),
    (
        "mode = \"optional\"\n[[class]]\nname = \"a\"\ngroup = \" \"",
        "line 2: the class needs a Unix group",
    ),
    (
        "mode = \"optional\"\n[[class]]\nname = \"a\"\ngroup = \"a\"\n[[class]]\nname = \"a\"\ngroup = \"b\"",
        "line 5: an earlier class has this name",
    ),
    (
        "mode = \"optional\"\n[[class]]\nname = \"a\"\ngroup = \"a\"\nswordfish = \"3\"",
        "line 5: there is no setting of this name",
    ),
    (
        "mode = \"optional\"\n[[class]]\nname = \"a\"\ngroup = \"a\"\nlockout.after = 5",
        "line 5: 'lockout.after' applies to the whole machine",
    ),
];

#[test]
fn an_invalid_document_is_refused_with_the_line_and_the_setting_and_quotes_nothing() {
    for (text, why) in BAD_SETTINGS.iter().chain(BAD_CLASSES) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text:?}: {error}");
        assert!(
            !error.contains("swordfish") && !error.contains("sword fish"),
            "{error}"
        );
    }
}

/// Valid values of `key`.
fn values(key: &PolicyKey) -> BoxedStrategy<String> {
    let texts = |texts: &[&str]| {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        select(texts).boxed()
    };
    let list = |all: &'static [&str], empty: &'static str| {
        let some = subsequence(all.to_vec(), 0..=all.len());
        some.prop_map(move |some| {
            if some.is_empty() {
                empty.to_owned()
            } else {
                some.join(",")
            }
        })
        .boxed()
    };
    match key.name {
        "mode" => texts(&["disabled", "optional", "mandatory"]),
        "application-name" => "[^:\\p{C}\\p{M}]{0,40}"
            .prop_filter("invisible", |name| {
                !name.chars().any(twofa_core::text::is_unprintable)
            })
            .boxed(),
        "methods" => list(&["email", "sms", "backup"], "app"),
        "enrolment" => texts(&["at-login", "beforehand"]),
        "lockout.after" => (3..=100_u32).prop_map(|n| n.to_string()).boxed(),
        "lockout.for" | "code.lifetime" => texts(&["1m", "15m", "1h"]),
        "resend.cooldown" => texts(&["30s", "1m"]),
        "code.digits" => (6..=9_u32).prop_map(|n| n.to_string()).boxed(),
        "code.domain" => texts(&["", "example.org"]),
        "fallback.sms-to-email" => texts(&["", "on", "off"]),
        "phone.country" => texts(&["", "DE"]),
        "phone.countries" => list(&["DE", "AT", "CH"], ""),
        "notices" => list(&["email", "sms"], "none"),
        "trust.offer" => texts(&["ask", "always"]),
        "trust.identity" => texts(&["key", "key-or-address"]),
        "trust.scope" => texts(&["host", "fleet"]),
        "trust.ipv6-prefix" => (56..=128_u32).prop_map(|n| n.to_string()).boxed(),
        "session.lifetime" => texts(&["0", "8h", "90d"]),
        "log.keep" => texts(&["1d", "400d"]),
        "fleet.accounts" => texts(&["directory", "group:staff", "uid:5000-6000", "alice,bob"]),
        "fleet.changes" => texts(&["everywhere", "servers-only"]),
        "fleet.renewal-grace" => texts(&["0", "12h", "365d"]),
        "fleet.administrators" | "fleet.rescue-group" => texts(&["", "wheel"]),
        "fleet.rescue-lifetime" => texts(&["1h", "24h", "30d"]),
        "fleet.durability" => texts(&["local", "replicated"]),
        "fleet.identity" => texts(&["name", "name-and-uid"]),
        name if name.starts_with("trust.") => texts(&["0", "12h", "30d"]),
        _ if key.form == ValueForm::Switch => texts(&["on", "off"]),
        _ => (1..=1_000_000_u32).prop_map(|n| n.to_string()).boxed(),
    }
}

fn settings(per_class: bool) -> BoxedStrategy<Vec<(String, String)>> {
    let keys = KEYS.iter().filter(|key| key.per_class || !per_class);
    let keys = subsequence(keys.collect::<Vec<_>>(), 0..=8);
    keys.prop_flat_map(|keys| {
        let pairs = keys
            .into_iter()
            .map(|key| (Just(key.name.to_owned()), values(key)));
        pairs.collect::<Vec<_>>()
    })
    .prop_filter("a backup code cannot be the only method", |settings| {
        !settings.contains(&("methods".to_owned(), "backup".to_owned()))
    })
    .boxed()
}

proptest! {
    #[test]
    fn an_exported_policy_reads_back_unchanged(
        machine in settings(false),
        classes in prop::collection::vec(("[^\\p{C}]{1,20}", settings(true)), 0..4),
    ) {
        let pairs = machine.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let machine = Policy::from_settings(pairs).unwrap();
        let classes = classes.into_iter().enumerate().map(|(i, (group, mut settings))| {
            settings.sort();
            Class { name: format!("class-{i}"), group: Group::called(format!("g{group}")), settings }
        });
        let rulebook = Rulebook::new(machine, classes.collect()).unwrap();
        let text = write(&rulebook);
        prop_assert_eq!(read(&text), Ok(rulebook), "{}", text);
    }
}
