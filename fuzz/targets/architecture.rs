//! Architectures of the shipped spaces: YAML, and the strings of benchmarks.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use systole::jobs::Job;

static JOBS: LazyLock<[Job; 3]> = LazyLock::new(|| {
    [
        include_str!("../../search-spaces/demo.yaml"),
        include_str!("../../search-spaces/nas-bench-201.yaml"),
        include_str!("../../search-spaces/nas-bench-macro.yaml"),
    ]
    .map(systole_fuzz::job)
});

fuzz_target!(|text: &str| {
    for job in &*JOBS {
        if let Ok(architecture) = job.space.parse_architecture(text, systole_fuzz::ORIGIN) {
            systole_fuzz::derive(job, &architecture);
        }
        if let Ok(architecture) = job.space.parse_string(text) {
            assert_eq!(job.space.to_string_of(&architecture).as_deref(), Some(text));
            systole_fuzz::derive(job, &architecture);
            drop(job.space.derive_benchmark(&architecture));
        }
    }
});
