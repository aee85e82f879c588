//! What `mayfly run` says.
use crate::support::metrics::{details, headline, object as figures, over};
use crate::support::text::hex;
use crate::support::ui::{Ui, grouped, seconds};
use anyhow::{Error, anyhow};
use mayfly_lifecycle::{Built, Candidate, Certificate, LifeError, Missed};
use serde_json::{Value, json};

/// Which network it is, and what it keeps to.
pub fn say_built(built: &Built, ui: Ui) {
    for (at, candidate) in built.candidates.iter().enumerate() {
        let chosen = if at == built.chosen { "  <- this one" } else { "" };
        ui.note(format!("  {}{chosen}", line(candidate)));
    }
    ui.note(format!("{}: {}", over(built.measured.over), headline(&built.measured)));
}

fn line(candidate: &Candidate) -> String {
    let hidden = match &candidate.hidden[..] {
        [] => "no hidden layer".to_owned(),
        layers => layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let score = candidate.score.map_or_else(|| "not trained".to_owned(), |score| format!("score {score:.4}"));
    let (parameters, bytes) = (grouped(candidate.parameters), grouped(candidate.memory_bytes));
    let latency = seconds(candidate.latency.as_secs_f64());
    format!("{hidden}: {parameters} parameters, {latency} a call, {bytes} bytes, {score}")
}

/// The figures, where no rows are answered.
pub fn measured(built: &Built) -> String {
    format!("{}: {}\n\n{}", over(built.measured.over), headline(&built.measured), details(&built.measured))
}

/// One line of what is left.
pub fn ended(certificate: &Certificate) -> String {
    let lived = seconds(certificate.lived_ns as f64 / 1e9);
    let (calls, bytes) = (certificate.calls, grouped(certificate.wiped.bytes() as usize));
    format!("dissolved after {lived} and {calls} calls: {bytes} bytes wiped; pages: {}", certificate.protection)
}

/// A limit by the name of its option.
pub fn as_flags(error: LifeError) -> Error {
    let (missed, candidates) = match &error {
        LifeError::Infeasible { missed, candidates } => (missed, candidates),
        LifeError::NoSuchScore { .. } => return anyhow!("--min-accuracy or --min-r2: {error}"),
        _ => return error.into(),
    };
    let option = match missed {
        Missed::Latency(_) => "--latency",
        Missed::MemoryBytes(_) => "--memory",
        Missed::Score(_) => "--min-accuracy or --min-r2",
        _ => "--deadline",
    };
    let tried: Vec<String> = candidates.iter().map(|candidate| format!("\n  {}", line(candidate))).collect();
    anyhow!("{option} cannot be kept: {missed}; tried:{}", tried.concat())
}

/// What `--json` prints.
pub fn object(built: &Built) -> Value {
    let candidate = |candidate: &Candidate| {
        json!({
            "hidden": candidate.hidden,
            "parameters": candidate.parameters,
            "latency_ns": candidate.latency.as_nanos() as u64,
            "memory_bytes": candidate.memory_bytes,
            "score": candidate.score.filter(|score| score.is_finite()),
        })
    };
    let mut object = Value::Object(figures(&built.measured));
    object["chosen"] = json!(built.chosen);
    object["candidates"] = built.candidates.iter().map(candidate).collect();
    object
}

/// A certificate for people and programs. It is not signed: a command has no identity.
pub fn certificate(certificate: &Certificate) -> Value {
    let protection: serde_json::Map<String, Value> = certificate
        .protection
        .each()
        .iter()
        .map(|(name, hold)| ((*name).to_owned(), json!(hold.to_string())))
        .collect();
    json!({
        "instance": certificate.instance.to_string(),
        "task": hex(&certificate.task),
        "plan": hex(&certificate.plan),
        "commitment": hex(&certificate.commitment),
        "born_unix_ms": certificate.born_unix_ms,
        "lived_ns": certificate.lived_ns,
        "reason": certificate.reason.name(),
        "calls": certificate.calls,
        "wiped_bytes": {
            "parameters": certificate.wiped.parameters,
            "packed_weights": certificate.wiped.packed_weights,
            "arena": certificate.wiped.arena,
            "sealing_keys": certificate.wiped.sealing_keys,
        },
        "protection": protection,
        "signature": Value::Null,
        "form": hex(&certificate.to_bytes()),
    })
}
