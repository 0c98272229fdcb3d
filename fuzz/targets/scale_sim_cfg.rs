//! SCALE-Sim configurations.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use systole::accel::Accelerator;
use systole::import::scale_sim::{Config, Row};
use systole::units::Megahertz;

static PROBE: LazyLock<Vec<Row>> = LazyLock::new(systole_fuzz::probe);

fuzz_target!(|text: &str| {
    let clock = Megahertz::new(Config::DEFAULT_CLOCK_MHZ).expect("a fixed clock");
    if let Ok(config) = Config::parse(text, systole_fuzz::ORIGIN, clock) {
        let again = Accelerator::parse(&config.to_yaml(), systole_fuzz::ORIGIN);
        assert!(again.as_ref().is_ok_and(|again| *again == config.accelerator), "what is written reads: {again:?}");
        systole_fuzz::report(&PROBE, &config.accelerator, config.sram);
        systole_fuzz::estimate_rows(&PROBE, &[config.accelerator]);
    }
});
