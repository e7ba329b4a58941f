//! The steps of a set-up, in their order, one file for each.

mod login;
mod name;
mod pam;
mod providers;
mod services;
mod who;
mod yourself;

use super::step::Step;

pub(super) const STEPS: [Step; 7] = [
    name::STEP,
    providers::STEP,
    yourself::STEP,
    who::STEP,
    services::STEP,
    pam::STEP,
    login::STEP,
];
