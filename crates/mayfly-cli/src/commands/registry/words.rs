//! Versions and events, in words and as objects.

use crate::support::text::plain;
use mayfly_mesh::models::Manifest;
use mayfly_mesh::proto::modelspb::{Event, Stage, Version};
use serde_json::{Value, json};

pub fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Candidate => "candidate",
        Stage::Canary => "canary",
        Stage::Live => "live",
        Stage::Retired => "retired",
    }
}

/// As pumps@3.
pub fn called(version: &Version) -> String {
    format!("{}@{}", version.name, version.version)
}

/// Milliseconds since 1970 as a date and time, in UTC.
pub fn time(ms: i64) -> String {
    let second = jiff::Timestamp::from_second(ms.div_euclid(1_000));
    second.map_or_else(|_| format!("{ms} ms after 1970"), |time| time.to_string())
}

pub fn manifest(version: &Version) -> Option<Manifest> {
    Manifest::read(&version.signed.as_ref()?.manifest).ok()
}

pub fn version_json(version: &Version) -> Value {
    let manifest = manifest(version);
    let canary = version.canary.filter(|_| version.stage() == Stage::Canary).map(|canary| {
        json!({
            "share": f64::from(canary.permille) / 10.0,
            "shadow": canary.shadow,
            "least_calls": canary.least_calls,
            "most_errors": f64::from(canary.most_errors_permille) / 10.0,
            "most_p95": canary.most_p95_percent,
        })
    });
    json!({
        "name": version.name,
        "version": version.version,
        "stage": stage(version.stage()),
        "aliases": version.aliases,
        "canary": canary,
        "registered": time(version.time_ms),
        "bytes_are_kept": !version.forgotten,
        "manifest": manifest.and_then(|manifest| serde_json::to_value(manifest).ok()),
    })
}

/// A line of a list.
pub fn version_line(version: &Version) -> String {
    let manifest = manifest(version);
    let metrics = manifest.as_ref().map(|manifest| {
        let each = manifest.metrics.iter().take(3).map(|(name, value)| format!("{}={value:.4}", plain(name)));
        each.collect::<Vec<_>>().join(" ")
    });
    let aliases = if version.aliases.is_empty() { String::new() } else { format!(" ({})", version.aliases.join(", ")) };
    format!(
        "{:<24} {:<10} {}  {} {}{aliases}",
        called(version),
        stage(version.stage()),
        time(version.time_ms),
        manifest.map_or(0, |manifest| manifest.size),
        metrics.unwrap_or_default(),
    )
}

pub fn event_json(event: &Event) -> Value {
    json!({
        "version": event.version,
        "from": (!event.is_new).then(|| stage(event.from())),
        "to": stage(event.to()),
        "time": time(event.time_ms),
        "by": event.by,
        "reason": event.reason,
    })
}

pub fn event_line(event: &Event) -> String {
    let what =
        if event.is_new { "registered".into() } else { format!("{} → {}", stage(event.from()), stage(event.to())) };
    let reason = if event.reason.is_empty() { String::new() } else { format!(": {}", plain(&event.reason)) };
    format!("{}  {}@{} {what}, by {}{reason}", time(event.time_ms), event.name, event.version, plain(&event.by))
}
