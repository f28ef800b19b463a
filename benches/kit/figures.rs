//! Figures of samples, and how they are written.

use std::time::Duration;

pub type Micros = f64;

pub fn micros(duration: Duration) -> Micros {
    duration.as_secs_f64() * 1e6
}

/// The value below which a share of the sample lies (nearest rank).
pub fn quantile(sample: &[f64], share: f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

pub fn median(sample: &[f64]) -> f64 {
    quantile(sample, 0.5)
}

/// Microseconds in the unit that people read.
pub fn span(micros: Micros) -> String {
    let (unit, scale) = unit(micros);
    format!("{} {unit}", digits(micros / scale))
}

/// The median with the range, in one unit: `1.2 ms [0.9–3.1]`.
pub fn with_range(micros: &[Micros]) -> String {
    let (unit, scale) = unit(median(micros));
    let [median, least, most] = [median(micros), least(micros), most(micros)].map(|micros| digits(micros / scale));
    format!("{median} {unit} [{least}–{most}]")
}

fn unit(micros: Micros) -> (&'static str, f64) {
    match micros {
        us if us < 1e3 => ("µs", 1.0),
        us if us < 1e6 => ("ms", 1e3),
        _ => ("s", 1e6),
    }
}

/// Two digits at least.
fn digits(number: f64) -> String {
    if number < 10.0 { format!("{number:.1}") } else { format!("{number:.0}") }
}

pub fn least(sample: &[f64]) -> f64 {
    sample.iter().copied().fold(f64::INFINITY, f64::min)
}

pub fn most(sample: &[f64]) -> f64 {
    sample.iter().copied().fold(0.0, f64::max)
}
