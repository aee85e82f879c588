//! Rows for people and for programs.

use serde_json::{Map, Value, json};

/// One measurement: what, and its figures by name in order.
pub struct Row {
    pub bench: String,
    pub figures: Vec<(&'static str, Value)>,
}

impl Row {
    pub fn new(bench: impl Into<String>, figures: Vec<(&'static str, Value)>) -> Self {
        Self { bench: bench.into(), figures }
    }
}

pub fn print(rows: &[Row], json: bool) {
    for row in rows {
        if json {
            let mut object = Map::from_iter([("bench".to_string(), json!(row.bench))]);
            object.extend(row.figures.iter().map(|(name, value)| (name.to_string(), value.clone())));
            println!("{}", Value::Object(object));
        } else {
            let figures: Vec<String> =
                row.figures.iter().map(|(name, value)| format!("{name} {}", shown(value))).collect();
            println!("{:<34} {}", row.bench, figures.join("  "));
        }
    }
}

fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if !value.is_u64() => format!("{number:.2}"),
        _ => value.to_string(),
    }
}

/// The middle one; of an even number, the upper of the two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
