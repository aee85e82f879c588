//! Heat maps as SVG: for each step of a forecast what raises and what lowers it, over time, and beside it what does not belong to a time.
use super::plot::{COLOURS, escape};
use mayfly_format::figure;
use std::fmt::Write;

const WIDTH: f64 = 820.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 84.0;
/// Room for a panel's title above its cells and for labels below.
const ABOVE: f64 = 26.0;
const BELOW: f64 = 54.0;
/// The height that the rows of a panel share, and that of one at least and at most.
const ROWS: f64 = 240.0;
const LEAST: f64 = 3.0;
const MOST: f64 = 22.0;
/// The width of a column beside the map, and the room before the first.
const COLUMN: f64 = 66.0;
const GAP: f64 = 18.0;
/// Dates along a map, at most.
const DATES: usize = 6;
/// Cells that are as good as empty are not drawn.
const FAINT: f64 = 0.004;

/// A picture of some maps.
pub struct Picture {
    pub title: String,
    pub subtitle: String,
    pub panels: Vec<Panel>,
}

/// One map.
pub struct Panel {
    pub title: String,
    /// Labels of the rows.
    pub rows: Vec<String>,
    /// Columns along time.
    pub past: Vec<Column>,
    /// Columns beside.
    pub beside: Vec<Column>,
}

/// A column of a map, with a value in each row.
pub struct Column {
    pub label: String,
    pub values: Vec<f64>,
}

impl Panel {
    fn row(&self) -> f64 {
        (ROWS / self.rows.len().max(1) as f64).clamp(LEAST, MOST)
    }

    fn height(&self) -> f64 {
        ABOVE + self.row() * self.rows.len() as f64 + BELOW
    }

    /// The largest value without its sign, which has the full colour.
    fn most(&self) -> f64 {
        let all = self.past.iter().chain(&self.beside).flat_map(|column| &column.values);
        all.map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max)
    }

    /// Where the columns along time end.
    fn end(&self) -> f64 {
        let beside = self.beside.len() as f64 * COLUMN;
        WIDTH - RIGHT - if self.beside.is_empty() { 0.0 } else { beside + GAP }
    }
}

/// Draws the picture.
pub fn svg(picture: &Picture) -> String {
    let height = TOP + picture.panels.iter().map(Panel::height).sum::<f64>().max(40.0);
    let mut out = String::new();
    head(&mut out, picture, height);
    let mut top = TOP;
    for panel in &picture.panels {
        draw(&mut out, panel, top + ABOVE);
        top += panel.height();
    }
    out += "</svg>\n";
    out
}

fn head(out: &mut String, picture: &Picture, height: f64) {
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.1}" width="{WIDTH}" height="{height:.1}" role="img" aria-label="{title}">
<style>
.bg{{fill:#fff}} text{{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#57606a}} .title{{font-size:18px;font-weight:600;fill:#1f2328}} .name{{font-weight:600}} .small{{font-size:11px}}
.frame{{fill:none;stroke:#d8dee4;stroke-width:1}} .up{{fill:{up}}} .down{{fill:{down}}}
@media (prefers-color-scheme:dark){{.bg{{fill:#0d1117}} text{{fill:#9198a1}} .title{{fill:#f0f6fc}} .frame{{stroke:#21262d}}}}
</style>
<rect class="bg" width="{WIDTH}" height="{height:.1}" rx="8"/>
<text class="title" x="24" y="34">{title}</text>
<text x="24" y="56">{subtitle}</text>"##,
        title = escape(&picture.title),
        subtitle = escape(&picture.subtitle),
        up = COLOURS[1],
        down = COLOURS[0],
    );
}

fn draw(out: &mut String, panel: &Panel, top: f64) {
    let (row, most, end) = (panel.row(), panel.most(), panel.end());
    let bottom = top + row * panel.rows.len() as f64;
    let _ = writeln!(out, r#"<text class="name" x="24" y="{:.1}">{}</text>"#, top - 9.0, escape(&panel.title));
    legend(out, most, top - 9.0);
    let wide = (end - LEFT).max(1.0) / panel.past.len().max(1) as f64;
    for (i, column) in panel.past.iter().enumerate() {
        cells(out, column, [LEFT + i as f64 * wide, top], [wide, row], most);
    }
    for (i, column) in panel.beside.iter().enumerate() {
        let left = end + GAP + i as f64 * COLUMN;
        cells(out, column, [left, top], [COLUMN - 4.0, row], most);
        let _ = writeln!(
            out,
            r#"<text class="small" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            left + COLUMN / 2.0 - 2.0,
            bottom + 17.0,
            escape(&cut(&column.label, 11))
        );
        frame(out, [left, top], [COLUMN - 4.0, bottom - top]);
    }
    frame(out, [LEFT, top], [end - LEFT, bottom - top]);
    labels(out, panel, [top, bottom], wide);
}

fn frame(out: &mut String, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
    let _ = writeln!(out, r#"<rect class="frame" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#);
}

fn cells(out: &mut String, column: &Column, [left, top]: [f64; 2], [width, height]: [f64; 2], most: f64) {
    for (i, value) in column.values.iter().enumerate() {
        let share = if most > 0.0 { value.abs() / most } else { 0.0 };
        if !(share > FAINT) {
            continue;
        }
        let class = if *value > 0.0 { "up" } else { "down" };
        let _ = writeln!(
            out,
            r#"<rect class="{class}" opacity="{share:.3}" x="{left:.2}" y="{:.2}" width="{width:.2}" height="{height:.2}"/>"#,
            top + i as f64 * height
        );
    }
}

/// The rows' names on the left, times below: as many as there is room for.
fn labels(out: &mut String, panel: &Panel, [top, bottom]: [f64; 2], wide: f64) {
    let row = panel.row();
    let every = (16.0 / row).ceil().max(1.0) as usize;
    for (i, label) in panel.rows.iter().enumerate().step_by(every) {
        let y = top + (i as f64 + 0.5) * row + 4.5;
        let _ = writeln!(
            out,
            r#"<text x="{:.1}" y="{y:.1}" text-anchor="end">{}</text>"#,
            LEFT - 8.0,
            escape(&cut(label, 12))
        );
    }
    let longest = panel.past.iter().map(|column| column.label.chars().count()).max().unwrap_or(1) as f64 * 8.0 + 16.0;
    let fit = ((wide * panel.past.len() as f64 / longest) as usize).clamp(1, DATES);
    let every = panel.past.len().div_ceil(fit).max(1);
    // Counted from the last value, which is the one that people look for.
    for (i, column) in panel.past.iter().enumerate().rev().step_by(every) {
        // The last one ends where the columns beside begin.
        let is_last = i + 1 == panel.past.len();
        let (x, anchor) =
            (LEFT + (i as f64 + if is_last { 1.0 } else { 0.5 }) * wide, if is_last { "end" } else { "middle" });
        let label = escape(&column.label);
        let _ = writeln!(out, r#"<text x="{x:.1}" y="{:.1}" text-anchor="{anchor}">{label}</text>"#, bottom + 17.0);
    }
}

/// From what lowers most to what raises most.
fn legend(out: &mut String, most: f64, y: f64) {
    const STEPS: i32 = 6;
    const SIDE: f64 = 9.0;
    let right = WIDTH - RIGHT;
    let number = figure(most);
    let numbers = number.chars().count() as f64 * 8.0 + 14.0;
    let left = right - numbers - f64::from(2 * STEPS + 1) * SIDE;
    let _ = writeln!(out, r#"<text x="{right:.1}" y="{y:.1}" text-anchor="end">+{number}</text>"#);
    let _ = writeln!(out, r#"<text x="{:.1}" y="{y:.1}" text-anchor="end">−{number}</text>"#, left - 6.0);
    for i in -STEPS..=STEPS {
        let class = if i > 0 { "up" } else { "down" };
        let _ = writeln!(
            out,
            r#"<rect class="{class}" opacity="{:.3}" x="{:.1}" y="{:.1}" width="{SIDE}" height="11"/>"#,
            f64::from(i.abs()) / f64::from(STEPS),
            left + f64::from(i + STEPS) * SIDE,
            y - 10.0
        );
    }
}

/// A name that fits, with dots where it does not.
fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(label: &str, values: &[f64]) -> Column {
        Column { label: label.into(), values: values.to_vec() }
    }

    #[test]
    fn cells_have_the_colour_and_strength_of_their_values() {
        let panel = Panel {
            title: "A<B".into(),
            rows: vec!["1".into(), "2".into()],
            past: vec![column("t", &[4.0, -2.0]), column("u", &[0.0, f64::NAN])],
            beside: vec![column("a & b", &[-8.0, 0.0])],
        };
        let text = svg(&Picture { title: "t".into(), subtitle: String::new(), panels: vec![panel] });
        let map = &text[text.find("+8.000").unwrap()..];
        let cells: Vec<&str> =
            map.lines().filter(|line| line.contains("width=\"") && line.contains("opacity")).skip(13).collect();
        let starts = |line: &str, start: &str| assert!(line.starts_with(start), "{line}");
        assert_eq!(cells.len(), 3, "{cells:?}");
        starts(cells[0], r#"<rect class="up" opacity="0.500""#);
        starts(cells[1], r#"<rect class="down" opacity="0.250""#);
        starts(cells[2], r#"<rect class="down" opacity="1.000""#);
        assert!(text.contains("A&lt;B") && text.contains("a &amp; b") && !text.contains("NaN"), "{text}");
    }

    #[test]
    fn nothing_and_much_are_drawn_too() {
        assert!(
            svg(&Picture { title: String::new(), subtitle: String::new(), panels: Vec::new() }).ends_with("</svg>\n")
        );
        let rows = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        for (steps, times) in [(0, 0), (1, 0), (0, 3), (200, 500)] {
            let past = (0..times).map(|i| column(&format!("2024-01-{i:03}"), &vec![i as f64 - 3.0; steps])).collect();
            let panel = Panel { title: String::new(), rows: rows(steps), past, beside: Vec::new() };
            let text = svg(&Picture { title: String::new(), subtitle: String::new(), panels: vec![panel] });
            assert!(!text.contains("NaN") && !text.contains("inf"), "{steps} {times}");
        }
    }
}
