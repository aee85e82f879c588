//! What a backup is, in words and as an object.

use super::words;
use crate::support::text::{hex, plain};
use crate::support::ui::{counted, grouped};
use mayfly_mesh::backup::{Artefact, Backup, Seal, Seat};
use mayfly_mesh::proto::etcdserverpb::{AlarmMember, AlarmType};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Artefacts that are named one by one to people.
const NAMED: usize = 20;

fn size(n: u64) -> String {
    grouped(usize::try_from(n).unwrap_or(usize::MAX))
}

fn many(n: u64, noun: &str) -> String {
    counted(usize::try_from(n).unwrap_or(usize::MAX), noun)
}

/// Seconds since 1970 as a date and time, in UTC.
fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| format!("{seconds} s after 1970"), |time| time.to_string())
}

/// What is in it.
pub fn counts(backup: &Backup) -> String {
    let Backup { keys, versions, leases, users, roles, models, auth_enabled, .. } = backup;
    let asks = if *auth_enabled { "it is looked at who asks" } else { "everybody may do everything" };
    format!(
        "{} in {}, {}, {} and {} ({asks}), {}",
        many(*keys, "key"),
        many(*versions, "version"),
        many(*leases, "lease"),
        many(*users, "user"),
        many(*roles, "role"),
        many(*models, "model"),
    )
}

/// What whoever goes on with it has to know.
pub fn warnings(backup: &Backup) -> Vec<String> {
    let mut warnings = Vec::new();
    let missing = &backup.artefacts;
    if !missing.is_empty() {
        let named =
            missing.iter().take(NAMED).map(|Artefact { name, digest, .. }| format!("\n  {} {digest}", plain(name)));
        let more =
            if missing.len() > NAMED { format!("\n  and {} more", missing.len() - NAMED) } else { String::new() };
        warnings.push(format!(
            "{} of models {} not in the file: they are fetched from any member that has them, or from files that are put into mesh/models{}{more}",
            counted(missing.len(), "artefact"),
            if missing.len() == 1 { "is" } else { "are" },
            named.collect::<String>(),
        ));
    }
    for alarm in &backup.alarms {
        warnings.push(format!(
            "an alarm was up: {} of member {}",
            alarm.alarm().as_str_name(),
            words::member(alarm.member_id)
        ));
        let is_of_maker = matches!(backup.seal, Seal::Good { member, .. } if member == alarm.member_id);
        if alarm.alarm() == AlarmType::Corrupt && is_of_maker {
            warnings.push("that is the member that made the file: its state differs from that of the others; take the snapshot of another one".into());
        }
    }
    warnings
}

/// As lines.
pub fn text_of(backup: &Backup, file: &Path) -> String {
    let Backup { cluster, at, revision, compacted, bytes, padding, seal, .. } = backup;
    let compacted = if *compacted > 0 { format!(", compacted up to {compacted}") } else { String::new() };
    let mut text = format!(
        "{}: the state of cluster {cluster:016x} after entry {} of term {}\nrevision   {revision}{compacted}\nhas        {}",
        file.display(),
        at.index,
        at.term,
        counts(backup),
    );
    for Seat { id, name, is_voter } in &backup.members {
        let role = if *is_voter { "voter" } else { "learner" };
        let _ = write!(text, "\nmember     {} {} {role}", words::member(*id), plain(name));
    }
    let signed = match seal {
        Seal::Good { signer, member, signed_at } => {
            format!("by {signer}, as member {}, at {}", words::member(*member), time(*signed_at))
        }
        Seal::Missing => "no: anybody may have made it".into(),
        Seal::Wrong { signer, what } => format!("WRONGLY, in the name of {}: {}", plain(signer), plain(what)),
    };
    let _ = write!(
        text,
        "\nsigned     {signed}\nformat     {}\nbytes      {}, of which {padding} are padding\nSHA-256    {} (right)\nBLAKE3     {} of the state (right)",
        backup.format,
        size(*bytes),
        hex(&backup.sha256),
        hex(&backup.digest),
    );
    for warning in warnings(backup) {
        let _ = write!(text, "\nwarning: {warning}");
    }
    text
}

/// Artefacts that are not in it.
pub fn missing(backup: &Backup) -> Value {
    let one = |Artefact { name, digest, size, is_used }: &Artefact| json!({ "model": name, "digest": digest, "bytes": size, "live_or_canary": is_used });
    backup.artefacts.iter().map(one).collect()
}

pub fn object_of(backup: &Backup, file: &Path) -> Value {
    let (signed, is_right) = match &backup.seal {
        Seal::Good { signer, member, signed_at } => (
            json!({ "signer": signer.to_string(), "member": words::member(*member), "time": time(*signed_at) }),
            Some(true),
        ),
        Seal::Missing => (Value::Null, None),
        Seal::Wrong { signer, what } => (json!({ "signer": signer, "wrong": what }), Some(false)),
    };
    let alarm =
        |alarm: &AlarmMember| json!({ "member": words::member(alarm.member_id), "alarm": alarm.alarm().as_str_name() });
    let seat = |seat: &Seat| json!({ "id": words::member(seat.id), "name": seat.name, "is_learner": !seat.is_voter });
    json!({
        "file": file,
        "format": backup.format,
        "bytes": backup.bytes,
        "padding": backup.padding,
        "sha256": hex(&backup.sha256),
        "blake3": hex(&backup.digest),
        "cluster": format!("{:016x}", backup.cluster),
        "applied_index": backup.at.index,
        "term": backup.at.term,
        "revision": backup.revision,
        "compact_revision": backup.compacted,
        "keys": backup.keys,
        "versions": backup.versions,
        "leases": backup.leases,
        "users": backup.users,
        "roles": backup.roles,
        "auth_enabled": backup.auth_enabled,
        "models": backup.models,
        "artefacts": missing(backup),
        "members": backup.members.iter().map(seat).collect::<Vec<_>>(),
        "alarms": backup.alarms.iter().map(alarm).collect::<Vec<_>>(),
        "signed": signed,
        "checks": { "length": true, "sha256": true, "blake3": true, "padding": true, "signature": is_right },
    })
}
