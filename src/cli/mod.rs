//! The command line: one file for each verb. Only this room prints.

mod accel;
mod calibrate;
mod check;
mod estimate;
mod numbers;
mod pareto;
mod process;
mod progress;
pub mod search;
mod shell;
mod sweep;
mod table;
mod tabular;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code of a partial answer.
const PARTIAL: u8 = 1;
/// Exit code of an error of input or environment.
const FAILED: u8 = 2;

/// Hardware-aware neural architecture search for systolic-array accelerators.
#[derive(Debug, Parser)]
#[command(name = "systole", version, about, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    /// Say nothing on stderr but errors
    #[arg(long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  systole estimate network.yaml --accel small-32x32
  systole search search-spaces/demo.yaml
  systole pareto results/*-s0
  systole sweep search-spaces/demo.yaml --grid objective.lambda=0.02,0.08 --seeds 0,1
  systole calibrate rows.csv --accel my-array.yaml --out calibrated.yaml
  systole check search-spaces/*.yaml

Results go to stdout, progress to stderr. Exit code 0: done; 1: the answer is partial; 2: an error; 130: stopped.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Search an architecture for an accelerator, train it, and report what it costs
    Search(search::Args),
    /// Estimate what networks cost on accelerators, layer by layer
    Estimate(estimate::Args),
    /// Find the front of accuracy and latency of runs
    Pareto(pareto::Args),
    /// Run a grid of values times seeds over one job, each a search of its own
    Sweep(sweep::Args),
    /// Fit an accelerator's latency to measured times
    Calibrate(calibrate::Args),
    /// Check files, and say what they hold
    Check(check::Args),
    /// List the shipped accelerators, or print one
    Accel(accel::Args),
}

/// Exit code of a run that was told to stop, and left a folder that can be used.
const INTERRUPTED: u8 = 130;

/// Environment variable by which a debug build dies in the middle of a write, for tests.
#[cfg(debug_assertions)]
const DIE_AT: &str = "SYSTOLE_DIE_AT";

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All is done.
    Done,
    /// Something is left out, or a constraint is unmet.
    Partial,
    /// What was asked about is wrong; the errors are written already.
    Failed,
    /// It was told to stop, and what it has is written.
    Interrupted,
}

/// What may be written to stderr besides errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    /// Warnings and progress.
    Shown,
    /// Nothing.
    Quiet,
}

impl Notes {
    /// Writes a line to stderr, if that is wanted.
    pub fn line(self, text: &str) {
        match self {
            Self::Shown => error_line(text),
            Self::Quiet => {}
        }
    }
}

/// Runs the command on the arguments of this process; the exit code is as `--help` says.
#[must_use]
pub fn main() -> ExitCode {
    #[cfg(debug_assertions)]
    if let Some(Err(reason)) = std::env::var(DIE_AT).ok().map(|at| crate::record::fault::arm(&at)) {
        error_line(&format!("error: {DIE_AT}: {reason}"));
        return ExitCode::from(FAILED);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are such errors, too; where nothing can be written there is no one to tell.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(FAILED));
        }
    };
    match run(cli) {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Partial) => ExitCode::from(PARTIAL),
        Ok(End::Failed) => ExitCode::from(FAILED),
        Ok(End::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            error_line(&format!("error: {}", message(&error)));
            ExitCode::from(FAILED)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<End> {
    let notes = if cli.quiet { Notes::Quiet } else { Notes::Shown };
    match cli.verb {
        Verb::Search(args) => {
            process::end_with_the_sweep()?;
            search::run(args, notes)
        }
        Verb::Estimate(args) => estimate::run(args, notes),
        Verb::Pareto(args) => pareto::run(args, notes),
        Verb::Sweep(args) => sweep::run(&args, notes),
        Verb::Calibrate(args) => calibrate::run(args, notes),
        Verb::Check(args) => check::run(args),
        Verb::Accel(args) => accel::run(args, notes),
    }
}

/// Writes `text` to stdout, all of it.
fn output(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a line to stderr; where that fails there is no one to tell.
fn error_line(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Whoever read our output has had enough of it.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The message with its causes, those left out that it says already.
fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_of_every_verb_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn causes_are_told_once() {
        let error = Err::<(), _>(anyhow::anyhow!("b: c")).context("a").unwrap_err();
        assert_eq!(message(&error), "a: b: c");
        let error = Err::<(), _>(anyhow::anyhow!("c")).context("b: c").unwrap_err();
        assert_eq!(message(&error), "b: c");
    }
}
