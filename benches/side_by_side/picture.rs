//! The targets and how far they are met, as one SVG picture that can be read on light and on dark.

use crate::{
    kit::figures::{least, median, most},
    table::{Row, number},
};

const LEFT: f64 = 300.0;
const WIDTH: f64 = 760.0;
/// How wide a figure is that just meets its target.
const AT_TARGET: f64 = 280.0;
const LINE: f64 = 28.0;
const TOP: f64 = 64.0;

/// A bar for each row with a target. Its length is the figure by the target; the line is the target.
pub fn draw(rows: &[Row], subtitle: &str) -> String {
    let (more, less): (Vec<_>, Vec<_>) =
        rows.iter().filter_map(|row| Some((row, row.target?))).partition(|(_, target)| target.at_least);
    let mut y = TOP;
    let mut body = String::new();
    for (title, rows) in
        [("ratios: the bar should reach the line", more), ("times and memory: the bar should not pass the line", less)]
    {
        if rows.is_empty() {
            continue;
        }
        body += &format!("<text x=\"16\" y=\"{y}\" class=\"head\">{title}</text>\n");
        let top = y + 8.0;
        for (row, target) in rows {
            y += LINE;
            let figures = row.judged();
            let of = |figure: f64| (figure / target.value * AT_TARGET).min(WIDTH - LEFT - 150.0);
            let (low, mid, high) = (of(least(&figures)), of(median(&figures)), of(most(&figures)));
            let middle = y - 5.0;
            let (bar, end) = (y - 13.0, LEFT + high.max(AT_TARGET) + 10.0);
            let unit = if target.at_least { "" } else { row.unit };
            let text = format!("{} {unit} (target {})", number(median(&figures)), target.value);
            body += &format!(
                "<text x=\"{x}\" y=\"{y}\" class=\"name\">{name}</text>\n\
                 <rect x=\"{LEFT}\" y=\"{bar}\" width=\"{mid:.1}\" height=\"16\" class=\"bar\"/>\n\
                 <path d=\"M{a:.1} {middle}H{b:.1}\" class=\"range\"/>\n\
                 <text x=\"{end:.1}\" y=\"{y}\">{text}</text>\n",
                x = LEFT - 10.0,
                name = row.name,
                a = LEFT + low,
                b = LEFT + high,
            );
        }
        body += &format!("<path d=\"M{} {top}V{}\" class=\"target\"/>\n", LEFT + AT_TARGET, y + 6.0);
        y += LINE * 1.4;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y:.0}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <style>\n\
         text {{ fill: #1f2328 }} .page {{ fill: #ffffff }} .bar {{ fill: #4c8dd6 }} .head {{ font-weight: bold }}\n\
         .name {{ text-anchor: end }} .range {{ stroke: #1f2328; stroke-width: 2 }} .target {{ stroke: #c4421a; stroke-width: 2 }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         text {{ fill: #e6edf3 }} .page {{ fill: #0d1117 }} .range {{ stroke: #e6edf3 }} .target {{ stroke: #ff8a5c }} .bar {{ fill: #2f6db5 }}\n\
         }}\n\
         </style>\n\
         <rect width=\"{WIDTH}\" height=\"{y:.0}\" class=\"page\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"15\" class=\"head\">usher: {subtitle}</text>\n{body}</svg>\n"
    )
}
