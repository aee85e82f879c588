//! Line charts as SVG: a training curve that people want to look at, in light and dark surroundings.
use std::fmt::Write;

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 132.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 56.0;
/// Okabe and Ito's palette: told apart by people with any colour vision.
pub(super) const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// One line of a chart; x counts from 1.
pub struct Line {
    pub label: String,
    pub values: Vec<f64>,
}

/// What a chart says.
pub struct Chart {
    pub title: String,
    pub subtitle: String,
    pub x_label: String,
    pub y_label: String,
    pub lines: Vec<Line>,
    /// An x that is marked, with its label.
    pub mark: Option<(f64, String)>,
}

/// A scale from values to pixels: logarithmic where the values span more than a factor of 30.
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    from: f64,
    to: f64,
}

impl Scale {
    pub(super) fn linear(low: f64, high: f64, from: f64, to: f64) -> Scale {
        let pad = if high > low { 0.0 } else { 0.5 };
        Scale { low: low - pad, high: high + pad, log: false, from, to }
    }

    fn for_values(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Scale {
        let finite = values.filter(|v| v.is_finite());
        let low = finite.clone().fold(f64::INFINITY, f64::min);
        let high = finite.fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Scale::linear(0.0, 1.0, from, to);
        }
        if low > 0.0 && high / low > 30.0 {
            return Scale { low: low / 1.25, high: high * 1.25, log: true, from, to };
        }
        let margin = (high - low) * 0.06;
        let floor = if low >= 0.0 && low < high * 0.5 { 0.0 } else { low - margin };
        Scale::linear(floor, high + margin, from, to)
    }

    #[cfg(feature = "forecast")] // for its pictures alone
    /// Of all finite values with some room around them, never logarithmic.
    pub(super) fn level(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Scale {
        let finite = values.filter(|v| v.is_finite());
        let low = finite.clone().fold(f64::INFINITY, f64::min);
        let high = finite.fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Scale::linear(0.0, 1.0, from, to);
        }
        let margin = (high - low) * 0.06;
        Scale::linear(low - margin, high + margin, from, to)
    }

    pub(super) fn map(&self, v: f64) -> f64 {
        let part = if self.log {
            (v / self.low).ln() / (self.high / self.low).ln()
        } else {
            (v - self.low) / (self.high - self.low)
        };
        self.from + part * (self.to - self.from)
    }

    /// Round numbers inside the scale: powers of ten with 2 and 5 where there is room, or steps of 1, 2 or 5.
    fn ticks(&self) -> Vec<f64> {
        if self.log { self.log_ticks() } else { self.linear_ticks(5.0) }
    }

    fn log_ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = if decades < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let all = powers.flat_map(|p| factors.iter().map(move |f| f * 10f64.powi(p)));
        all.filter(|v| (self.low..=self.high).contains(v)).collect()
    }

    pub(super) fn linear_ticks(&self, about: f64) -> Vec<f64> {
        let rough = (self.high - self.low) / about;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().map(|f| f * power).find(|s| *s >= rough).unwrap_or(power);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

/// A number as a person writes it on an axis.
pub(super) fn short(v: f64) -> String {
    let size = v.abs();
    if v == 0.0 {
        "0".into()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{v:.0e}")
    } else {
        let text = format!("{v:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Draws the chart.
pub fn svg(chart: &Chart) -> String {
    let longest = chart.lines.iter().map(|l| l.values.len()).max().unwrap_or(0).max(2);
    let x = Scale::linear(1.0, longest as f64, LEFT, WIDTH - RIGHT);
    let all = chart.lines.iter().flat_map(|l| l.values.iter().copied());
    let y = Scale::for_values(all, HEIGHT - BOTTOM, TOP);
    let mut out = String::new();
    head(&mut out, chart);
    grid(&mut out, chart, &x, &y);
    mark(&mut out, chart, &x);
    for (i, line) in chart.lines.iter().enumerate() {
        curve(&mut out, line, COLOURS[i % COLOURS.len()], &x, &y);
    }
    labels(&mut out, chart, &x, &y);
    out.push_str("</svg>\n");
    out
}

fn head(out: &mut String, chart: &Chart) {
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{title}">
<style>
.bg{{fill:#ffffff}} text{{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:13px;fill:#57606a}}
.title{{font-size:18px;font-weight:600;fill:#1f2328}} .grid{{stroke:#d8dee4;stroke-width:1}} .axis{{stroke:#8c959f;stroke-width:1}}
.curve{{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}} .label{{font-weight:600}} .mark{{stroke:#8c959f;stroke-dasharray:4 4}}
@media (prefers-color-scheme:dark){{.bg{{fill:#0d1117}} text{{fill:#9198a1}} .title{{fill:#f0f6fc}} .grid{{stroke:#21262d}}}}
</style>
<rect class="bg" width="{WIDTH}" height="{HEIGHT}" rx="8"/>
<text class="title" x="{LEFT}" y="34">{title}</text>
<text x="{LEFT}" y="55">{subtitle}</text>"##,
        title = escape(&chart.title),
        subtitle = escape(&chart.subtitle),
    );
}

fn grid(out: &mut String, chart: &Chart, x: &Scale, y: &Scale) {
    let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
    for v in y.ticks() {
        let at = y.map(v);
        let _ = writeln!(out, r#"<line class="grid" x1="{left}" x2="{right}" y1="{at:.1}" y2="{at:.1}"/>"#);
        let _ =
            writeln!(out, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#, left - 10.0, at + 4.5, short(v));
    }
    let _ = writeln!(out, r#"<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>"#);
    for v in x.linear_ticks(8.0).into_iter().filter(|v| v.fract() == 0.0) {
        let _ = writeln!(
            out,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            x.map(v),
            bottom + 20.0,
            short(v)
        );
    }
    let middle = f64::midpoint(left, right);
    let _ = writeln!(
        out,
        r#"<text x="{middle:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        HEIGHT - 14.0,
        escape(&chart.x_label)
    );
    let scale = if y.log { " (log)" } else { "" };
    let centre = f64::midpoint(TOP, bottom);
    let _ = writeln!(
        out,
        r#"<text x="20" y="{centre:.1}" text-anchor="middle" transform="rotate(-90 20 {centre:.1})">{}{scale}</text>"#,
        escape(&chart.y_label)
    );
}

fn mark(out: &mut String, chart: &Chart, x: &Scale) {
    let Some((at, text)) = &chart.mark else { return };
    let px = x.map(*at);
    let _ = writeln!(out, r#"<line class="mark" x1="{px:.1}" x2="{px:.1}" y1="{TOP}" y2="{:.1}"/>"#, HEIGHT - BOTTOM);
    let anchor = if px > (WIDTH - RIGHT) * 0.75 { "end" } else { "start" };
    let shift = if anchor == "end" { -6.0 } else { 6.0 };
    let _ = writeln!(
        out,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
        px + shift,
        TOP + 12.0,
        escape(text)
    );
}

fn curve(out: &mut String, line: &Line, colour: &str, x: &Scale, y: &Scale) {
    let mut path = String::new();
    let mut pen = 'M';
    for (i, v) in line.values.iter().enumerate() {
        let drawable = v.is_finite() && (!y.log || *v > 0.0);
        if drawable {
            let _ = write!(path, "{pen}{:.1} {:.1}", x.map(i as f64 + 1.0), y.map(*v));
        }
        pen = if drawable { 'L' } else { 'M' };
    }
    let _ = writeln!(out, r#"<path class="curve" stroke="{colour}" d="{path}"/>"#);
}

/// Places of names below each other, moved apart where they would overlap, and up where the last would be below `most`.
pub fn apart(wanted: impl Iterator<Item = f64>, most: f64) -> Vec<f64> {
    const LINE: f64 = 17.0;
    let mut places: Vec<f64> = Vec::new();
    for wanted in wanted {
        places.push(places.last().map_or(wanted, |last: &f64| wanted.max(last + LINE)));
    }
    let mut below = most + LINE;
    for place in places.iter_mut().rev() {
        *place = place.min(below - LINE);
        below = *place;
    }
    places
}

/// Names at the ends of the lines, moved apart where they would overlap.
fn labels(out: &mut String, chart: &Chart, x: &Scale, y: &Scale) {
    let end = |l: &Line| l.values.iter().rposition(|v| v.is_finite()).map(|i| (i, l.values[i]));
    let mut ends: Vec<(f64, usize, f64)> = chart
        .lines
        .iter()
        .enumerate()
        .filter_map(|(i, l)| end(l).map(|(at, v)| (y.map(v).clamp(TOP, HEIGHT - BOTTOM), i, at as f64 + 1.0)))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let places = apart(ends.iter().map(|end| end.0), HEIGHT - BOTTOM);
    for ((_, i, at), py) in ends.into_iter().zip(places) {
        let colour = COLOURS[i % COLOURS.len()];
        let px = x.map(at).max(WIDTH - RIGHT - 2.0);
        let _ = writeln!(
            out,
            r#"<text class="label" style="fill:{colour}" x="{:.1}" y="{:.1}">{}</text>"#,
            px + 8.0,
            py + 4.5,
            escape(&chart.lines[i].label)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: Vec<f64>) -> Chart {
        let lines = vec![Line { label: "training".into(), values }];
        Chart {
            title: "a < b".into(),
            subtitle: String::new(),
            x_label: "epoch".into(),
            y_label: "loss".into(),
            lines,
            mark: None,
        }
    }

    #[test]
    fn names_stay_apart_and_above_the_axis() {
        assert_eq!(apart([10.0, 12.0, 80.0].into_iter(), 100.0), [10.0, 27.0, 80.0]);
        assert_eq!(apart([90.0, 95.0, 99.0].into_iter(), 100.0), [66.0, 83.0, 100.0]);
        assert_eq!(apart([].into_iter(), 100.0), [0.0; 0]);
    }

    #[test]
    fn text_is_escaped_and_nothing_is_nan() {
        for values in [vec![], vec![1.0], vec![f64::NAN, 0.5, f64::INFINITY], vec![0.0; 5], vec![1.0, 1e-6, 0.0]] {
            let text = svg(&chart(values.clone()));
            assert!(text.contains("a &lt; b") && !text.contains("a < b"));
            assert!(!text.contains("NaN") && !text.contains("inf"), "{values:?}: {text}");
        }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let s = Scale::linear(0.13, 0.97, 0.0, 1.0);
        let ticks = s.ticks();
        assert_eq!(ticks.iter().map(|t| short(*t)).collect::<Vec<_>>(), ["0.2", "0.4", "0.6", "0.8"]);
        let log = Scale::for_values([1e-4, 1.0].into_iter(), 0.0, 1.0);
        assert!(log.log && log.ticks().contains(&0.01));
    }

    #[test]
    fn larger_values_are_higher() {
        let s = Scale::for_values([0.0, 1.0].into_iter(), 400.0, 50.0);
        assert!(s.map(1.0) < s.map(0.0));
    }
}
