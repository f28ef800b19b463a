//! What was measured, as one table in Markdown.

use crate::kit::figures::{least, median, most};

/// What a figure should be.
#[derive(Clone, Copy)]
pub struct Target {
    pub value: f64,
    pub at_least: bool,
}

impl Target {
    pub fn least(value: f64) -> Self {
        Self { value, at_least: true }
    }

    pub fn most(value: f64) -> Self {
        Self { value, at_least: false }
    }

    fn is_met_by(self, figure: f64) -> bool {
        if self.at_least { figure >= self.value } else { figure <= self.value }
    }
}

/// One kind of work: a figure a round for each who did it.
pub struct Row {
    pub name: String,
    pub unit: &'static str,
    pub usher: Vec<f64>,
    /// What usher is compared with; empty for nothing.
    pub base: &'static str,
    pub of_base: Vec<f64>,
    /// For the ratio if more is better, for the figure itself if less is.
    pub target: Option<Target>,
    pub peers: Vec<Vec<f64>>,
}

impl Row {
    pub fn add(&mut self, usher: f64, base: Option<f64>, peers: Vec<f64>) {
        self.usher.push(usher);
        self.of_base.extend(base);
        for (all, figure) in self.peers.iter_mut().zip(peers) {
            all.push(figure);
        }
    }

    /// Usher by what it is compared with, pair by pair.
    pub fn ratios(&self) -> Vec<f64> {
        self.usher.iter().zip(&self.of_base).map(|(usher, base)| usher / base).collect()
    }

    /// What the target is for.
    pub fn judged(&self) -> Vec<f64> {
        if self.target.is_some_and(|target| target.at_least) { self.ratios() } else { self.usher.clone() }
    }

    fn line(&self) -> String {
        let compared = match &self.of_base[..] {
            [] => " | ".to_owned(),
            base => format!("{}: {} | {}", self.base, range(base), range(&self.ratios())),
        };
        let target = self.target.map_or(String::new(), |target| {
            let verdict = if target.is_met_by(median(&self.judged())) { "met" } else { "**not met**" };
            format!("{} {} {verdict}", if target.at_least { "≥" } else { "≤" }, target.value)
        });
        let peer = |figures: &Vec<f64>| match &figures[..] {
            [] => " |".to_owned(),
            figures => {
                let pairs: Vec<f64> = self.usher.iter().zip(figures).map(|(usher, peer)| usher / peer).collect();
                format!(" {}: ×{} |", range(figures), number(median(&pairs)))
            }
        };
        let peers: String = self.peers.iter().map(peer).collect();
        format!("| {}, {} | {} | {compared} | {target} |{peers}\n", self.name, self.unit, range(&self.usher))
    }
}

pub fn table(rows: &[Row], peers: &[&str]) -> String {
    let heads = peers.iter().map(|peer| [" ", peer, ": usher by it |"].concat()).collect::<Vec<_>>().concat();
    let rule = "|---".repeat(5 + peers.len());
    let lines: String = rows.iter().map(Row::line).collect();
    format!("| work | usher | compared with | ratio | target |{heads}\n{rule}|\n{lines}")
}

/// The median with the range.
fn range(figures: &[f64]) -> String {
    if figures.len() == 1 {
        return number(figures[0]);
    }
    format!("{} [{}–{}]", number(median(figures)), number(least(figures)), number(most(figures)))
}

/// Three digits at least, and thousands apart.
pub fn number(figure: f64) -> String {
    match figure {
        small if small < 10.0 => format!("{small:.2}"),
        middle if middle < 100.0 => format!("{middle:.1}"),
        large => {
            let digits = format!("{large:.0}");
            let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| str::from_utf8(g).ok()).collect();
            groups.join(",")
        }
    }
}
