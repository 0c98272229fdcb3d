//! Rows of measured times, of networks by strings and by paths, and of products.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use systole::jobs::{Job, Overrides, parse_rows};

static JOB: LazyLock<Job> = LazyLock::new(|| {
    let text = include_str!("../../search-spaces/mnasnet.yaml");
    Job::parse(text, systole_fuzz::ORIGIN, &Overrides::default()).expect("shipped jobs read")
});

fuzz_target!(|text: &str| {
    for space in [None, Some(&JOB.space)] {
        let rows = parse_rows(text.as_bytes(), Path::new("/nowhere/rows.csv"), space);
        for row in rows.into_iter().flatten() {
            assert!(row.ms.is_normal() && row.ms > 0.0, "{}", row.ms);
        }
    }
});
