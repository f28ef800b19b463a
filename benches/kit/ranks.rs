//! The rank test of Mann and Whitney (1947): do two samples come from one distribution?
//!
//! Ranks, not means: response times have long tails that a mean follows and a rank does not, and nothing is assumed about
//! their shape. With samples of hundreds U is normal to any accuracy that matters here (Lehmann, *Nonparametrics*, 1.3),
//! so that no table is needed, and the correction for ties is part of its variance.

/// What the test says about two samples.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// In how many pairs the first sample's value is the larger one; a tie is half a pair.
    pub u: f64,
    /// How many standard deviations that is from what chance gives.
    pub z: f64,
    /// How probable a distance like this is by chance, in either direction.
    pub p: f64,
    /// The share of pairs in which the first sample's value is the larger one: 0.5 is no effect at all.
    pub superiority: f64,
}

#[allow(clippy::cast_precision_loss, reason = "samples are far smaller than 2^52")]
pub fn compare(first: &[f64], second: &[f64]) -> Comparison {
    let (n1, n2) = (first.len() as f64, second.len() as f64);
    let mut all: Vec<(f64, bool)> =
        first.iter().map(|v| (*v, true)).chain(second.iter().map(|v| (*v, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Values that are alike share the mean of their ranks, which begin with 1.
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for alike in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let count = alike.len() as f64;
        let of_first = alike.iter().filter(|(_, first)| *first).count() as f64;
        rank_sum += of_first * (before + f64::midpoint(count, 1.0));
        ties += count.powi(3) - count;
        before += count;
    }
    let (n, pairs) = (n1 + n2, n1 * n2);
    let u = rank_sum - n1 * (n1 + 1.0) / 2.0;
    let deviation = (pairs / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)))).sqrt();
    // Half a pair is taken off, since U moves in steps (the continuity correction).
    let distance = u - pairs / 2.0;
    let z = if deviation > 0.0 { distance.signum() * (distance.abs() - 0.5).max(0.0) / deviation } else { 0.0 };
    Comparison { u, z, p: libm::erfc(z.abs() / std::f64::consts::SQRT_2), superiority: u / pairs }
}
