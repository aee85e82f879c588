//! The table for people and the lines for programs.

use crate::contest::Times;
use serde_json::{Value, json};

/// One case against one peer.
pub struct Row {
    pub case: String,
    pub peer: &'static str,
    pub ours: Option<Times>,
    pub ours_how: Option<String>,
    pub theirs: Times,
    pub theirs_how: String,
    pub floor: Option<f64>,
}

impl Row {
    /// Their best time over ours: how many times faster we are.
    pub fn ratio(&self) -> Option<f64> {
        self.ours.map(|ours| self.theirs.best_us / ours.best_us)
    }

    pub fn verdict(&self) -> &'static str {
        match (self.ratio(), self.floor) {
            (Some(ratio), Some(floor)) if ratio >= floor => "met",
            (Some(_), Some(_)) => "MISSED",
            _ => "",
        }
    }
}

/// Times are the best of the rounds; the medians stand beside them.
pub fn json(row: &Row) -> Value {
    json!({
        "case": row.case,
        "peer": row.peer,
        "ours_us": row.ours.map(|t| t.best_us),
        "peer_us": row.theirs.best_us,
        "ratio": row.ratio(),
        "ours_median_us": row.ours.map(|t| t.median_us),
        "peer_median_us": row.theirs.median_us,
        "floor": row.floor,
        "how": row.theirs_how,
        "ours_how": row.ours_how,
    })
}

pub fn table(rows: &[Row]) -> String {
    let head = ["case", "peer", "ours µs", "(median)", "peer µs", "(median)", "ratio", "floor", ""].map(String::from);
    let lines: Vec<[String; 9]> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..9).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let cell = |(at, text): (usize, &String)| {
            if at < 2 || at == 8 {
                format!("{text:<w$}", w = widths[at])
            } else {
                format!("{text:>w$}", w = widths[at])
            }
        };
        let cells: Vec<String> = line.iter().enumerate().map(cell).collect();
        out += &format!("{}\n", cells.join("  ").trim_end());
    }
    out + &legend(rows)
}

fn cells(row: &Row) -> [String; 9] {
    let us = |t: Option<Times>, of: fn(Times) -> f64| t.map_or_else(|| "-".into(), |t| format!("{:.3}", of(t)));
    let ratio = |r: Option<f64>| r.map_or_else(|| "-".into(), |r| format!("{r:.2}"));
    [
        row.case.clone(),
        row.peer.into(),
        us(row.ours, |t| t.best_us),
        us(row.ours, |t| t.median_us),
        us(Some(row.theirs), |t| t.best_us),
        us(Some(row.theirs), |t| t.median_us),
        ratio(row.ratio()),
        ratio(row.floor),
        row.verdict().into(),
    ]
}

/// How everyone was called.
fn legend(rows: &[Row]) -> String {
    let ours = rows.iter().filter_map(|row| Some(("ours", row.ours_how.as_ref()?.as_str())));
    let mut hows: Vec<(&str, &str)> = ours.chain(rows.iter().map(|row| (row.peer, row.theirs_how.as_str()))).collect();
    hows.sort_unstable();
    hows.dedup();
    let lines = hows.iter().map(|(who, how)| format!("  {who}: {how}\n")).collect::<String>();
    format!(
        "\nratio = best peer time / best of ours, one thread each, rounds interleaved. How each was called:\n{lines}"
    )
}
