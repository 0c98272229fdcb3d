//! Job files: their extremes are costed and their first architecture is derived.
#![no_main]

use libfuzzer_sys::fuzz_target;
use systole::estimate::Target;
use systole::jobs::{Job, Overrides};

fuzz_target!(|text: &str| {
    let Ok(job) = Job::parse(text, systole_fuzz::ORIGIN, &Overrides::default()) else { return };
    let target = Target { accelerator: &job.accelerator, timing: job.timing, batch: 1 };
    drop(job.space.extent(&target));
    systole_fuzz::derive(&job, &job.space.first());
    let again = Job::parse(&job.to_yaml(), systole_fuzz::ORIGIN, &Overrides::default());
    assert!(again.is_ok(), "what is written reads: {:?}", again.err());
});
