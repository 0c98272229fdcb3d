//! SCALE-Sim topologies, convolutions.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use systole::accel::Accelerator;

static ACCELERATORS: LazyLock<Vec<Accelerator>> = LazyLock::new(systole_fuzz::accelerators);

fuzz_target!(|text: &str| {
    systole_fuzz::topology(text, &ACCELERATORS);
    systole_fuzz::topology(&format!("Layer name, H, W, FH, FW, C, N, S,\n{text}"), &ACCELERATORS);
});
