//! Asks for premiums and sends payouts: see `workers::payout`.
//! Holds nothing but its name; `workers::role` is the life of the process.

use std::process::ExitCode;

use workers::role::{Process, run};

fn main() -> ExitCode {
    run(Process::Payout)
}
