//! `peers`: the table, each case checked, then timed.

use crate::cases::{CASES, Case, Peer, Precision, Work};
use crate::contest::{self, Contestant, Rounds, Times};
use crate::net::{Net, Random};
use crate::report::{self, Row};
use crate::{fann, onnxruntime, ours, pages, peak, python, tract};
use anyhow::{Context, Result, bail};
use std::time::Duration;

#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON object a line on stdout instead of a table.
    #[arg(long)]
    json: bool,
    /// Peers besides those in process (fann-c, tract, fma-peak): onnxruntime, pytorch, openvino; installed into bench/.venv.
    #[arg(long, value_delimiter = ',', value_parser = peer)]
    with: Vec<Peer>,
    /// Put the tables into README.md and docs/benchmarks.md, between their markers.
    #[arg(long, conflicts_with_all = ["json", "peers_only", "case", "only"])]
    write: bool,
    /// These peers and no others.
    #[arg(long, value_delimiter = ',', value_parser = peer, conflicts_with = "with")]
    only: Vec<Peer>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "FILTER")]
    case: Option<String>,
    /// Time the peers alone.
    #[arg(long)]
    peers_only: bool,
    /// Interleaved rounds a case; many short ones, so that some meet no other work on the machine.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Length of a round for each side.
    #[arg(long, default_value_t = 10)]
    round_ms: u64,
}

const IN_PROCESS: &[Peer] = &[Peer::FannC, Peer::Tract, Peer::FmaPeak];

fn peer(name: &str) -> Result<Peer, String> {
    let names = || Peer::ALL.map(Peer::name).join(", ");
    Peer::ALL.into_iter().find(|peer| peer.name() == name).ok_or_else(|| format!("peers are {}", names()))
}

pub fn run(args: &Args) -> Result<()> {
    let chosen: Vec<Peer> = match args.only.as_slice() {
        [] => IN_PROCESS.iter().chain(&args.with).copied().collect(),
        only => only.to_vec(),
    };
    python::provide(&chosen)?;
    let wanted = |case: &&Case| args.case.as_ref().is_none_or(|filter| case.work.to_string().contains(filter));
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for case in CASES.iter().filter(wanted) {
        let floors: Vec<_> = case.peers.iter().filter(|(peer, _)| chosen.contains(peer)).copied().collect();
        if floors.is_empty() {
            continue;
        }
        eprintln!("{}", case.work);
        match time_case(case.work, &floors, args) {
            Ok(found) => rows.extend(found),
            Err(error) => failures.push(format!("{}: {error:#}", case.work)),
        }
        if args.json {
            rows.drain(..).for_each(|row| println!("{}", report::json(&row)));
        }
    }
    if !args.json {
        print!("{}", report::table(&rows));
    }
    if args.write && failures.is_empty() {
        pages::write(&rows)?;
    }
    if !failures.is_empty() {
        bail!("{} cases were not timed:\n{}", failures.len(), failures.join("\n"));
    }
    Ok(())
}

/// Checks and times one case: ours first, then each peer, in turn.
fn time_case(work: Work, peers: &[(Peer, Option<f64>)], args: &Args) -> Result<Vec<Row>> {
    let mut sides: Vec<Box<dyn Contestant>> = Vec::new();
    if !args.peers_only {
        sides.push(ours::contestant(work).context("ours")?);
    }
    for (peer, _) in peers {
        sides.push(contestant(*peer, work).context(peer.name())?);
    }
    let names = if args.peers_only { &[][..] } else { &["ours"][..] };
    let names: Vec<&str> = names.iter().copied().chain(peers.iter().map(|(peer, _)| peer.name())).collect();
    check(work, &mut sides, &names)?;
    let rounds = Rounds { count: args.rounds.into(), length: Duration::from_millis(args.round_ms) };
    let times = contest::run(&mut sides, rounds)?;
    let hows: Vec<String> = sides.iter().map(|side| side.how()).collect();
    let ours = (!args.peers_only).then(|| (times[0], hows[0].clone()));
    let skip = usize::from(ours.is_some());
    let theirs = peers.iter().zip(times[skip..].iter().zip(&hows[skip..]));
    Ok(theirs.map(|(&(peer, floor), (&times, how))| row(work, &ours, peer, floor, times, how)).collect())
}

fn row(work: Work, ours: &Option<(Times, String)>, peer: Peer, floor: Option<f64>, times: Times, how: &str) -> Row {
    Row {
        case: work.to_string(),
        peer: peer.name(),
        ours: ours.as_ref().map(|(times, _)| *times),
        ours_how: ours.as_ref().map(|(_, how)| how.clone()),
        theirs: times,
        theirs_how: how.to_string(),
        floor,
    }
}

fn contestant(peer: Peer, work: Work) -> Result<Box<dyn Contestant>> {
    match peer {
        Peer::FannC => fann::contestant(work),
        Peer::Tract => tract::contestant(work),
        Peer::OnnxRuntime => onnxruntime::contestant(work),
        Peer::PyTorch | Peer::OpenVino => python::contestant(peer, work),
        Peer::FmaPeak => peak::contestant(work),
    }
}

/// Everyone's answer against a reference in f64: nobody times a wrong answer.
fn check(work: Work, sides: &mut [Box<dyn Contestant>], names: &[&str]) -> Result<()> {
    let mut reference = reference(work);
    for (side, name) in sides.iter_mut().zip(names) {
        let got = side.answer()?;
        if *name == Peer::FmaPeak.name() {
            continue;
        }
        // Without a reference of our own, the first answer is what the others must agree with.
        let want = reference.get_or_insert_with(|| got.clone());
        contest::same(name, &got, want, tolerance(work))?;
    }
    Ok(())
}

fn reference(work: Work) -> Option<Vec<f64>> {
    match work {
        Work::Infer { dims, activation, rows, .. } => {
            let net = Net::new(dims, activation);
            Some(net.reference(&net.data(rows).0))
        }
        Work::Step { dims, activation, rows, optimiser } => {
            let net = Net::new(dims, activation);
            let (x, t) = net.data(rows);
            Some(net.reference_trained(&x, &t, optimiser))
        }
        Work::Gemm { n } => Some(product(n)),
        Work::Rprop { .. } => None,
    }
}

/// The product that [`ours`] is asked for, in f64.
fn product(n: usize) -> Vec<f64> {
    let mut random = Random::new(3);
    let (a, b) = (random.vec(n * n, 1.0), random.vec(n * n, 1.0));
    let mut c = vec![0.0; n * n];
    for (row, c) in a.chunks(n).zip(c.chunks_mut(n)) {
        for (a, b) in row.iter().zip(b.chunks(n)) {
            c.iter_mut().zip(b).for_each(|(c, b)| *c += f64::from(*a) * f64::from(*b));
        }
    }
    c
}

/// Share of the largest value by which an answer may be off.
fn tolerance(work: Work) -> f64 {
    match work {
        Work::Infer { precision: Precision::Bf16, .. } => 2e-2,
        Work::Infer { precision: Precision::Int8, .. } => 5e-2,
        Work::Infer { .. } | Work::Gemm { .. } => 1e-5,
        // Adam divides by the root of its second moment: where a gradient is almost nothing, its rounding decides.
        Work::Step { .. } => 1e-3,
        Work::Rprop { .. } => 1e-2,
    }
}
