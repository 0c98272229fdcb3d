//! Accelerator files.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use systole::accel::Accelerator;
use systole::import::scale_sim::Row;

static PROBE: LazyLock<Vec<Row>> = LazyLock::new(systole_fuzz::probe);

fuzz_target!(|text: &str| {
    if let Ok(accelerator) = Accelerator::parse(text, systole_fuzz::ORIGIN) {
        systole_fuzz::estimate_rows(&PROBE, &[accelerator]);
    }
});
