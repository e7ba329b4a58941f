//! A library that makes other modules as durable as ours: it follows each rename(2) with a sync of the folder.

use twofa_e2e::Machine;

use crate::stacks::SYNC_RENAMES;

const SOURCE: &str = include_str!("sync_renames.c");

/// Builds the library in `machine`.
pub fn build(machine: &Machine) {
    let compile = format!("cc -shared -fPIC -O2 -o {SYNC_RENAMES} -x c -");
    machine.run_with_input(&compile, SOURCE).ok();
}
