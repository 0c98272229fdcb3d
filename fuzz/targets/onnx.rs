//! ONNX files.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use systole::accel::Accelerator;
use systole::import::onnx::{Onnx, Options};

static ACCELERATORS: LazyLock<Vec<Accelerator>> = LazyLock::new(systole_fuzz::accelerators);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(onnx) = Onnx::parse(bytes, systole_fuzz::ORIGIN, &Options::default()) {
        let coverage = &onnx.coverage;
        assert_eq!(coverage.covered() + coverage.unknown.len() as u64 + coverage.behind, coverage.nodes);
        systole_fuzz::estimate_network(&onnx.network, &ACCELERATORS);
    }
});
