//! What people are told of runs.

use crate::support::ui::grouped;
use serde_json::Value;

/// The runs of a node, a line each.
pub fn runs(answer: &Value) -> String {
    let runs: Vec<String> = answer["runs"].as_array().into_iter().flatten().map(run).collect();
    if runs.is_empty() { "this node takes part in no run".into() } else { runs.join("\n") }
}

fn run(progress: &Value) -> String {
    let text = |name: &str| progress[name].as_str().unwrap_or_default().to_owned();
    let name = progress["call"].as_str().map_or_else(|| text("run"), str::to_owned);
    let id: String = name.chars().take(10).collect();
    if let Some(error) = progress["error"].as_str() {
        return format!("{id}  ended here: {}", crate::support::text::plain(error));
    }
    let number = |name: &str| progress[name].as_u64().unwrap_or(0);
    if let Some(awaited) = progress["awaited"].as_u64() {
        let answered = progress["answers"].as_u64().map_or_else(String::new, |n| format!(" {n} of"));
        return format!(
            "{id}  {}, {}: waits until{answered} {awaited} nodes have said what their rows are like",
            text("name"),
            text("mode")
        );
    }
    let members = number("members");
    if members == 0 {
        return format!("{id}  {}, {}: waits for others", text("name"), text("mode"));
    }
    let loss = progress["loss"].as_f64().map_or_else(String::new, |loss| format!(", loss {loss:.4}"));
    let state = if progress["has_left"].as_bool() == Some(true) {
        "has left".to_owned()
    } else if progress["is_over"].as_bool() == Some(true) {
        "over".to_owned()
    } else {
        match progress["steps_total"].as_u64() {
            Some(total) => format!("step {} of {total}", number("steps")),
            None => format!("round {} of {}", number("round"), number("rounds")),
        }
    };
    let sent = grouped(number("bytes_sent") as usize);
    format!("{id}  {}, {}: {state}, {members} nodes{loss}, {sent} bytes sent", text("name"), text("mode"))
}
