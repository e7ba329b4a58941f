//! `twofa`, the command line.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    twofa_cli::main()
}
