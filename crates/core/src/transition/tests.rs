use super::*;
use crate::class::Class;
use crate::user::{User, Verify};

const MAIL: Methods = Methods::NONE.with(Method::Email);
const ALL: Methods = Methods::ALL;

/// A rulebook with these settings of the machine, and a class for each group.
fn book(machine: &[(&str, &str)], classes: &[(&str, &[(&str, &str)])]) -> Rulebook {
    let class = |(group, settings): &(&str, &[(&str, &str)])| Class {
        name: (*group).to_owned(),
        group: Group::called(*group),
        settings: settings
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect(),
    };
    let machine = [("mode", "optional")].iter().chain(machine).copied();
    // The last of two settings holds.
    let machine = machine.collect::<std::collections::BTreeMap<_, _>>();
    Rulebook::new(
        Policy::from_settings(machine).unwrap(),
        classes.iter().map(class).collect(),
    )
    .unwrap()
}

fn user(enrolled: Methods) -> Summary {
    Summary {
        enrolled,
        ..User::default().summary()
    }
}

fn is_in(groups: &[&str], unknown: &[&str]) -> impl Fn(&Group) -> Membership {
    move |group| match group.name.as_str() {
        name if unknown.contains(&name) => Membership::Unknown,
        name if groups.contains(&name) => Membership::Member,
        _ => Membership::NotMember,
    }
}

fn lost(
    before: &Rulebook,
    after: &Rulebook,
    user: &Summary,
    groups: &[&str],
) -> Option<Consequence> {
    let [before, after] = [before, after].map(|rulebook| Side {
        rulebook,
        carried: ALL,
    });
    let loss = Transition::new(before, after).loss(user, is_in(groups, &[]))?;
    assert!(loss.is_certain, "every membership is");
    Some(loss.consequence)
}

#[test]
fn users_whose_only_method_is_no_longer_allowed_lose_it() {
    let before = book(&[], &[]);
    let after = book(&[("methods", "app,backup")], &[]);
    let app_too = MAIL.with(Method::App);
    assert_eq!(
        lost(&before, &after, &user(MAIL), &[]),
        Some(Consequence::Replace)
    );
    assert_eq!(lost(&before, &after, &user(app_too), &[]), None);
    assert_eq!(lost(&before, &after, &user(Methods::NONE), &[]), None);
    assert_eq!(
        lost(&after, &after, &user(MAIL), &[]),
        None,
        "it was gone before"
    );
    assert_eq!(lost(&after, &before, &user(MAIL), &[]), None);
}

#[test]
fn where_users_enrol_before_the_login_they_are_refused() {
    let [before, milder, after] = [
        &[][..],
        &[("methods", "app")],
        &[("methods", "app"), ("enrolment", "beforehand")],
    ]
    .map(|settings| book(settings, &[]));
    assert_eq!(
        lost(&before, &after, &user(MAIL), &[]),
        Some(Consequence::Refused)
    );
    assert_eq!(
        lost(&milder, &after, &user(MAIL), &[]),
        Some(Consequence::Refused),
        "that is worse"
    );
    assert_eq!(lost(&after, &milder, &user(MAIL), &[]), None);
}

#[test]
fn users_who_are_not_asked_lose_nothing_until_they_are() {
    let [all, app] = ["app,email", "app"].map(|methods| book(&[("methods", methods)], &[]));
    let off = book(&[("methods", "app"), ("mode", "disabled")], &[]);
    assert_eq!(lost(&all, &off, &user(MAIL), &[]), None);
    assert_eq!(
        lost(&off, &app, &user(MAIL), &[]),
        Some(Consequence::Replace)
    );
    let unwilling = Summary {
        verify: Verify::Never,
        ..user(MAIL)
    };
    assert_eq!(lost(&all, &app, &unwilling, &[]), None);
    let required = Summary {
        required: true,
        ..unwilling
    };
    assert_eq!(lost(&all, &app, &required, &[]), Some(Consequence::Replace));
}

#[test]
fn a_lock_that_ends_hides_nobody() {
    let throttle = Throttle {
        attempts: 100,
        ..Throttle::default()
    };
    let locked = Summary {
        throttle,
        ..user(MAIL)
    };
    assert_eq!(
        lost(
            &book(&[], &[]),
            &book(&[("methods", "app")], &[]),
            &locked,
            &[]
        ),
        Some(Consequence::Replace)
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn a_class_that_comes_changes_moves_or_goes_takes_methods_from_its_members_alone() {
    const APP: &[(&str, &str)] = &[("methods", "app")];
    const EMAIL: &[(&str, &str)] = &[("methods", "email")];
    let plain = book(&[], &[]);
    let ops = book(&[], &[("ops", APP)]);
    let apps_for_all = book(APP, &[]);
    let mail_for_ops = book(APP, &[("ops", EMAIL)]);
    let (ops_first, web_first) = (
        book(&[], &[("ops", EMAIL), ("web", APP)]),
        book(&[], &[("web", APP), ("ops", EMAIL)]),
    );
    let replace = Some(Consequence::Replace);
    for (what, before, after, groups, loss) in [
        ("a new class", &plain, &ops, &["ops"][..], replace),
        ("a new class", &plain, &ops, &["web"], None),
        (
            "a class that goes",
            &mail_for_ops,
            &apps_for_all,
            &["ops"],
            replace,
        ),
        (
            "a class that goes",
            &mail_for_ops,
            &apps_for_all,
            &["web"],
            None,
        ),
        (
            "a class for the exception",
            &plain,
            &mail_for_ops,
            &["ops"],
            None,
        ),
        (
            "a class for the exception",
            &plain,
            &mail_for_ops,
            &[],
            replace,
        ),
        (
            "another order",
            &ops_first,
            &web_first,
            &["ops", "web"],
            replace,
        ),
        ("another order", &ops_first, &web_first, &["ops"], None),
        (
            "another order",
            &web_first,
            &ops_first,
            &["ops", "web"],
            None,
        ),
    ] {
        assert_eq!(
            lost(before, after, &user(MAIL), groups),
            loss,
            "{what} {groups:?}"
        );
    }
}

#[test]
fn a_user_who_could_be_in_a_group_is_counted_as_uncertain() {
    let [before, after] = [book(&[], &[]), book(&[], &[("ops", &[("methods", "app")])])];
    let sides = [&before, &after].map(|rulebook| Side {
        rulebook,
        carried: ALL,
    });
    let change = Transition::new(sides[0], sides[1]);
    let loss = Some(Loss {
        consequence: Consequence::Replace,
        is_certain: false,
    });
    assert_eq!(change.loss(&user(MAIL), is_in(&[], &["ops"])), loss);
    assert!(change.could_concern(&user(MAIL)));
    assert!(!change.could_concern(&user(MAIL.with(Method::App))));
}

#[test]
fn another_change_concerns_nobody_even_where_memberships_are_unknown() {
    let ops: &[(&str, &[(&str, &str)])] = &[("ops", &[("methods", "app")]), ("web", &[])];
    let [before, after] = [book(&[], ops), book(&[("lockout.after", "5")], ops)];
    let sides = [&before, &after].map(|rulebook| Side {
        rulebook,
        carried: ALL,
    });
    assert!(!Transition::new(sides[0], sides[1]).could_concern(&user(MAIL)));
}

#[test]
fn a_method_without_a_provider_does_not_work() {
    let no_mail = ALL.without(Method::Email);
    let [both, mail, app] =
        ["app,email", "email", "app"].map(|methods| book(&[("methods", methods)], &[]));
    let lost = |(before, carried), (after, carried_after), enrolled| {
        let before = Side {
            rulebook: before,
            carried,
        };
        let after = Side {
            rulebook: after,
            carried: carried_after,
        };
        let loss = Transition::new(before, after).loss(&user(enrolled), |_| Membership::Unknown)?;
        Some(loss.consequence)
    };
    let app_too = MAIL.with(Method::App);
    assert_eq!(
        lost((&both, ALL), (&both, no_mail), MAIL),
        Some(Consequence::Undeliverable)
    );
    assert_eq!(lost((&both, ALL), (&both, no_mail), app_too), None);
    assert_eq!(
        lost((&both, no_mail), (&mail, no_mail), app_too),
        Some(Consequence::Undeliverable)
    );
    // Nothing worked before.
    assert_eq!(lost((&both, no_mail), (&app, no_mail), MAIL), None);
    // Nothing to prove themselves with any longer.
    assert_eq!(
        lost((&app, ALL), (&app, no_mail), MAIL),
        Some(Consequence::Refused)
    );
}

#[test]
fn sms_that_falls_back_to_email_works_without_a_provider_of_its_own() {
    let no_sms = ALL.without(Method::Sms);
    let sms_and_mail = MAIL.with(Method::Sms);
    for (fall_back, loss) in [("on", None), ("off", Some(Consequence::Undeliverable))] {
        let rulebook = book(
            &[("methods", "sms"), ("fallback.sms-to-email", fall_back)],
            &[],
        );
        let [before, after] = [ALL, no_sms].map(|carried| Side {
            rulebook: &rulebook,
            carried,
        });
        let found =
            Transition::new(before, after).loss(&user(sms_and_mail), |_| Membership::Unknown);
        assert_eq!(found.map(|loss| loss.consequence), loss, "{fall_back}");
    }
}
