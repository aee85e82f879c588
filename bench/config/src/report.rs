//! Rows, with the bar beside the figure.

use crate::time::Times;
use anyhow::{Result, bail};

/// What a figure is held against, in nanoseconds a call.
#[derive(Clone, Copy)]
pub struct Bar {
    /// What a median is to be at most.
    pub ns: f64,
    /// What configmesh published for the same loop.
    pub published: f64,
}

pub const GET: Option<Bar> = Some(Bar { ns: 100.0, published: 103.0 });
pub const SET: Option<Bar> = Some(Bar { ns: 600.0, published: 580.0 });
pub const WATCH: Option<Bar> = Some(Bar { ns: 250.0, published: 248.0 });

/// Measures the rows that are wanted, and prints each when it has it.
pub struct Report {
    /// A part of the names of those that are wanted; all, when there is none.
    only: Option<String>,
    is_json: bool,
    rows: usize,
}

impl Report {
    pub fn new(only: Option<String>, is_json: bool) -> Self {
        if !is_json {
            println!("| ns a call | median | least | p95 | bar | configmesh, published |\n|---|---|---|---|---|---|");
        }
        Self { only, is_json, rows: 0 }
    }

    /// A row, under the name that is printed. What is not wanted is not measured.
    pub fn row(&mut self, name: &str, bar: Option<Bar>, measure: impl FnOnce() -> Result<Times>) -> Result<()> {
        if self.only.as_ref().is_none_or(|only| name.contains(only)) {
            self.rows += 1;
            print(name, bar, &measure()?, self.is_json);
        }
        Ok(())
    }

    /// After the last row.
    pub fn end(self) -> Result<()> {
        match self.only {
            Some(only) if self.rows == 0 => bail!("no row has {only:?} in its name; without --only all are printed"),
            _ => Ok(()),
        }
    }
}

fn print(name: &str, bar: Option<Bar>, times: &Times, is_json: bool) {
    let [median, least, p95] = [50, 0, 95].map(|percent| times.at(percent));
    let verdict = bar.map(|bar| if median <= bar.ns { "met" } else { "missed" });
    if is_json {
        println!(
            "{}",
            serde_json::json!({
                "what": name, "median_ns": median, "least_ns": least, "p95_ns": p95, "bar_ns": bar.map(|bar| bar.ns), "verdict": verdict,
                "configmesh_published_ns": bar.map(|bar| bar.published),
            })
        );
        return;
    }
    let held = bar.zip(verdict).map_or("–".into(), |(bar, verdict)| format!("{:.0}, {verdict}", bar.ns));
    let published = bar.map_or("–".into(), |bar| format!("{:.0}", bar.published));
    println!("| {name} | {median:.0} | {least:.0} | {p95:.0} | {held} | {published} |");
}
