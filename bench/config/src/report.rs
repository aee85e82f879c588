//! Rows, with the bar beside the figure.

use crate::time::Times;

pub struct Row {
    pub name: String,
    /// What its median is to be at most.
    pub bar: Option<f64>,
    /// What configmesh published for the same loop.
    pub published: Option<f64>,
    pub times: Times,
}

impl Row {
    pub fn new(name: &str, times: Times) -> Self {
        Self { name: name.into(), bar: None, published: None, times }
    }

    pub fn held(self, bar: f64, published: f64) -> Self {
        Self { bar: Some(bar), published: Some(published), ..self }
    }
}

pub fn head(json: bool) {
    if !json {
        println!("| ns a call | median | least | p95 | bar | configmesh, published |\n|---|---|---|---|---|---|");
    }
}

pub fn row(row: &Row, json: bool) {
    let [median, least, p95] = [50, 0, 95].map(|percent| row.times.at(percent));
    let verdict = row.bar.map(|bar| if median <= bar { "met" } else { "missed" });
    if json {
        let Row { name, bar, published, .. } = row;
        println!(
            "{}",
            serde_json::json!({
                "what": name, "median_ns": median, "least_ns": least, "p95_ns": p95, "bar_ns": bar, "verdict": verdict,
                "configmesh_published_ns": published,
            })
        );
        return;
    }
    let bar = row.bar.zip(verdict).map_or("–".into(), |(bar, verdict)| format!("{bar:.0}, {verdict}"));
    let published = row.published.map_or("–".into(), |published| format!("{published:.0}"));
    println!("| {} | {median:.0} | {least:.0} | {p95:.0} | {bar} | {published} |", row.name);
}
