//! Writes over time, and what was done to the processes meanwhile.

use super::report::Played;
use crate::support::ui::grouped;
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 930.0;
const TOP: f64 = 120.0;
const BOTTOM: f64 = 360.0;
/// Of a column, in seconds.
const STEP: f64 = 0.1;
const OURS: &str = "#2c5f9e";
const THEIRS: &str = "#d9822b";

pub fn draw(ours: &Played, theirs: Option<&Played>) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fcfcf9\"/>\n\
         <text x=\"{LEFT}\" y=\"38\" font-size=\"18\" font-weight=\"bold\" fill=\"#223\">Writes a second, acknowledged by {} members</text>\n",
        ours.nodes
    );
    let (rates, others) = (rates(ours), theirs.map(rates));
    let most = rates.iter().chain(others.iter().flatten()).copied().fold(1.0, f64::max);
    let top = nice(most);
    let x = |seconds: f64| LEFT + seconds / ours.seconds as f64 * (RIGHT - LEFT);
    let y = |rate: f64| BOTTOM - rate / top * (BOTTOM - TOP);
    axes(&mut svg, top, ours.seconds as f64, &x, &y);
    marks(&mut svg, ours, &x);
    let path = |rates: &[f64]| {
        let point = |(i, rate): (usize, &f64)| format!("{:.1},{:.1} ", x((i as f64 + 0.5) * STEP), y(*rate));
        rates.iter().enumerate().map(point).collect::<String>()
    };
    let line = path(&rates);
    let _ = writeln!(
        svg,
        "<polygon points=\"{:.1},{BOTTOM} {line}{:.1},{BOTTOM}\" fill=\"{OURS}\" fill-opacity=\"0.12\"/>\
         <polyline points=\"{line}\" fill=\"none\" stroke=\"{OURS}\" stroke-width=\"1.8\"/>",
        x(STEP / 2.0),
        x((rates.len() as f64 - 0.5) * STEP)
    );
    if let Some(others) = others {
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{THEIRS}\" stroke-width=\"1.4\"/>\
             <text x=\"{RIGHT}\" y=\"38\" text-anchor=\"end\"><tspan fill=\"{OURS}\" font-weight=\"bold\">mayfly</tspan>\
             <tspan fill=\"{THEIRS}\" font-weight=\"bold\" dx=\"14\">etcd, killed only</tspan></text>",
            path(&others)
        );
    }
    svg + "</svg>\n"
}

/// Acknowledged writes a second, column by column.
fn rates(played: &Played) -> Vec<f64> {
    let mut rates = vec![0.0; (played.seconds as f64 / STEP) as usize];
    for (_, answered) in &played.writes {
        if let Some(rate) = rates.get_mut((*answered as f64 / 1e6 / STEP) as usize) {
            *rate += 1.0 / STEP;
        }
    }
    rates
}

/// The next number whose quarters are round, too.
fn nice(most: f64) -> f64 {
    let power = 10f64.powf(most.log10().floor());
    let round = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0];
    round.into_iter().map(|factor| factor * power).find(|top| *top >= most).unwrap_or(most)
}

fn axes(svg: &mut String, top: f64, seconds: f64, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
    for part in 0..=4 {
        let rate = top * f64::from(part) / 4.0;
        let at = y(rate);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"#dde\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#556\">{}</text>",
            LEFT - 10.0,
            at + 4.5,
            grouped(rate.round() as usize)
        );
    }
    let step =
        [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0].into_iter().find(|step| seconds / step <= 12.0).unwrap_or(600.0);
    for tick in 0..=(seconds / step) as usize {
        let at = tick as f64 * step;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#556\">{at:.0} s</text>",
            x(at),
            BOTTOM + 24.0
        );
    }
}

/// Kills as thin lines, which would run into each other with words; the rest with words, one above the other so that no line runs through them.
fn marks(svg: &mut String, played: &Played, x: &dyn Fn(f64) -> f64) {
    let kills = played.marks.iter().filter(|mark| mark.is_kill);
    let first = kills.clone().next().map(|mark| x(mark.at_us as f64 / 1e6));
    for mark in kills {
        let at = x(mark.at_us as f64 / 1e6);
        let _ = writeln!(svg, "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{BOTTOM}\" stroke=\"#b3261e\"/>");
    }
    if let Some(at) = first {
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{}\" fill=\"#b3261e\">kill -9 of the leader</text>", TOP - 10.0);
    }
    let others = played.marks.iter().skip(1).filter(|mark| !mark.is_kill);
    for (i, mark) in others.enumerate() {
        let at = x(mark.at_us as f64 / 1e6);
        let (anchor, from, above) =
            if at > WIDTH * 0.6 { ("end", at - 5.0, i.min(2)) } else { ("start", at + 5.0, 2 - i.min(2)) };
        let row = TOP - 28.0 - 18.0 * above as f64;
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{BOTTOM}\" stroke=\"#667\" stroke-dasharray=\"4 3\"/>\
             <text x=\"{from:.1}\" y=\"{row:.1}\" text-anchor=\"{anchor}\" fill=\"#334\">{}</text>",
            row - 10.0,
            mark.text
        );
    }
}
