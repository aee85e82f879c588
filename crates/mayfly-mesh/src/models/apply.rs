//! Changes of the registry. Each is made wholly or refused; of a model, one version is live and one is tried as a canary.

use super::manifest::Manifest;
use super::refusal::ModelRefusal;
use super::tables::{Tables, Told};
use crate::logged::Applied;
use crate::module::Fault;
use crate::proto::modelspb::command::Request;
use crate::proto::modelspb::{
    AliasRequest, Asked, Canary, Event, ForgetRequest, Name, RegisterRequest, RollbackRequest, Signed, Stage,
    StageRequest, Version,
};

/// How many versions that were live before are kept for a rollback.
const KEPT_BEFORE: usize = 8;
const MAX_ALIAS: usize = 64;

type Answer = Result<Told<Version>, Fault>;

/// Gives back a refusal from a function whose error is a fault.
macro_rules! told {
    ($told:expr) => {
        match $told {
            Ok(value) => value,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
}

pub(super) fn apply(tables: &Tables<'_>, at: Applied, request: Request) -> Answer {
    match request {
        Request::Register(request) => register(tables, at, request),
        Request::Stage(request) => stage(tables, at, request),
        Request::Rollback(request) => rollback(tables, at, request),
        Request::Alias(request) => alias(tables, request),
        Request::Forget(request) => forget(tables, request),
    }
}

fn register(tables: &Tables<'_>, at: Applied, RegisterRequest { signed, asked }: RegisterRequest) -> Answer {
    let (signed, asked) = (signed.unwrap_or_default(), asked.unwrap_or_default());
    let manifest = told!(Manifest::read(&signed.manifest).map_err(|_| ModelRefusal::Unreadable));
    let mut name = tables.name(&manifest.name)?.unwrap_or_default();
    if manifest.version != name.last + 1 {
        return Ok(Err(ModelRefusal::NotTheNext));
    }
    name.last = manifest.version;
    tables.put_name(&manifest.name, &name)?;
    let version = Version {
        name: manifest.name,
        version: manifest.version,
        signed: Some(signed),
        time_ms: asked.time_ms,
        entry: at.index,
        ..Version::default()
    };
    tables.put_version(&version)?;
    note(tables, at, &version, None, &asked)?;
    Ok(Ok(version))
}

fn stage(tables: &Tables<'_>, at: Applied, request: StageRequest) -> Answer {
    let StageRequest { name, version, canary, expected_live, asked, .. } = &request;
    let Some(mut row) = tables.name(name)? else { return Ok(Err(ModelRefusal::NoSuchModel)) };
    let Some(found) = tables.version(name, *version)? else { return Ok(Err(ModelRefusal::NoSuchModel)) };
    if expected_live.is_some_and(|expected| expected != row.live) {
        return Ok(Err(ModelRefusal::OtherLive));
    }
    let asked = asked.clone().unwrap_or_default();
    told!(may_become(&row, &found, request.to(), &asked));
    match request.to() {
        Stage::Live => go_live(tables, at, &mut row, found, &asked),
        Stage::Canary => {
            row.canary = *version;
            change(tables, at, &row, found, Stage::Canary, canary.or(Some(Canary::default())), &asked)
        }
        to @ (Stage::Retired | Stage::Candidate) => {
            if row.live == *version {
                row.live = 0;
                remember(&mut row, *version);
            }
            if row.canary == *version {
                row.canary = 0;
            }
            change(tables, at, &row, found, to, None, &asked)
        }
    }
}

/// Why a version may not go to a stage.
fn may_become(row: &Name, version: &Version, to: Stage, asked: &Asked) -> Told<()> {
    let from = version.stage();
    if from == to {
        return Err(ModelRefusal::SameStage);
    }
    let serves = matches!(to, Stage::Live | Stage::Canary);
    if serves && version.forgotten {
        return Err(ModelRefusal::Forgotten);
    }
    if serves && is_expired(version.signed.as_ref(), asked.time_ms) {
        return Err(ModelRefusal::Expired);
    }
    match to {
        Stage::Canary if row.canary != 0 => Err(ModelRefusal::CanaryTaken),
        Stage::Canary if row.live == 0 || row.live == version.version => Err(ModelRefusal::NothingBeside),
        Stage::Candidate if from != Stage::Canary => Err(ModelRefusal::NoWayBack),
        _ => Ok(()),
    }
}

fn is_expired(signed: Option<&Signed>, time_ms: i64) -> bool {
    let manifest = signed.and_then(|signed| Manifest::read(&signed.manifest).ok());
    manifest.and_then(|manifest| manifest.not_after).is_some_and(|last| time_ms / 1_000 > last)
}

/// What was live is retired, and kept for a rollback.
fn go_live(tables: &Tables<'_>, at: Applied, row: &mut Name, version: Version, asked: &Asked) -> Answer {
    if row.live != 0 {
        let before = row.live;
        remember(row, before);
        retire(tables, at, &version.name, before, asked)?;
    }
    row.before.retain(|before| *before != version.version);
    row.live = version.version;
    if row.canary == version.version {
        row.canary = 0;
    }
    change(tables, at, row, version, Stage::Live, None, asked)
}

fn rollback(tables: &Tables<'_>, at: Applied, request: RollbackRequest) -> Answer {
    let RollbackRequest { name, expected_live, asked } = request;
    let Some(mut row) = tables.name(&name)? else { return Ok(Err(ModelRefusal::NoSuchModel)) };
    if expected_live.is_some_and(|expected| expected != row.live) {
        return Ok(Err(ModelRefusal::OtherLive));
    }
    let asked = asked.unwrap_or_default();
    let Some(before) = row.before.last().copied() else { return Ok(Err(ModelRefusal::NothingBefore)) };
    let Some(version) = tables.version(&name, before)? else { return Ok(Err(ModelRefusal::NoSuchModel)) };
    if is_expired(version.signed.as_ref(), asked.time_ms) {
        return Ok(Err(ModelRefusal::Expired));
    }
    row.before.pop();
    if row.live != 0 {
        retire(tables, at, &name, row.live, &asked)?;
    }
    row.live = before;
    if row.canary == before {
        row.canary = 0;
    }
    change(tables, at, &row, version, Stage::Live, None, &asked)
}

/// What was live goes.
fn retire(tables: &Tables<'_>, at: Applied, name: &str, number: u64, asked: &Asked) -> Result<(), Fault> {
    let Some(mut version) = tables.version(name, number)? else { return Ok(()) };
    let from = version.stage();
    version.set_stage(Stage::Retired);
    tables.put_version(&version)?;
    note(tables, at, &version, Some(from), asked)
}

/// Keeps the last ones that were live.
fn remember(row: &mut Name, version: u64) {
    row.before.retain(|before| *before != version);
    row.before.push(version);
    if row.before.len() > KEPT_BEFORE {
        row.before.remove(0);
    }
}

/// Writes a version in its new stage, and what is known of its name.
fn change(
    tables: &Tables<'_>,
    at: Applied,
    row: &Name,
    mut version: Version,
    to: Stage,
    canary: Option<Canary>,
    asked: &Asked,
) -> Answer {
    let from = version.stage();
    version.set_stage(to);
    version.canary = canary;
    tables.put_version(&version)?;
    tables.put_name(&version.name, row)?;
    note(tables, at, &version, Some(from), asked)?;
    Ok(Ok(version))
}

fn note(tables: &Tables<'_>, at: Applied, version: &Version, from: Option<Stage>, asked: &Asked) -> Result<(), Fault> {
    tables.note(&Event {
        name: version.name.clone(),
        version: version.version,
        from: from.unwrap_or(Stage::Candidate).into(),
        to: version.stage,
        is_new: from.is_none(),
        time_ms: asked.time_ms,
        by: asked.by.clone(),
        reason: asked.reason.clone(),
        entry: at.index,
    })
}

fn alias(tables: &Tables<'_>, AliasRequest { name, alias, version, .. }: AliasRequest) -> Answer {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_taken = matches!(&alias[..], "live" | "canary" | "latest" | "production") || alias.parse::<u64>().is_ok();
    if alias.is_empty() || alias.len() > MAX_ALIAS || !alias.chars().all(is_fit) || is_taken {
        return Ok(Err(ModelRefusal::BadAlias));
    }
    let versions = tables.versions(&name)?;
    let has = |found: &Version| found.aliases.contains(&alias);
    let named = versions.iter().find(|found| if version == 0 { has(found) } else { found.version == version });
    let Some(named) = named.map(|found| found.version) else { return Ok(Err(ModelRefusal::NoSuchModel)) };
    let mut told = Version::default();
    for mut found in versions.into_iter().filter(|found| has(found) || found.version == named) {
        found.aliases.retain(|other| *other != alias);
        if found.version == version {
            found.aliases.push(alias.clone());
        }
        tables.put_version(&found)?;
        if found.version == named {
            told = found;
        }
    }
    Ok(Ok(told))
}

fn forget(tables: &Tables<'_>, ForgetRequest { name, version, .. }: ForgetRequest) -> Answer {
    let Some(row) = tables.name(&name)? else { return Ok(Err(ModelRefusal::NoSuchModel)) };
    let Some(mut found) = tables.version(&name, version)? else { return Ok(Err(ModelRefusal::NoSuchModel)) };
    if found.stage() != Stage::Retired || row.before.contains(&version) {
        return Ok(Err(ModelRefusal::StillPinned));
    }
    found.forgotten = true;
    tables.put_version(&found)?;
    Ok(Ok(found))
}
