//! `twofad`, the broker.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    twofa_broker::daemon::main()
}
