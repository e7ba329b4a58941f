//! Verifying a code against all apps of a person: which one accepts it, or why none does.

use crate::app::Verification;
use crate::time::Timestamp;
use crate::user::EnrolledApp;

/// A hardware token that is far ahead, whose next code will resynchronise it (RFC 4226 §7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingResync {
    /// The [`EnrolledApp::id`] of the token.
    pub app: i64,
    /// The counter of its last code.
    pub count: u64,
}

/// The result of [`check_app_code`].
#[derive(Debug)]
pub enum AppCodeOutcome<'a> {
    /// It is right. `count` must be stored as used before anyone is let in.
    Accepted {
        /// The app that accepts it.
        app: &'a EnrolledApp,
        /// The time step or counter it belongs to.
        count: u64,
    },
    /// No app accepts it.
    Refused {
        /// The most helpful of the reasons. Never [`Verification::Accepted`].
        why: Verification,
        /// The token whose next code will resynchronise it.
        pending: Option<PendingResync>,
    },
}

/// Verifies `code` at `now` against `apps`. `pending` comes from an earlier code of the same conversation.
pub fn check_app_code<'a>(
    apps: &'a [EnrolledApp],
    code: &str,
    mut pending: Option<PendingResync>,
    now: Timestamp,
) -> AppCodeOutcome<'a> {
    let mut why = Verification::Wrong;
    for enrolled in apps {
        let resumed = pending.filter(|pending| pending.app == enrolled.id);
        let verification = match resumed.map(|pending| enrolled.app.resync(pending.count, code)) {
            Some(accepted @ Verification::Accepted { .. }) => accepted,
            _ => match enrolled.app.verify(code, now) {
                Verification::Accepted { count } if enrolled.must_resync => {
                    Verification::Ahead { count }
                }
                verification => verification,
            },
        };
        match verification {
            Verification::Accepted { count } => {
                return AppCodeOutcome::Accepted {
                    app: enrolled,
                    count,
                };
            }
            Verification::Ahead { count } => {
                pending = Some(PendingResync {
                    app: enrolled.id,
                    count,
                });
                why = verification;
            }
            Verification::Wrong => {}
            Verification::Replayed | Verification::ClockWentBack | Verification::Drifted { .. } => {
                why = verification;
            }
        }
    }
    AppCodeOutcome::Refused { why, pending }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Algorithm, App, OtpKind, Parameters};
    use crate::key::Key;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    /// Apps with these ids, all with the key of RFC 4226 appendix D: tokens that count, of which none was used.
    fn tokens(ids: &[i64]) -> Vec<EnrolledApp> {
        let parameters = Parameters::new(OtpKind::Counter, Algorithm::Sha1, 6).unwrap();
        let token = |id: &i64| EnrolledApp {
            id: *id,
            label: format!("token {id}"),
            enrolled_at: NOW,
            must_resync: false,
            app: App {
                parameters,
                key: Key::new(b"12345678901234567890".to_vec()).unwrap(),
                used: None,
            },
        };
        ids.iter().map(token).collect()
    }

    /// The first ten codes of RFC 4226 appendix D.
    const CODES: [&str; 10] = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];

    fn accepted(outcome: &AppCodeOutcome<'_>) -> Option<(i64, u64)> {
        match outcome {
            AppCodeOutcome::Accepted { app, count } => Some((app.id, *count)),
            AppCodeOutcome::Refused { .. } => None,
        }
    }

    #[test]
    fn the_first_app_that_accepts_a_code_is_the_one() {
        let mut apps = tokens(&[3, 5]);
        let check = |apps: &[EnrolledApp]| accepted(&check_app_code(apps, CODES[2], None, NOW));
        assert_eq!(check(&apps), Some((3, 2)));
        apps[0].app.used = Some(2);
        assert_eq!(check(&apps), Some((5, 2)), "the other has not used it");
        apps[1].app.used = Some(2);
        assert_eq!(check(&apps), None);
    }

    #[test]
    fn a_code_that_was_used_is_called_so_whatever_the_other_apps_say() {
        let mut apps = tokens(&[3, 5]);
        apps[0].app.used = Some(4);
        apps[1].app.key = Key::new(vec![1; 20]).unwrap();
        let AppCodeOutcome::Refused { why, pending } = check_app_code(&apps, CODES[4], None, NOW)
        else {
            panic!("it was used")
        };
        assert_eq!((why, pending), (Verification::Replayed, None));
    }

    #[test]
    fn without_an_app_every_code_is_wrong() {
        let outcome = check_app_code(&[], CODES[0], None, NOW);
        assert!(matches!(
            outcome,
            AppCodeOutcome::Refused {
                why: Verification::Wrong,
                pending: None
            }
        ));
    }

    #[test]
    fn a_token_that_must_be_resynchronised_is_accepted_with_two_codes_in_a_row() {
        let mut tokens = tokens(&[1]);
        tokens[0].must_resync = true;
        let check = |code: &str, pending| check_app_code(&tokens, code, pending, NOW);
        let pending = |outcome: &AppCodeOutcome<'_>| match outcome {
            AppCodeOutcome::Refused {
                why: Verification::Ahead { .. },
                pending,
            } => *pending,
            other => panic!("{other:?}"),
        };
        let first = pending(&check(CODES[3], None));
        // Not the same again, nor one that does not follow.
        for other in [CODES[3], CODES[5]] {
            let outcome = check(other, first);
            assert_eq!(accepted(&outcome), None, "{outcome:?}");
        }
        assert_eq!(accepted(&check(CODES[4], first)), Some((1, 4)));
    }

    #[test]
    fn a_token_that_ran_ahead_is_waited_for_through_a_wrong_code() {
        let mut apps = tokens(&[3]);
        let pending = Some(PendingResync { app: 3, count: 8 });
        let AppCodeOutcome::Refused { pending, .. } = check_app_code(&apps, "000000", pending, NOW)
        else {
            panic!("it is wrong")
        };
        let next =
            |apps: &[EnrolledApp], pending| accepted(&check_app_code(apps, CODES[9], pending, NOW));
        assert_eq!(next(&apps, pending), Some((3, 9)));
        // Somebody else used it meanwhile.
        apps[0].app.used = Some(9);
        assert_eq!(next(&apps, pending), None);
    }
}
