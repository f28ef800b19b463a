//! Charts of days, drawn here as SVG: nothing but shapes and text, whose colors the style sheet chooses. Each chart has one
//! series, so that nothing depends on telling colors apart, and a table beside it has the numbers.

use crate::domain::Day;
use askama::Template;

/// The numbers of a chart, in the chart's own units, of which CSS makes pixels. All are tenths until they are written.
const WIDTH: u64 = 3_600;
const HEIGHT: u64 = 1_500;
const LEFT: u64 = 560;
const RIGHT: u64 = 3_560;
const TOP: u64 = 100;
const BOTTOM: u64 = 1_220;
/// A bar is at most this wide.
const MAX_BAR: u64 = 240;
/// What happened once among thousands is seen, too.
const MIN_HEIGHT: u64 = 20;

/// A bar for each day.
#[derive(Debug, Template)]
#[template(path = "chart.html", config = "src/http/pages/askama.toml")]
pub struct Chart {
    pub title: &'static str,
    /// What a screen reader reads out in place of the picture.
    summary: String,
    /// The outline of all bars.
    bars: String,
    lines: Vec<Line>,
    labels: Vec<Label>,
}

/// A line across, with what it stands for.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    y: String,
    text: String,
}

/// A day below the bars. `anchor` is one of SVG's `text-anchor`.
#[derive(Debug, PartialEq, Eq)]
struct Label {
    x: String,
    anchor: &'static str,
    text: String,
}

impl Chart {
    /// Of consecutive days, the oldest first. A count below zero, which nobody but a vandal stores, is none.
    pub fn new(title: &'static str, counts: &[(Day, i64)]) -> Self {
        let counts: Vec<(Day, u64)> =
            counts.iter().map(|(day, count)| (*day, u64::try_from(*count).unwrap_or(0))).collect();
        let peak = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let top = top_of_axis(peak);
        Self {
            title,
            summary: summary(&counts, peak),
            bars: bars(&counts, top),
            lines: lines(top),
            labels: labels(&counts),
        }
    }
}

/// The lowest number not below the peak that makes an axis with round numbers: 1, 2, 4, 6, 8 or 10, or ten times as much, and
/// so on.
fn top_of_axis(peak: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        let round =
            [1, 2, 4, 6, 8, 10].into_iter().filter_map(|digit| unit.checked_mul(digit)).find(|top| *top >= peak);
        match (round, unit.checked_mul(10)) {
            (Some(top), _) => return top,
            (None, Some(next)) => unit = next,
            (None, None) => return u64::MAX,
        }
    }
}

fn summary(counts: &[(Day, u64)], peak: u64) -> String {
    let total = counts.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let days = counts.len();
    match counts.iter().rev().find(|(_, count)| *count == peak && peak > 0) {
        Some((day, _)) => format!("{} in {days} days, at most {} on one day, {day}", grouped(total), grouped(peak)),
        None => format!("none in {days} days"),
    }
}

fn bars(counts: &[(Day, u64)], top: u64) -> String {
    let mut outline = String::new();
    let count = u64::try_from(counts.len()).unwrap_or(u64::MAX).max(1);
    let width = ((RIGHT - LEFT) / count * 4 / 5).clamp(1, MAX_BAR);
    for (at, (_, number)) in counts.iter().enumerate().filter(|(_, (_, number))| *number > 0) {
        let middle = LEFT + (RIGHT - LEFT) * (2 * u64::try_from(at).unwrap_or(0) + 1) / (2 * count);
        let height = u128::from(BOTTOM - TOP) * u128::from(*number) / u128::from(top);
        let height = u64::try_from(height).unwrap_or(BOTTOM - TOP).max(MIN_HEIGHT);
        let (x, y) = (units(middle - width / 2), units(BOTTOM - height));
        outline += &format!("M{x} {y}h{w}V{bottom}h-{w}z", w = units(width), bottom = units(BOTTOM));
    }
    outline
}

/// At the bottom, at the top, and in the middle where that is a whole number.
fn lines(top: u64) -> Vec<Line> {
    let line = |y, number| Line { y: units(y), text: grouped(number) };
    let middle = top.is_multiple_of(2).then(|| line(u64::midpoint(TOP, BOTTOM), top / 2));
    [Some(line(BOTTOM, 0)), middle, Some(line(TOP, top))].into_iter().flatten().collect()
}

/// The first, the middle and the last day.
fn labels(counts: &[(Day, u64)]) -> Vec<Label> {
    let label = |x, anchor, (day, _): &(Day, u64)| Label { x: units(x), anchor, text: day.to_string() };
    let middle = u64::midpoint(LEFT, RIGHT);
    match counts {
        [] => vec![],
        [only] => vec![label(middle, "middle", only)],
        [first, last] => vec![label(LEFT, "start", first), label(RIGHT, "end", last)],
        [first, .., last] => {
            vec![
                label(LEFT, "start", first),
                label(middle, "middle", &counts[counts.len() / 2]),
                label(RIGHT, "end", last),
            ]
        }
    }
}

/// Tenths as SVG writes them.
fn units(tenths: u64) -> String {
    if tenths.is_multiple_of(10) { (tenths / 10).to_string() } else { format!("{}.{}", tenths / 10, tenths % 10) }
}

/// A number for people: `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(counts: &[i64]) -> Chart {
        let day = |at: usize| Day::from_number(20_000 + i64::try_from(at).unwrap());
        let counts: Vec<_> = counts.iter().enumerate().map(|(at, count)| (day(at), *count)).collect();
        Chart::new("Sign-ins", &counts)
    }

    fn numbers(chart: &Chart) -> Vec<&str> {
        chart.lines.iter().map(|line| line.text.as_str()).collect()
    }

    /// Where the bars begin, and how far up they reach.
    fn tops(chart: &Chart) -> Vec<(&str, &str)> {
        let bars = chart.bars.split('M').skip(1);
        bars.map(|bar| bar.split('h').next().unwrap().split_once(' ').unwrap()).collect()
    }

    #[test]
    fn nothing_at_all_has_an_axis_and_no_bar() {
        let chart = chart(&[0; 90]);
        assert_eq!((chart.bars.as_str(), chart.summary.as_str()), ("", "none in 90 days"));
        assert_eq!(numbers(&chart), ["0", "1"]);
        assert_eq!(chart.labels.len(), 3);
        assert!(super::Chart::new("Sign-ins", &[]).labels.is_empty());
    }

    #[test]
    fn one_day_is_one_bar_in_the_middle() {
        let chart = chart(&[5]);
        assert_eq!(chart.summary, "5 in 1 days, at most 5 on one day, 2024-10-04");
        assert_eq!(tops(&chart), [("194", "28.7")]);
        assert_eq!(chart.labels, [Label { x: "206".into(), anchor: "middle", text: "2024-10-04".into() }]);
        assert_eq!(numbers(&chart), ["0", "3", "6"]);
    }

    #[test]
    fn a_peak_reaches_the_top_and_what_is_small_beside_it_can_be_seen() {
        let mut counts = [1; 90];
        counts[89] = 10_000;
        let chart = chart(&counts);
        let tops = tops(&chart);
        assert_eq!((tops.len(), tops[0].1, tops[89].1), (90, "120", "10"));
        assert!(tops[89].0.parse::<f64>().unwrap() < 356.0);
        assert_eq!(numbers(&chart), ["0", "5,000", "10,000"]);
        assert_eq!(chart.summary, "10,089 in 90 days, at most 10,000 on one day, 2025-01-01");
    }

    #[test]
    fn an_axis_ends_at_a_round_number_that_is_high_enough() {
        for (peak, top) in [(0, 1), (1, 1), (2, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 20), (61, 80), (1_001, 2_000)]
        {
            assert_eq!(top_of_axis(peak), top, "{peak}");
        }
        assert!(top_of_axis(u64::MAX) >= u64::MAX - 1);
    }

    #[test]
    fn what_only_a_vandal_stores_is_drawn_within_the_picture() {
        let chart = chart(&[i64::MIN, -1, i64::MAX, i64::MAX]);
        assert_eq!(tops(&chart).len(), 2);
        assert!(tops(&chart).iter().all(|(_, y)| y.parse::<f64>().unwrap() >= 10.0));
        assert!(chart.render().unwrap().contains("<svg"));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let grouped = [0, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
