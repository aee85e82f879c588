//! Rows: ours and etcd's beside each other.

use std::collections::BTreeMap;

pub struct Row {
    name: String,
    /// By whose it is, round by round: everything that was measured.
    rounds: BTreeMap<&'static str, Vec<Vec<f64>>>,
}

pub fn add(rows: &mut Vec<Row>, name: &str, whose: &'static str, values: Vec<f64>) {
    let place = rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
        rows.push(Row { name: name.into(), rounds: BTreeMap::new() });
        rows.len() - 1
    });
    rows[place].rounds.entry(whose).or_default().push(values);
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Rates and processor time: the median of the rounds. Times: percentiles of all answers of all rounds.
fn figures(row: &Row, whose: &str) -> Vec<(&'static str, f64)> {
    let Some(rounds) = row.rounds.get(whose) else { return Vec::new() };
    let all = sorted(rounds.concat());
    match row.name.ends_with("1/s") || row.name.contains("processor") {
        true => vec![("median", percentile(&all, 50))],
        false => {
            [("p50", 50), ("p95", 95), ("p99", 99)].map(|(name, percent)| (name, percentile(&all, percent))).into()
        }
    }
}

pub fn print(rows: &[Row], json: bool) {
    if !json {
        println!("| what | | mayfly | etcd |\n|---|---|---|---|");
    }
    for row in rows {
        let [ours, theirs] = ["mayfly", "etcd"].map(|whose| figures(row, whose));
        let names: Vec<&str> = if ours.is_empty() { &theirs } else { &ours }.iter().map(|(name, _)| *name).collect();
        for (i, name) in names.iter().enumerate() {
            let [ours, theirs] = [&ours, &theirs].map(|figures| figures.get(i).map(|(_, value)| *value));
            if json {
                println!("{}", serde_json::json!({ "what": row.name, "figure": name, "mayfly": ours, "etcd": theirs }));
            } else {
                let text = |value: Option<f64>| {
                    value.map_or("–".into(), |value| match value.abs() {
                        100.0.. => format!("{value:.0}"),
                        10.0.. => format!("{value:.1}"),
                        _ => format!("{value:.2}"),
                    })
                };
                println!("| {} | {name} | {} | {} |", row.name, text(ours), text(theirs));
            }
        }
    }
}
