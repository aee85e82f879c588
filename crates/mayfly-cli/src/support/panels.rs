//! Series and their forecasts as SVG: grey history, a line and bands ahead of each cutoff, real dates; in light and dark surroundings.
use super::plot::{COLOURS, Scale, apart, escape, short};
use std::fmt::Write;

const WIDTH: f64 = 820.0;
const PANEL: f64 = 230.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 132.0;
const TOP: f64 = 76.0;
/// Room for the title above and the dates below each panel.
const ABOVE: f64 = 26.0;
const BELOW: f64 = 34.0;
/// Dates along a panel, at most.
const DATES: usize = 6;

/// A picture of some series.
pub struct Picture {
    pub title: String,
    pub subtitle: String,
    pub panels: Vec<Panel>,
}

/// One series.
pub struct Panel {
    pub title: String,
    /// What is known; NaN where nothing is.
    pub values: Vec<f64>,
    /// Behind how many of them forecasts were made.
    pub cuts: Vec<usize>,
    /// The time of each value and step.
    pub labels: Vec<String>,
    pub fans: Vec<Fan>,
}

/// A forecast.
pub struct Fan {
    pub label: String,
    /// Which of the palette's colours.
    pub colour: usize,
    /// Position of its first step.
    pub start: usize,
    pub point: Vec<f64>,
    /// The widest first.
    pub bands: Vec<Band>,
}

/// An interval.
pub struct Band {
    pub low: Vec<f64>,
    pub high: Vec<f64>,
}

/// Where a panel lies, and its scales.
struct Frame {
    top: f64,
    bottom: f64,
    x: Scale,
    y: Scale,
}

/// Draws the picture.
pub fn svg(picture: &Picture) -> String {
    let height = TOP + PANEL * picture.panels.len().max(1) as f64;
    let mut out = String::new();
    head(&mut out, picture, height);
    for (i, panel) in picture.panels.iter().enumerate() {
        draw(&mut out, panel, TOP + PANEL * i as f64);
    }
    out += "</svg>\n";
    out
}

fn head(out: &mut String, picture: &Picture, height: f64) {
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{title}">
<style>
.bg{{fill:#fff}} text{{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#57606a}} .title{{font-size:18px;font-weight:600;fill:#1f2328}} .name{{font-weight:600}}
.grid{{stroke:#d8dee4;stroke-width:1}} .axis{{stroke:#8c959f;stroke-width:1}} .cut{{stroke:#8c959f;stroke-dasharray:4 4}}
.known{{fill:none;stroke:#8c959f;stroke-width:1.75;stroke-linejoin:round}} .point{{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}} .band{{opacity:.18}} .label{{font-weight:600}}
@media (prefers-color-scheme:dark){{.bg{{fill:#0d1117}} text{{fill:#9198a1}} .title{{fill:#f0f6fc}} .grid{{stroke:#21262d}}}}
</style>
<rect class="bg" width="{WIDTH}" height="{height}" rx="8"/>
<text class="title" x="{LEFT}" y="34">{title}</text>
<text x="{LEFT}" y="55">{subtitle}</text>"##,
        title = escape(&picture.title),
        subtitle = escape(&picture.subtitle),
    );
}

fn draw(out: &mut String, panel: &Panel, top: f64) {
    let (top, bottom) = (top + ABOVE, top + PANEL - BELOW);
    let bounds = panel.fans.iter().flat_map(|fan| fan.bands.iter().flat_map(|band| band.low.iter().chain(&band.high)));
    let points = panel.fans.iter().flat_map(|fan| &fan.point);
    let all = panel.values.iter().chain(points).chain(bounds).copied();
    let last = panel.labels.len().saturating_sub(1).max(1) as f64;
    let frame =
        Frame { top, bottom, x: Scale::linear(0.0, last, LEFT, WIDTH - RIGHT), y: Scale::level(all, bottom, top) };
    grid(out, panel, &frame);
    for cut in &panel.cuts {
        let at = frame.x.map(*cut as f64 - 0.5);
        let _ = writeln!(out, r#"<line class="cut" x1="{at:.1}" x2="{at:.1}" y1="{top}" y2="{bottom}"/>"#);
    }
    panel.fans.iter().for_each(|fan| bands(out, fan, &frame));
    let _ = writeln!(out, r#"<path class="known" d="{}"/>"#, line(&panel.values, 0, &frame));
    dots(out, &panel.values, 0, "#8c959f", &frame);
    for fan in &panel.fans {
        let colour = COLOURS[fan.colour % COLOURS.len()];
        let _ = writeln!(out, r#"<path class="point" stroke="{colour}" d="{}"/>"#, line(&fan.point, fan.start, &frame));
        dots(out, &fan.point, fan.start, colour, &frame);
    }
    names(out, panel, &frame);
}

fn grid(out: &mut String, panel: &Panel, frame: &Frame) {
    let (left, right) = (LEFT, WIDTH - RIGHT);
    let _ =
        writeln!(out, r#"<text class="name" x="{LEFT}" y="{:.1}">{}</text>"#, frame.top - 9.0, escape(&panel.title));
    for v in frame.y.linear_ticks(4.0) {
        let at = frame.y.map(v);
        let _ = writeln!(out, r#"<line class="grid" x1="{left}" x2="{right}" y1="{at:.1}" y2="{at:.1}"/>"#);
        let _ =
            writeln!(out, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#, left - 10.0, at + 4.5, short(v));
    }
    let bottom = frame.bottom;
    let _ = writeln!(out, r#"<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>"#);
    // The longest label decides how many fit.
    let wide = panel.labels.iter().map(String::len).max().unwrap_or(1) as f64 * 8.0 + 16.0;
    let fit = (((right - left) / wide) as usize).clamp(1, DATES);
    let every = panel.labels.len().div_ceil(fit).max(1);
    for (i, label) in panel.labels.iter().enumerate().step_by(every) {
        let half = label.chars().count() as f64 * 4.0 + 4.0;
        let _ = writeln!(
            out,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            frame.x.map(i as f64).min(WIDTH - half).max(half),
            bottom + 19.0,
            escape(label)
        );
    }
}

fn bands(out: &mut String, fan: &Fan, frame: &Frame) {
    let colour = COLOURS[fan.colour % COLOURS.len()];
    for band in &fan.bands {
        // A single step has a width as well.
        let sides: &[f64] = if band.low.len() == 1 { &[-4.0, 4.0] } else { &[0.0] };
        let place = |i: usize, side: f64, v: f64| {
            format!("{:.1} {:.1}", frame.x.map((fan.start + i) as f64) + side, frame.y.map(v))
        };
        let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
        if !finite(&band.low) || !finite(&band.high) {
            continue;
        }
        let up = band.high.iter().enumerate().flat_map(|(i, v)| sides.iter().map(move |side| place(i, *side, *v)));
        let low = band.low.iter().enumerate().rev();
        let down = low.flat_map(|(i, v)| sides.iter().rev().map(move |side| place(i, *side, *v)));
        let path: Vec<String> = up.chain(down).collect();
        let _ = writeln!(out, r#"<path class="band" fill="{colour}" d="M{}Z"/>"#, path.join("L"));
    }
}

/// Values without neighbours, of which no line is made.
fn dots(out: &mut String, values: &[f64], start: usize, colour: &str, frame: &Frame) {
    let is_there = |i: Option<usize>| i.and_then(|i| values.get(i)).is_some_and(|v| v.is_finite());
    for (i, v) in values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
        if !is_there(i.checked_sub(1)) && !is_there(Some(i + 1)) {
            let (x, y) = (frame.x.map((start + i) as f64), frame.y.map(*v));
            let _ = writeln!(out, r#"<circle fill="{colour}" cx="{x:.1}" cy="{y:.1}" r="3"/>"#);
        }
    }
}

fn line(values: &[f64], start: usize, frame: &Frame) -> String {
    let mut path = String::new();
    let mut pen = 'M';
    for (i, v) in values.iter().enumerate() {
        if v.is_finite() {
            let _ = write!(path, "{pen}{:.1} {:.1}", frame.x.map((start + i) as f64), frame.y.map(*v));
        }
        pen = if v.is_finite() { 'L' } else { 'M' };
    }
    path
}

/// The models' names at the ends of their last lines, moved apart where they would overlap.
fn names(out: &mut String, panel: &Panel, frame: &Frame) {
    let mut ends: Vec<(f64, &Fan)> = Vec::new();
    for fan in panel.fans.iter().rev() {
        let last = fan.point.iter().rev().copied().find(|v| v.is_finite());
        if let Some(v) = last.filter(|_| !ends.iter().any(|(_, other)| other.colour == fan.colour)) {
            ends.push((frame.y.map(v).clamp(frame.top, frame.bottom), fan));
        }
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let places = apart(ends.iter().map(|end| end.0), frame.bottom);
    for ((_, fan), at) in ends.into_iter().zip(places) {
        let colour = COLOURS[fan.colour % COLOURS.len()];
        let _ = writeln!(
            out,
            r#"<text class="label" style="fill:{colour}" x="{:.1}" y="{:.1}">{}</text>"#,
            WIDTH - RIGHT + 8.0,
            at + 4.5,
            escape(&fan.label)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(values: Vec<f64>, point: Vec<f64>) -> Picture {
        let n = values.len();
        let bands =
            vec![Band { low: point.iter().map(|v| v - 1.0).collect(), high: point.iter().map(|v| v + 1.0).collect() }];
        let labels = (0..n + point.len()).map(|i| format!("2024-{i:02}")).collect();
        let fans = vec![Fan { label: "A<B".into(), colour: 0, start: n, point, bands }];
        Picture {
            title: "a < b".into(),
            subtitle: String::new(),
            panels: vec![Panel { title: "x".into(), values, cuts: vec![n], labels, fans }],
        }
    }

    #[test]
    fn text_is_escaped_and_nothing_is_nan() {
        for (values, point) in [
            (vec![], vec![1.0]),
            (vec![1.0, f64::NAN, 2.0], vec![3.0, f64::INFINITY]),
            (vec![5.0; 4], vec![5.0; 2]),
            (vec![1.0, 2.0], vec![]),
        ] {
            let text = svg(&picture(values, point));
            assert!(text.contains("a &lt; b") && !text.contains("a < b") && !text.contains("A<B"));
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
        assert!(
            svg(&Picture { title: String::new(), subtitle: String::new(), panels: Vec::new() }).ends_with("</svg>\n")
        );
    }

    #[test]
    fn a_band_of_one_step_can_be_seen() {
        let text = svg(&picture(vec![1.0, 2.0], vec![3.0]));
        let band = text.lines().find(|line| line.contains("class=\"band\"")).unwrap();
        let xs: std::collections::BTreeSet<&str> =
            band.split(['M', 'L']).skip(1).map(|point| point.split(' ').next().unwrap()).collect();
        assert_eq!(xs.len(), 2, "{band}");
    }

    #[test]
    fn a_forecast_goes_on_where_its_series_ends() {
        let text = svg(&picture(vec![1.0, 2.0, 3.0], vec![4.0, 5.0]));
        let path = |class: &str| {
            let at = text.find(&format!("class=\"{class}\"")).unwrap();
            let from = text[at..].find(" d=\"").unwrap() + at + 4;
            text[from..from + text[from..].find('"').unwrap()].to_owned()
        };
        let xs = |path: &str| -> Vec<f64> {
            path.split(['M', 'L']).skip(1).map(|p| p.split(' ').next().unwrap().parse().unwrap()).collect()
        };
        let (known, point) = (xs(&path("known")), xs(&path("point")));
        assert_eq!((known.len(), point.len()), (3, 2));
        let step = known[1] - known[0];
        assert!((point[0] - known[2] - step).abs() < 0.2 && (known[0] - LEFT).abs() < 0.1);
    }
}
