//! Whether a figure grows over time.

/// A straight line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// By how much it rises from one unit to the next.
    pub(super) slope: f64,
    start: f64,
}

impl Line {
    /// Its height.
    pub(super) fn at(&self, x: f64) -> f64 {
        self.start + self.slope * x
    }
}

/// The line that is nearest to these points, by the squares of their distances from it. None through fewer than
/// three: any two would be a trend.
pub(super) fn line(points: &[(f64, f64)]) -> Option<Line> {
    let count = points.len() as f64;
    if points.len() < 3 {
        return None;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let along: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let slope = both / along;
    Some(Line { slope, start: y - slope * x })
}
