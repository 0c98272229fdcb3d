//! Progress of a job on stderr: a bar on a terminal, plain lines elsewhere; signals that ask it to stop.

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Notes;
use crate::jobs::progress::Progress;

/// Seconds between two plain lines about steps.
const PLAIN_SECONDS: f64 = 30.0;

/// The progress of one job.
pub(super) struct Bars {
    notes: Notes,
    began: Instant,
    stop: Arc<AtomicBool>,
    bar: ProgressBar,
    phase: Phase,
}

/// The phase that runs.
struct Phase {
    name: String,
    began: f64,
    first: u64,
    told: f64,
}

impl Bars {
    /// Shows progress as `notes` and the terminal allow, and listens to SIGINT and SIGTERM: the first asks the job to
    /// stop, a second SIGINT ends the process at once.
    pub(super) fn new(notes: Notes) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&stop))
            .context("cannot listen to SIGINT")?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).context("cannot listen to signals")?;
        }
        let phase = Phase { name: String::new(), began: 0.0, first: 0, told: 0.0 };
        Ok(Self { notes, began: Instant::now(), stop, bar: ProgressBar::hidden(), phase })
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// One more step is done, which the job has told in a line of its own.
    pub(super) fn advance(&self) {
        self.bar.inc(1);
    }

    fn draws(&self) -> bool {
        self.notes == Notes::Shown && stderr().is_terminal()
    }

    /// A line now and then where there is no terminal to draw on.
    fn tell(&mut self) {
        let now = self.seconds();
        if self.draws() || now - self.phase.told < PLAIN_SECONDS {
            return;
        }
        self.phase.told = now;
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let fresh = done.saturating_sub(self.phase.first);
        if fresh > 0 {
            #[expect(clippy::cast_precision_loss, reason = "numbers of steps are far below 2^52")]
            let left = (now - self.phase.began) / fresh as f64 * all.saturating_sub(done) as f64;
            self.notes.line(&format!("{}: step {done} of {all}, about {left:.0} s left", self.phase.name));
        }
    }
}

impl Progress for Bars {
    fn begin(&mut self, phase: &str, steps: u64, done: u64) {
        self.bar.finish_and_clear();
        let target = if self.draws() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style).with_prefix(phase.to_owned());
        self.bar.set_position(done);
        self.bar.reset_eta();
        let now = self.seconds();
        self.phase = Phase { name: phase.to_owned(), began: now, first: done, told: now };
    }

    fn step(&mut self) {
        self.bar.inc(1);
        self.tell();
    }

    fn say(&mut self, line: &str) {
        if self.draws() {
            self.bar.println(line);
        } else {
            self.notes.line(line);
        }
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}
