use super::*;
use proptest::prelude::*;

const SEED: &[u8] = b"1234567890123456789012345678901234567890123456789012345678901234";

fn app(kind: OtpKind, algorithm: Algorithm, digits: u8) -> App {
    let length = match algorithm {
        Algorithm::Sha1 => 20,
        Algorithm::Sha256 => 32,
        Algorithm::Sha512 => 64,
    };
    App {
        parameters: Parameters::new(kind, algorithm, digits).unwrap(),
        key: Key::new(SEED[..length].to_vec()).unwrap(),
        used: None,
    }
}

fn code_of(app: &App, count: u64) -> String {
    app.totp(1, 0).generate(count).to_string()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(i64::try_from(seconds).unwrap())
}

#[test]
fn the_codes_of_rfc_4226_appendix_d_are_accepted() {
    let codes = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    let mut token = app(OtpKind::Counter, Algorithm::Sha1, 6);
    for (count, code) in (0..).zip(codes) {
        assert_eq!(token.verify(code, at(0)), Verification::Accepted { count });
        token.used = Some(count);
    }
}

#[test]
fn the_codes_of_rfc_6238_appendix_b_are_accepted() {
    let times = [
        59,
        1_111_111_109,
        1_111_111_111,
        1_234_567_890,
        2_000_000_000,
        20_000_000_000,
    ];
    let rows = [
        (
            Algorithm::Sha1,
            [
                "94287082", "07081804", "14050471", "89005924", "69279037", "65353130",
            ],
        ),
        (
            Algorithm::Sha256,
            [
                "46119246", "68084774", "67062674", "91819424", "90698825", "77737706",
            ],
        ),
        (
            Algorithm::Sha512,
            [
                "90693936", "25091201", "99943326", "93441116", "38618901", "47863826",
            ],
        ),
    ];
    for (algorithm, codes) in rows {
        let app = app(OtpKind::Time { period: 30 }, algorithm, 8);
        for (time, code) in times.into_iter().zip(codes) {
            assert_eq!(
                app.verify(code, at(time)),
                Verification::Accepted { count: time / 30 },
                "{algorithm:?} {time}"
            );
        }
    }
}

#[test]
fn parameters_that_no_app_uses_are_refused() {
    let time = |period| OtpKind::Time { period };
    assert_eq!(
        Parameters::new(time(30), Algorithm::Sha1, 7),
        Err(BadParameters::Digits(7))
    );
    assert_eq!(
        Parameters::new(time(0), Algorithm::Sha1, 6),
        Err(BadParameters::Period(0))
    );
}

#[test]
fn a_phone_five_minutes_behind_is_named_as_such_and_refused() {
    let app = app(OtpKind::Time { period: 30 }, Algorithm::Sha1, 6);
    assert_eq!(
        app.verify(&code_of(&app, 990), at(30_000)),
        Verification::Drifted { seconds: -300 }
    );
}

#[test]
fn a_clock_that_went_back_is_named_and_accepts_nothing() {
    let mut app = app(OtpKind::Time { period: 30 }, Algorithm::Sha1, 6);
    app.used = Some(1_002);
    assert_eq!(
        app.verify(&code_of(&app, 1_000), at(30_000)),
        Verification::ClockWentBack
    );
    assert_eq!(
        app.verify(&code_of(&app, 1_001), at(30_030)),
        Verification::Replayed
    );
}

#[test]
fn a_token_pressed_ten_times_is_found_and_one_pressed_more_often_needs_two_codes() {
    let mut token = app(OtpKind::Counter, Algorithm::Sha1, 6);
    token.used = Some(4);
    assert_eq!(
        token.verify(&code_of(&token, 14), at(0)),
        Verification::Accepted { count: 14 }
    );
    assert_eq!(
        token.verify(&code_of(&token, 15), at(0)),
        Verification::Ahead { count: 15 }
    );
    assert_eq!(
        token.resync(15, &code_of(&token, 16)),
        Verification::Accepted { count: 16 }
    );
    assert_eq!(token.resync(15, &code_of(&token, 17)), Verification::Wrong);
    assert_eq!(
        token.verify(&code_of(&token, 4), at(0)),
        Verification::Replayed
    );
    assert_eq!(
        token.verify(&code_of(&token, 105), at(0)),
        Verification::Wrong
    );
}

fn any_totp() -> impl Strategy<Value = App> {
    let algorithm = prop_oneof![
        Just(Algorithm::Sha1),
        Just(Algorithm::Sha256),
        Just(Algorithm::Sha512)
    ];
    (
        algorithm,
        prop_oneof![Just(6_u8), Just(8)],
        prop_oneof![Just(30_u32), Just(60)],
    )
        .prop_map(|(algorithm, digits, period)| app(OtpKind::Time { period }, algorithm, digits))
}

fn period_of(app: &App) -> u64 {
    match app.parameters.kind() {
        OtpKind::Time { period } => period.into(),
        OtpKind::Counter => unreachable!(),
    }
}

proptest! {
    #[test]
    fn a_code_is_accepted_one_step_to_either_side_and_no_further(app in any_totp(), now in 10_000_u64..4_000_000_000, off in -5_i64..=5) {
        let step = now / period_of(&app);
        let count = step.checked_add_signed(off).unwrap();
        let accepted = matches!(app.verify(&code_of(&app, count), at(now)), Verification::Accepted { .. });
        // A code of another step may be the same digits by chance; then it is right.
        let in_window = (step - 1..=step + 1).any(|s| code_of(&app, s) == code_of(&app, count));
        prop_assert_eq!(accepted, in_window);
        prop_assert!(in_window || off.abs() > 1);
    }

    #[test]
    fn no_code_is_accepted_twice_nor_any_older_one_after_it(app in any_totp(), now in 10_000_u64..4_000_000_000, later in 0_u64..120) {
        let mut app = app;
        let step = now / period_of(&app);
        let Verification::Accepted { count } = app.verify(&code_of(&app, step), at(now)) else {
            return Err(TestCaseError::fail("the code of now is right"));
        };
        app.used = Some(count);
        for old in step.saturating_sub(3)..=count {
            let again = app.verify(&code_of(&app, old), at(now + later));
            if let Verification::Accepted { count: newer } = again {
                prop_assert!(newer > count, "step {old} was accepted again as {newer}");
            }
        }
    }

    #[test]
    fn a_counter_never_goes_back(used in 0_u64..1_000_000, count in 0_u64..1_000_200) {
        let mut token = app(OtpKind::Counter, Algorithm::Sha1, 6);
        token.used = Some(used);
        if let Verification::Accepted { count: accepted } = token.verify(&code_of(&token, count), at(0)) {
            prop_assert!(accepted > used && accepted <= used + LOOK_AHEAD);
        }
    }

    #[test]
    fn whatever_is_typed_nothing_breaks(app in any_totp(), typed in ".{0,20}", now: i64) {
        let _ = app.verify(&typed, Timestamp::from_unix(now));
    }
}
