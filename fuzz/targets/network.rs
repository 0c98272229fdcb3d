//! Network files.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use systole::accel::Accelerator;
use systole::network::Network;

static ACCELERATORS: LazyLock<Vec<Accelerator>> = LazyLock::new(systole_fuzz::accelerators);

fuzz_target!(|text: &str| {
    if let Ok(network) = Network::parse(text, systole_fuzz::ORIGIN) {
        systole_fuzz::estimate_network(&network, &ACCELERATORS);
        let again = Network::parse(&network.to_yaml(), systole_fuzz::ORIGIN);
        assert!(again.is_ok(), "what is written reads: {again:?}");
    }
});
