//! One thread.

use crate::report::Row;
use crate::time::{Plan, alone};
use anyhow::Result;
use mayfly_config::{Config, Limits};
use serde::{Deserialize, Serialize};
use std::hint::black_box;

pub const KEYS: usize = 100;
const MANY: usize = 100_000;

pub type Tell<'a> = &'a mut dyn FnMut(Row);
pub type Wanted<'a> = &'a dyn Fn(&str) -> bool;

/// Something of the size that settings have.
#[derive(Serialize, Deserialize)]
struct Pump {
    name: String,
    rate: f64,
    limit: u32,
    is_on: bool,
    stages: Vec<u16>,
}

fn pump(i: usize) -> Pump {
    Pump { name: "north".into(), rate: i as f64 / 3.0, limit: 40, is_on: true, stages: vec![1, 2, 3] }
}

pub fn key(i: usize) -> String {
    format!("bench/key/{}", i % KEYS)
}

fn many(i: usize) -> String {
    format!("bench/key/{}", i * 7_919 % MANY)
}

/// A store with the keys that the rows read.
pub fn filled(keys: usize) -> Result<Config> {
    let config = Config::new();
    for i in 0..keys {
        config.set(&format!("bench/key/{i}"), &format!("val{i}"))?;
    }
    Ok(config)
}

pub fn get(config: &Config, i: usize) -> Result<()> {
    black_box(config.get::<String>(black_box(&key(i)))?);
    Ok(())
}

pub fn set(config: &Config, i: usize) -> Result<()> {
    config.set(black_box(&key(i)), "value")?;
    Ok(())
}

pub fn watch(config: &Config, i: usize) -> Result<()> {
    drop(black_box(config.watch(black_box(&key(i)))?));
    Ok(())
}

pub fn run(plan: Plan, wanted: Wanted<'_>, tell: Tell<'_>) -> Result<()> {
    bars(plan, wanted, tell)?;
    values(plan, wanted, tell)?;
    others(plan, wanted, tell)
}

/// The loops of configmesh's benches.
fn bars(plan: Plan, wanted: Wanted<'_>, tell: Tell<'_>) -> Result<()> {
    if wanted("the key alone") {
        tell(Row::new(
            "the key alone: `format!`",
            alone(plan, |i| {
                black_box(key(i));
                Ok(())
            })?,
        ));
    }
    if wanted("get") {
        let config = filled(KEYS)?;
        tell(Row::new("get a string, decoded before", alone(plan, |i| get(&config, i))?).held(100.0, 103.0));
    }
    if wanted("set") {
        let config = Config::new();
        tell(Row::new("set a string", alone(plan, |i| set(&config, i))?).held(600.0, 580.0));
    }
    if wanted("watch") {
        let config = Config::new();
        tell(Row::new("watch and unwatch a key", alone(plan, |i| watch(&config, i))?).held(250.0, 248.0));
    }
    if wanted("set, then get") {
        let config = Config::new();
        let call = |i: usize| set(&config, i).and_then(|()| get(&config, i));
        tell(Row::new("set, then get: decodes each time", alone(plan, call)?));
    }
    Ok(())
}

/// Other values than strings.
fn values(plan: Plan, wanted: Wanted<'_>, tell: Tell<'_>) -> Result<()> {
    let config = Config::new();
    (0..KEYS).try_for_each(|i| config.set(&key(i), &pump(i)).map(drop))?;
    if wanted("get a struct") {
        tell(Row::new(
            "get a struct of five fields, decoded before",
            alone(plan, |i| {
                black_box(config.get::<Pump>(&key(i))?);
                Ok(())
            })?,
        ));
    }
    if wanted("get as a second type") {
        (0..KEYS).try_for_each(|i| config.get::<Pump>(&key(i)).map(drop))?;
        tell(Row::new(
            "get as a second type: decodes each time",
            alone(plan, |i| {
                black_box(config.get::<serde_json::Value>(&key(i))?);
                Ok(())
            })?,
        ));
    }
    if wanted("set a struct") {
        tell(Row::new("set a struct of five fields", alone(plan, |i| Ok(config.set(&key(i), &pump(i)).map(drop)?))?));
        let asks =
            serde_json::json!({ "type": "object", "required": ["rate"], "properties": { "rate": { "maximum": 1e9 } } });
        config.schema("bench/", &asks)?;
        tell(Row::new("set a struct under a schema", alone(plan, |i| Ok(config.set(&key(i), &pump(i)).map(drop)?))?));
    }
    Ok(())
}

/// Watchers, snapshots, many keys.
fn others(plan: Plan, wanted: Wanted<'_>, tell: Tell<'_>) -> Result<()> {
    if wanted("set, told") {
        let config = Config::new();
        let mut watch = config.watch_prefix("bench/");
        tell(Row::new(
            "set, told to a watcher of the prefix",
            alone(plan, |i| {
                set(&config, i)?;
                black_box(watch.try_next()?);
                Ok(())
            })?,
        ));
        let mut limits = Limits::default();
        limits.waiting = 8;
        let config = Config::with_limits(limits);
        let _watches: Vec<_> = (0..100).map(|_| config.watch_prefix("bench/")).collect();
        tell(Row::new("set, with 100 watchers of the prefix that read nothing", alone(plan, |i| set(&config, i))?));
    }
    if wanted("snapshot") {
        let config = filled(KEYS)?;
        tell(Row::new(
            "snapshot of 100 keys, taken",
            alone(plan, |_| {
                black_box(config.snapshot("bench/"));
                Ok(())
            })?,
        ));
        tell(Row::new(
            "snapshot of 100 keys, taken and read",
            alone(plan, |_| {
                black_box(config.snapshot("bench/").iter().map(|version| version.revision()).sum::<u64>());
                Ok(())
            })?,
        ));
        tell(Row::new("set, with a snapshot kept of every hundredth", {
            let mut kept = config.snapshot("");
            alone(plan, |i| {
                if i % 100 == 0 {
                    kept = config.snapshot("");
                }
                black_box(&kept);
                set(&config, i)
            })?
        }));
    }
    if wanted("100,000 keys") {
        let config = filled(MANY)?;
        tell(Row::new(
            "get a string of 100,000 keys",
            alone(plan, |i| {
                black_box(config.get::<String>(&many(i))?);
                Ok(())
            })?,
        ));
        tell(Row::new("set a string of 100,000 keys", alone(plan, |i| Ok(config.set(&many(i), "value").map(drop)?))?));
    }
    Ok(())
}
