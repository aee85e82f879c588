//! What the life of a network costs, and whether anything grows: `cargo xtask bench lifecycle`.

#![forbid(unsafe_code)]

mod footprint;
mod lives;
mod times;

use anyhow::{Result, ensure};
use clap::Parser;
use footprint::Footprint;
use lives::Setting;
use mayfly_vault::{Level, Mode};

/// Lives of a 64-32-16 network under each protection, beside a session that is built anew for every answer.
#[derive(Parser)]
#[command(name = "cargo xtask bench lifecycle")]
struct Args {
    /// Lives that are timed one by one
    #[arg(long, default_value_t = 100_000)]
    timed: usize,
    /// Lives over which nothing may grow
    #[arg(long, default_value_t = 1_000_000)]
    cycles: usize,
    /// Instances that live at a time on eight threads
    #[arg(long, default_value_t = 10_000)]
    live: usize,
}

const SETTINGS: &[(&str, Level, Mode)] = &[
    ("private pages", Level::Best, Mode::Private),
    ("secret pages", Level::Best, Mode::Secret),
    ("no protection", Level::Off, Mode::Private),
];

fn main() -> Result<()> {
    let args = Args::parse();
    println!("64-32-16, f32, one row a call; p50 / p99\n");
    println!("| | cold | spawn to first answer | dissolve | cycles a second |");
    println!("|---|---|---|---|---|");
    for (name, level, mode) in SETTINGS {
        let setting = Setting::new(*level, *mode)?;
        println!("| {name} | {:?} | {} |", setting.cold, setting.time(args.timed)?);
    }
    println!("| `Network::session` for every answer | | {} |", lives::time_sessions(args.timed)?);
    println!();
    flat(args.cycles)?;
    crowd(args.live)
}

/// Many lives one after another.
fn flat(cycles: usize) -> Result<()> {
    let setting = Setting::new(Level::Best, Mode::Private)?;
    println!("slots: {}", setting.protection());
    setting.cycle(1000)?;
    let before = Footprint::read()?;
    let time = setting.cycle(cycles)?;
    let after = Footprint::read()?;
    println!("{cycles} lives: {before} and then {after}; {:.0} a second", cycles as f64 / time.as_secs_f64());
    ensure!(after.is_as(&before), "something grows");
    Ok(())
}

/// Many lives at a time.
fn crowd(live: usize) -> Result<()> {
    let setting = Setting::new(Level::Best, Mode::Private)?;
    setting.crowd(live)?;
    let before = Footprint::read()?;
    let time = setting.crowd(live)?;
    let after = Footprint::read()?;
    println!("{live} live on 8 threads, twice: {before} and then {after}; the second time in {time:?}");
    ensure!(after.mappings == before.mappings && after.descriptors == before.descriptors, "something grows");
    Ok(())
}
