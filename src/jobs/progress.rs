//! How a job tells what it does, and is told to stop.

/// Who watches a job. Only the command prints; a job knows this trait.
pub trait Progress {
    /// A phase of `steps` steps begins, of which `done` were done before.
    fn begin(&mut self, phase: &str, steps: u64, done: u64);

    /// One more step is done.
    fn step(&mut self);

    /// Something worth a line.
    fn say(&mut self, line: &str);

    /// Whether the job is to stop at the next step.
    fn interrupted(&self) -> bool;

    /// Seconds since some fixed moment.
    fn seconds(&self) -> f64;
}

/// Says nothing and never stops: for callers of the library.
#[derive(Debug)]
pub struct Quiet {
    began: std::time::Instant,
}

impl Default for Quiet {
    fn default() -> Self {
        Self { began: std::time::Instant::now() }
    }
}

impl Progress for Quiet {
    fn begin(&mut self, _phase: &str, _steps: u64, _done: u64) {}

    fn step(&mut self) {}

    fn say(&mut self, _line: &str) {}

    fn interrupted(&self) -> bool {
        false
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}
