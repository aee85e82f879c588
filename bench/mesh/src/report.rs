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

/// Times of answers, which are in milliseconds: percentiles of all answers of all rounds. Everything else: the median of the rounds.
fn figures(row: &Row, whose: &str) -> Vec<(&'static str, f64)> {
    let Some(rounds) = row.rounds.get(whose) else { return Vec::new() };
    let all = sorted(rounds.concat());
    match row.name.ends_with(", ms") {
        true => [("p50", 50), ("p95", 95), ("p99", 99)].map(|(name, percent)| (name, percentile(&all, percent))).into(),
        false => vec![("median", percentile(&all, 50))],
    }
}

pub fn print(rows: &[Row], columns: &[&str], json: bool) {
    if !json {
        println!("| what | | {} |\n|---|---|{}", columns.join(" | "), "---|".repeat(columns.len()));
    }
    for row in rows {
        let all: Vec<Vec<(&str, f64)>> = columns.iter().map(|whose| figures(row, whose)).collect();
        let names: Vec<&str> =
            all.iter().find(|figures| !figures.is_empty()).into_iter().flatten().map(|(name, _)| *name).collect();
        for (i, name) in names.iter().enumerate() {
            let values = || all.iter().map(|figures| figures.get(i).map(|(_, value)| *value));
            if json {
                let mut object = serde_json::json!({ "what": row.name, "figure": name });
                columns.iter().zip(values()).for_each(|(whose, value)| object[*whose] = value.into());
                println!("{object}");
            } else {
                println!("| {} | {name} | {} |", row.name, values().map(text).collect::<Vec<_>>().join(" | "));
            }
        }
    }
}

fn text(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    })
}
