//! Line charts in SVG: solid ground, labelled axes, and each line with its name on it.

use super::spread::number;
use std::fmt::Write as _;

/// A chart.
pub(crate) struct Chart {
    /// What it shows.
    pub(crate) title: String,
    /// What goes to the right, with its unit.
    pub(crate) x: String,
    /// What goes up, with its unit.
    pub(crate) y: String,
    /// Where the axis that goes up ends; without one, where the lines do.
    pub(crate) top: Option<f64>,
    /// Its lines.
    pub(crate) lines: Vec<Line>,
}

/// A line.
pub(crate) struct Line {
    /// Its name; empty for a part of another line.
    pub(crate) name: String,
    /// Which of the [`COLOURS`] it has.
    pub(crate) colour: usize,
    /// From the left to the right.
    pub(crate) points: Vec<(f64, f64)>,
    /// The lowest and the highest at each point, where there were several.
    pub(crate) ends: Vec<(f64, f64)>,
    /// The point from which a thin line leads to its name, to the right of all lines; without one, its name stands
    /// at its end.
    pub(crate) label: Option<usize>,
}

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 54.0;

/// Where the names stand that are led to, as a part of the width.
const COLUMN: f64 = 0.66;

/// Colours that also those can tell apart who see few (after Okabe and Ito), on light ground and on dark.
const COLOURS: [(&str, &str); 4] =
    [("#0067b0", "#5db8f5"), ("#6f6f6f", "#a9a9a9"), ("#b85400", "#f2a65a"), ("#00785a", "#3fc79a")];

/// Charts side by side, as one picture.
pub(crate) fn svg(charts: &[Chart], scale: f64) -> String {
    let (width, height) = (WIDTH * scale, HEIGHT);
    let whole = width * charts.len() as f64;
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole} {height}\" width=\"{whole}\" height=\"{height}\" role=\"img\">\n{}\n<rect class=\"ground\" width=\"{whole}\" height=\"{height}\" rx=\"8\"/>\n",
        style()
    );
    for (at, chart) in charts.iter().enumerate() {
        let frame = Frame::around(chart, width);
        let _ = writeln!(
            svg,
            "<g transform=\"translate({} 0)\">\n{}</g>",
            width * at as f64,
            chart.drawn(&frame)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn style() -> String {
    let scheme = |ground: &str,
                  ink: &str,
                  faint: &str,
                  grid: &str,
                  pick: fn(&(&'static str, &'static str)) -> &'static str| {
        let mut css = format!(
            ".ground{{fill:{ground}}} text{{fill:{ink}}} .faint{{fill:{faint}}} .grid{{stroke:{grid}}} .axis{{stroke:{faint}}} .name{{stroke:{ground}}}"
        );
        for (at, colour) in COLOURS.iter().enumerate() {
            let colour = pick(colour);
            let _ = write!(css, " .l{at}{{stroke:{colour}}} .f{at}{{fill:{colour}}}");
        }
        css
    };
    let light = scheme("#ffffff", "#1c2128", "#59636e", "#e4e7eb", |colour| colour.0);
    let dark = scheme("#161b22", "#e6edf3", "#9aa4af", "#2b323b", |colour| colour.1);
    format!(
        "<style>text{{font:12px system-ui,-apple-system,'Segoe UI',sans-serif}} .title{{font-size:14px;font-weight:600}} .name{{font-weight:600;stroke-width:4;stroke-linejoin:round;paint-order:stroke}} .grid{{stroke-width:1}} .axis{{stroke-width:1.2}} .line{{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}} .whisker{{stroke-width:1.4;opacity:.6}} .leader{{stroke-width:1;stroke-dasharray:2 3}}\n{light}\n@media (prefers-color-scheme: dark){{{dark}}}</style>"
    )
}

/// Where the values of a chart come to lie.
struct Frame {
    width: f64,
    x: Scale,
    y: Scale,
}

struct Scale {
    step: f64,
    end: f64,
}

impl Scale {
    /// From zero to `most`, with at most about `marks` marks at round numbers.
    fn to(most: f64, marks: f64, is_exact: bool) -> Scale {
        let most = if most > 0.0 { most } else { 1.0 };
        let rough = most / marks;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|by| by * power).find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        Scale { step, end: if is_exact { most } else { (most / step).ceil() * step } }
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        let count = (self.end / self.step + 1e-9).floor() as usize;
        let step = self.step;
        (0..=count).map(move |mark| mark as f64 * step)
    }

    fn show(&self, mark: f64) -> String {
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        let is_round = ((self.step * 10f64.powi(decimals as i32)).fract()).abs() < 1e-9;
        number(mark, if is_round { decimals } else { decimals + 1 })
    }
}

impl Frame {
    fn around(chart: &Chart, width: f64) -> Frame {
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let points = || chart.lines.iter().flat_map(|line| line.points.iter());
        let ends = chart.lines.iter().flat_map(|line| line.ends.iter());
        let x = most(&mut points().map(|point| point.0));
        let y = most(&mut points().map(|point| point.1).chain(ends.map(|end| end.1)));
        let y = chart.top.map_or_else(|| Scale::to(y * 1.08, 5.0, false), |top| Scale::to(top, 5.0, true));
        Frame { width, x: Scale::to(x * 1.02, 6.0, true), y }
    }

    fn right(&self) -> f64 {
        self.width - RIGHT
    }

    fn at_x(&self, value: f64) -> f64 {
        LEFT + value / self.x.end * (self.right() - LEFT)
    }

    fn at_y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value.max(0.0) / self.y.end * (HEIGHT - BOTTOM - TOP)
    }
}

impl Chart {
    fn drawn(&self, frame: &Frame) -> String {
        let mut out = self.axes(frame);
        for line in &self.lines {
            let path: Vec<String> = line
                .points
                .iter()
                .map(|(x, y)| format!("{:.1},{:.1}", frame.at_x(*x), frame.at_y(*y)))
                .collect();
            let _ =
                writeln!(out, "<polyline class=\"line l{}\" points=\"{}\"/>", line.colour, path.join(" "));
            for ((x, y), (low, high)) in line.points.iter().zip(&line.ends) {
                let (x, colour) = (frame.at_x(*x), line.colour);
                let (y, low, high) = (frame.at_y(*y), frame.at_y(*low), frame.at_y(*high));
                let _ = writeln!(
                    out,
                    "<line class=\"whisker l{colour}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\"/><circle class=\"f{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\"/>"
                );
            }
        }
        // Names last, so that no line runs through one.
        for line in &self.lines {
            out.push_str(&name_of(line, frame));
        }
        out
    }

    fn axes(&self, frame: &Frame) -> String {
        let mut out = String::new();
        let (right, bottom) = (frame.right(), HEIGHT - BOTTOM);
        let _ = writeln!(out, "<text class=\"title\" x=\"{LEFT}\" y=\"24\">{}</text>", escaped(&self.title));
        let _ = writeln!(out, "<text class=\"faint\" x=\"{LEFT}\" y=\"42\">{}</text>", escaped(&self.y));
        for mark in frame.y.marks() {
            let (y, text) = (frame.at_y(mark), frame.y.show(mark));
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"faint\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        for mark in frame.x.marks() {
            let (x, text) = (frame.at_x(mark), frame.x.show(mark));
            let _ = writeln!(
                out,
                "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{}\"/><text class=\"faint\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                bottom + 5.0,
                bottom + 20.0
            );
        }
        let middle = (LEFT + right) / 2.0;
        let _ = writeln!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/><text class=\"faint\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 14.0,
            escaped(&self.x)
        );
        out
    }
}

fn name_of(line: &Line, frame: &Frame) -> String {
    if line.name.is_empty() {
        return String::new();
    }
    let last = line.points.len().saturating_sub(1);
    let Some((x, y)) = line.points.get(line.label.unwrap_or(last)) else { return String::new() };
    let (x, y) = (frame.at_x(*x), frame.at_y(*y));
    let column = LEFT + COLUMN * (frame.right() - LEFT);
    let (leader, x, y, anchor) = match line.label {
        Some(_) => {
            let colour = line.colour;
            let to = column.max(x) - 6.0;
            let leader = format!(
                "<circle class=\"f{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\"/><line class=\"leader l{colour}\" x1=\"{x:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n"
            );
            (leader, column.max(x), y + 4.0, "start")
        }
        None => (String::new(), x, y - 10.0, "end"),
    };
    format!(
        "{leader}<text class=\"name f{}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
        line.colour,
        escaped(&line.name)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
