//! The `pfdata` command: parse, run, print the error once, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    pfdata::cli::main()
}
