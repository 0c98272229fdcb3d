//! Randomness as a function of counters: what a step draws depends on nothing but its place in the run.

/// Seeds every generator of libtorch for one step, so that a resumed run draws what the unbroken one would have.
///
/// The generators are those of the process: one run for each process.
pub fn seed_step(seed: u64, stage: u64, epoch: u64, step: u64) {
    tch::manual_seed(mix(&[seed, stage, epoch, step]).cast_signed());
}

/// A seed from counters: splitmix64's output function over each counter in turn.
///
/// `h <- f(h + (counter + 1) * 0x9e3779b97f4a7c15)`, from `h = 0` (Steele, Lea and Flood 2014).
#[must_use]
pub fn mix(counters: &[u64]) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    counters.iter().fold(0, |hash, counter| finalize(hash.wrapping_add(counter.wrapping_add(1).wrapping_mul(GOLDEN))))
}

fn finalize(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn one_counter_gives_the_published_sequence_of_splitmix64() {
        // first outputs for state 0: state 0 + golden, then 0 + 2 golden
        assert_eq!(mix(&[0]), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(&[1]), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn neighbouring_counters_share_no_seed() {
        let mut seen = HashSet::new();
        for seed in 0..6 {
            for stage in 0..6 {
                for epoch in 0..6 {
                    for step in 0..6 {
                        assert!(seen.insert(mix(&[seed, stage, epoch, step])));
                    }
                }
            }
        }
    }
}
