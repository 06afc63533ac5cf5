//! Fetches weather stations and their days: see `workers::weather`.
//! Holds nothing but its name; `workers::role` is the life of the process.

use std::process::ExitCode;

use workers::role::{Process, run};

fn main() -> ExitCode {
    run(Process::Weather)
}
