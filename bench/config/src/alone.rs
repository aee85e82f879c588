//! One thread.

use crate::report::{GET, Report, SET, WATCH};
use crate::time::{Plan, alone};
use anyhow::Result;
use mayfly_config::{Config, Limits, Setting};
use serde::{Deserialize, Serialize};
use std::hint::black_box;

pub const KEYS: usize = 100;
const MANY: usize = 100_000;

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

pub fn run(plan: Plan, report: &mut Report) -> Result<()> {
    bars(plan, report)?;
    values(plan, report)?;
    watchers(plan, report)?;
    snapshots(plan, report)?;
    many_keys(plan, report)
}

/// The loops of configmesh's benches.
fn bars(plan: Plan, report: &mut Report) -> Result<()> {
    report.row("the key alone: `format!`", None, || {
        alone(plan, |i| {
            black_box(key(i));
            Ok(())
        })
    })?;
    report.row("get a string, decoded before", GET, || {
        let config = filled(KEYS)?;
        alone(plan, |i| get(&config, i))
    })?;
    let config = Config::new();
    report.row("set a string", SET, || alone(plan, |i| set(&config, i)))?;
    let config = Config::new();
    report.row("watch and unwatch a key", WATCH, || alone(plan, |i| watch(&config, i)))?;
    let config = Config::new();
    report.row("set a string, then get it", None, || alone(plan, |i| set(&config, i).and_then(|()| get(&config, i))))
}

fn get_as<T: Setting>(config: &Config, i: usize) -> Result<()> {
    black_box(config.get::<T>(black_box(&key(i)))?);
    Ok(())
}

fn set_pump(config: &Config, i: usize) -> Result<()> {
    config.set(&key(i), &pump(i))?;
    Ok(())
}

/// Other values than strings.
fn values(plan: Plan, report: &mut Report) -> Result<()> {
    let pumps = || -> Result<Config> {
        let config = Config::new();
        (0..KEYS).try_for_each(|i| set_pump(&config, i))?;
        Ok(config)
    };
    report.row("get a struct of five fields, decoded before", None, || {
        let config = pumps()?;
        alone(plan, |i| get_as::<Pump>(&config, i))
    })?;
    report.row("get as a second type: decodes each time", None, || {
        let config = pumps()?;
        (0..KEYS).try_for_each(|i| get_as::<Pump>(&config, i))?;
        alone(plan, |i| get_as::<serde_json::Value>(&config, i))
    })?;
    report.row("set a struct of five fields", None, || {
        let config = pumps()?;
        alone(plan, |i| set_pump(&config, i))
    })?;
    report.row("set a struct, then get it: decodes each time", None, || {
        let config = pumps()?;
        alone(plan, |i| set_pump(&config, i).and_then(|()| get_as::<Pump>(&config, i)))
    })?;
    report.row("set a struct under a schema", None, || {
        let config = pumps()?;
        let asks =
            serde_json::json!({ "type": "object", "required": ["rate"], "properties": { "rate": { "maximum": 1e9 } } });
        config.schema("bench/", &asks)?;
        alone(plan, |i| set_pump(&config, i))
    })
}

fn watchers(plan: Plan, report: &mut Report) -> Result<()> {
    report.row("set, told to a watcher of the prefix", None, || {
        let config = Config::new();
        let mut watch = config.watch_prefix("bench/");
        alone(plan, |i| {
            set(&config, i)?;
            black_box(watch.try_next()?);
            Ok(())
        })
    })?;
    report.row("set, with 100 watchers of the prefix that read nothing", None, || {
        let mut limits = Limits::default();
        limits.waiting = 8;
        let config = Config::with_limits(limits);
        let _watches: Vec<_> = (0..100).map(|_| config.watch_prefix("bench/")).collect();
        alone(plan, |i| set(&config, i))
    })
}

fn snapshots(plan: Plan, report: &mut Report) -> Result<()> {
    report.row("snapshot of 100 keys, taken", None, || {
        let config = filled(KEYS)?;
        alone(plan, |_| {
            black_box(config.snapshot("bench/"));
            Ok(())
        })
    })?;
    report.row("snapshot of 100 keys, taken and read", None, || {
        let config = filled(KEYS)?;
        alone(plan, |_| {
            black_box(config.snapshot("bench/").iter().map(|version| version.revision()).sum::<u64>());
            Ok(())
        })
    })?;
    report.row("set, with a snapshot kept of every hundredth", None, || {
        let config = filled(KEYS)?;
        let mut kept = config.snapshot("");
        alone(plan, |i| {
            if i % 100 == 0 {
                kept = config.snapshot("");
            }
            black_box(&kept);
            set(&config, i)
        })
    })
}

fn many_keys(plan: Plan, report: &mut Report) -> Result<()> {
    report.row("get a string of 100,000 keys", None, || {
        let config = filled(MANY)?;
        alone(plan, |i| {
            black_box(config.get::<String>(&many(i))?);
            Ok(())
        })
    })?;
    report.row("set a string of 100,000 keys", None, || {
        let config = filled(MANY)?;
        alone(plan, |i| Ok(config.set(&many(i), "value").map(drop)?))
    })
}
