//! What depends on the state of libtorch that a whole process shares: one test, alone in its process.
#![cfg(feature = "torch")]

use systole::torch::{
    Determinism, Float32Products, seed_step, set_determinism, set_float32_products, set_threads, threads,
};
use tch::{Device, Kind, Tensor};

fn draw(step: u64) -> Tensor {
    seed_step(7, 1, 2, step);
    Tensor::rand([64], (Kind::Float, Device::Cpu))
}

#[test]
fn switches_hold_and_a_seeded_step_draws_the_same_each_time() {
    set_threads(1);
    assert_eq!(threads(), 1);
    set_float32_products(Float32Products::Exact).unwrap();
    for determinism in [Determinism::Enforced, Determinism::Fastest] {
        set_determinism(determinism).unwrap();
        assert!(draw(3).equal(&draw(3)));
        assert!(!draw(3).equal(&draw(4)));
    }
}
