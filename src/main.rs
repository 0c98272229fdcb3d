//! The command `systole`: hardware-aware neural architecture search for systolic-array accelerators.
//!
//! `systole --help` lists the verbs. Results go to stdout, progress and errors to stderr; the exit code is 0 where all
//! is done, 1 where the answer is partial, 2 for an error of input or environment.

use std::process::ExitCode;

fn main() -> ExitCode {
    systole::cli::main()
}
