//! Sums of products.

/// Partial sums side by side, so that one addition need not wait for the one before.
const LANES: usize = 8;

/// `sum_i a_i b_i`.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.0.iter().zip(b.0) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::dot;

    #[test]
    fn whole_chunks_and_the_rest_are_summed() {
        for length in 0..40u32 {
            // sum of i^2 for i below n: (n - 1) n (2 n - 1) / 6
            let numbers: Vec<f64> = (0..length).map(f64::from).collect();
            let n = i64::from(length);
            assert_eq!(dot(&numbers, &numbers), ((n - 1) * n * (2 * n - 1) / 6) as f64);
        }
    }
}
