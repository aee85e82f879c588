//! The picture of a swarm: members and links, and the spread of one write over time.

use serde_json::Value;
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 520.0;
const CENTRE: (f64, f64) = (250.0, 280.0);
const RADIUS: f64 = 165.0;
/// The time axis.
const LEFT: f64 = 560.0;
const RIGHT: f64 = 920.0;
const TOP: f64 = 110.0;
const BOTTOM: f64 = 450.0;

/// `statuses` of every node, and the milliseconds after which each had the write, by node.
pub fn draw(statuses: &[Value], spread_ms: &[f64]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fcfcf9\"/>\n"
    );
    let topology = statuses.first().and_then(|s| s["topology"].as_str()).unwrap_or_default();
    title(&mut svg, 40.0, &format!("{} members, {topology}", statuses.len()));
    title(&mut svg, LEFT - 40.0, "One write, until each member had it");
    links(&mut svg, statuses);
    members(&mut svg, statuses);
    spread(&mut svg, spread_ms);
    svg + "</svg>\n"
}

fn title(svg: &mut String, x: f64, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"50\" font-size=\"18\" font-weight=\"bold\" fill=\"#223\">{text}</text>");
}

fn place(i: usize, n: usize, radius: f64) -> (f64, f64) {
    let angle = i as f64 / n as f64 * std::f64::consts::TAU - std::f64::consts::FRAC_PI_2;
    (CENTRE.0 + radius * angle.cos(), CENTRE.1 + radius * angle.sin())
}

fn links(svg: &mut String, statuses: &[Value]) {
    let index = |id: &Value| statuses.iter().position(|status| &status["id"] == id);
    for (i, status) in statuses.iter().enumerate() {
        let neighbours = status["neighbours"].as_array().into_iter().flatten();
        for j in neighbours.filter_map(index) {
            let ((x, y), (u, v)) = (place(i, statuses.len(), RADIUS), place(j, statuses.len(), RADIUS));
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{u:.1}\" y2=\"{v:.1}\" stroke=\"#8aa4c8\" stroke-opacity=\"0.6\" stroke-width=\"1.5\"/>"
            );
        }
    }
}

fn members(svg: &mut String, statuses: &[Value]) {
    for (i, status) in statuses.iter().enumerate() {
        let ((x, y), (u, v)) = (place(i, statuses.len(), RADIUS), place(i, statuses.len(), RADIUS + 26.0));
        let name: String = status["id"].as_str().unwrap_or_default().chars().take(6).collect();
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"15\" fill=\"#2c5f9e\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#fff\">{i}</text>\
             <text x=\"{u:.1}\" y=\"{:.1}\" text-anchor=\"{}\" fill=\"#556\">{name}</text>",
            y + 4.5,
            v + 4.5,
            anchor(u)
        );
    }
}

/// Names beside the circle grow away from it.
fn anchor(x: f64) -> &'static str {
    match x - CENTRE.0 {
        right if right > 20.0 => "start",
        left if left < -20.0 => "end",
        _ => "middle",
    }
}

fn spread(svg: &mut String, spread_ms: &[f64]) {
    let last = spread_ms.iter().copied().fold(1.0, f64::max);
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0].into_iter().find(|s| last / s <= 6.0);
    let step = step.unwrap_or(last / 4.0);
    let end = (last / step).ceil() * step;
    let x = |ms: f64| LEFT + ms / end * (RIGHT - LEFT);
    for tick in 0..=(end / step) as usize {
        let (ms, at) = (tick as f64 * step, x(tick as f64 * step));
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{BOTTOM}\" stroke=\"#dde\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#556\">{ms:.0} ms</text>",
            BOTTOM + 22.0
        );
    }
    let row = (BOTTOM - TOP) / spread_ms.len().max(1) as f64;
    for (i, &ms) in spread_ms.iter().enumerate() {
        let y = TOP + row * (i as f64 + 0.5);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#556\">{i}</text>\
             <line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#d9822b\" stroke-width=\"3\"/>\
             <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"6\" fill=\"#d9822b\"/>",
            LEFT - 14.0,
            y + 4.5,
            x(ms),
            x(ms)
        );
    }
}
