//! A log on a disk that forgets, against what it must have.

#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../../tests/it/common/disk.rs"]
mod disk;

use super::{Change, Key, Known, Log};
use crate::ballot::Ballot;
use crate::error::MeshError;
use crate::logged::{Applied, Logged};
use crate::mutant::LeftOut;
use disk::Disk;
use mayfly_base::Rng;
use std::sync::Arc;

const KEY: Key = [5; 32];

/// What a log must have.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    before: Applied,
    entries: Vec<Logged>,
    vote: Option<Ballot>,
}

impl Model {
    fn last(&self) -> Applied {
        self.entries.last().map_or(self.before, |logged| logged.at)
    }

    fn term(&self) -> u64 {
        self.vote.map_or(1, |vote| vote.term)
    }
}

/// A change that openraft may ask for, to both.
fn change(rng: &mut Rng, log: &Log, model: &mut Model) -> Change {
    let mut change = log.change();
    let written = model.entries.clone();
    for _ in 0..=rng.below(2) {
        match rng.below(10) {
            0..6 => append(rng, log, model, &mut change),
            6 => {
                let vote = Ballot { term: model.term() + 1, member: rng.below(3), is_elected: rng.below(2) == 0 };
                model.vote = Some(vote);
                change.vote(vote);
            }
            7 => {
                let keep = rng.below(model.entries.len() as u64 + 1) as usize;
                model.entries.truncate(keep);
                log.shelf.truncate(model.last().index);
                change.truncate(model.last());
            }
            8 if rng.below(4) == 0 => {
                // A snapshot takes the place of everything.
                let at = Applied { index: model.last().index + 1 + rng.below(50), term: model.term() };
                (model.before, model.entries) = (at, Vec::new());
                log.shelf.purge(at);
                change.release(at);
            }
            _ => {
                // Only what is on the disk is ever released.
                let most = model.entries.iter().take_while(|logged| written.contains(logged)).count();
                let gone = rng.below(most as u64 + 1) as usize;
                if let Some(last) = model.entries.drain(..gone).next_back() {
                    model.before = last.at;
                }
                log.shelf.purge(model.before);
                change.release(model.before);
            }
        }
    }
    change
}

fn append(rng: &mut Rng, log: &Log, model: &mut Model, change: &mut Change) {
    let longest = if rng.below(10) == 0 { 20_000 } else { 900 };
    let (last, term) = (model.last(), model.term());
    let entries: Vec<Logged> = (1..=1 + rng.below(6))
        .map(|i| {
            let entry = (0..rng.below(longest)).map(|_| rng.next_u64() as u8).collect();
            Logged { at: Applied { index: last.index + i, term }, entry }
        })
        .collect();
    log.shelf.append(&entries);
    model.entries.extend(entries.iter().cloned());
    change.append(entries).expect("they follow");
}

fn begin(disk: &Disk) -> Log {
    Log::begin(Arc::new(disk.clone()), KEY, Known::default(), LeftOut::default()).expect("begun")
}

fn open(disk: &Disk) -> Result<Option<Log>, MeshError> {
    Log::open(Arc::new(disk.clone()), KEY, LeftOut::default())
}

/// How many of a model's entries a log has, if it has nothing else. It may have forgotten less than it was told to.
fn has(log: &Log, model: &Model) -> Option<usize> {
    let (before, last) = log.shelf.ends();
    let reaches = (before.index..=last.index).contains(&model.before.index) && log.shelf.has(model.before);
    if !reaches || log.known.vote != model.vote {
        return None;
    }
    let found = log.shelf.look_up(model.before.index + 1..last.index + 1, usize::MAX);
    let found = log.shelf.fetch(found).expect("read");
    model.entries.starts_with(&found).then_some(found.len())
}

/// What was written is there after every loss of power, kill and start; of what was under way, any number of the first entries.
#[test]
fn what_was_written_is_found_again() {
    let mut slots = 0;
    for seed in 0..300 {
        let (mut rng, mut disk, mut written) = (Rng::new(seed), Disk::default(), Model::default());
        let mut log = begin(&disk);
        for _ in 0..4 {
            disk.go_dark_after(rng.below(60));
            let asked = loop {
                let mut asked = written.clone();
                let mut change = change(&mut rng, &log, &mut asked);
                change.is_due = true;
                if let Err(error) = log.write(change) {
                    assert!(matches!(error, MeshError::Disk { .. }), "seed {seed}: {error}");
                    break asked;
                }
                assert_eq!(has(&log, &asked), Some(asked.entries.len()), "seed {seed}");
                written = asked;
            };
            slots = slots.max(log.slots.len());
            disk = if rng.below(3) == 0 { disk.after_kill() } else { disk.after_power_loss(&mut rng) };
            log = open(&disk).unwrap_or_else(|e| panic!("seed {seed}: {e}")).expect("there is one");
            if has(&log, &written) != Some(written.entries.len()) {
                let count = has(&log, &asked).unwrap_or_else(|| panic!("seed {seed}: {:?}", log.shelf.ends()));
                written = asked;
                written.entries.truncate(count);
            }
        }
    }
    assert!(slots > 2, "{slots} slots at most: too few to see that they are used again");
}

/// Some entries of one frame each.
fn of_frames(disk: &Disk, count: u64) -> Log {
    let mut log = begin(disk);
    for index in 1..=count {
        let entries = vec![Logged { at: Applied { index, term: 1 }, entry: vec![7; 100] }];
        log.shelf.append(&entries);
        let mut change = log.change();
        change.append(entries).expect("it follows");
        log.write(change).expect("written");
    }
    log
}

#[test]
fn damage_in_the_middle_is_refused_and_a_torn_end_is_cut() {
    let disk = Disk::default();
    drop(of_frames(&disk, 3)); // after the frame that begins the log, in blocks 1 to 3 of slot 0
    disk.flip(0, 3 * 4096 + 50);
    let log = open(&disk).expect("opened").expect("there is one");
    assert_eq!(log.shelf.ends().1.index, 2, "the end");
    disk.flip(0, 3 * 4096 + 50);
    disk.flip(0, 2 * 4096 + 50);
    match open(&disk) {
        Err(MeshError::Damaged { path, what }) => {
            assert!(path.ends_with("(slot 0 in memory)") && what.contains("byte 12288"), "{what}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_lies_there_of_another_log_does_not_count() {
    let disk = Disk::default();
    drop(of_frames(&disk, 3));
    assert!(Log::open(Arc::new(disk.clone()), [6; 32], LeftOut::default()).expect("opened").is_none());
    let log = Log::begin(Arc::new(disk), [6; 32], Known::default(), LeftOut::default()).expect("begun");
    assert_eq!(log.shelf.ends().1, Applied::NONE);
}

/// An entry that was flushed is read from the disk once memory is wanted for others, and what is read is checked.
#[test]
fn entries_are_read_from_the_disk() {
    let disk = Disk::default();
    drop(of_frames(&disk, 3));
    let log = open(&disk).expect("opened").expect("there is one");
    let read = || log.shelf.fetch(log.shelf.look_up(1..4, 150));
    assert_eq!(read().expect("read").len(), 1, "as many as have 150 bytes");
    log.shelf.append(&[Logged { at: Applied { index: 4, term: 1 }, entry: vec![] }]);
    assert_eq!((log.shelf.flushed(), log.shelf.ends().1.index), (3, 4));
    disk.flip(0, 4096 + 200);
    assert!(matches!(read(), Err(MeshError::Damaged { what, .. }) if what.contains("entry 1")));
}

/// openraft#1795: entries were written behind a gap.
#[test]
fn entries_that_do_not_follow_are_refused() {
    let log = of_frames(&Disk::default(), 3);
    let gap = vec![Logged { at: Applied { index: 5, term: 1 }, entry: vec![] }];
    assert!(matches!(log.change().append(gap), Err(MeshError::UnreadableEntry { index: 5, .. })));
}

/// A frame that does not fit is written in parts.
#[test]
fn a_long_lot_is_written_in_frames() {
    let disk = Disk::default();
    let mut log = begin(&disk);
    let entries: Vec<_> =
        (1..=20).map(|index| Logged { at: Applied { index, term: 1 }, entry: vec![7; 3_000] }).collect();
    log.shelf.append(&entries);
    let mut change = log.change();
    change.append(entries.clone()).expect("they follow");
    log.write(change).expect("written");
    let log = open(&disk.after_power_loss(&mut Rng::new(1))).expect("opened").expect("there is one");
    assert_eq!(log.shelf.fetch(log.shelf.look_up(1..21, usize::MAX)).expect("read"), entries);
}

/// Slots of what was released are written again, and more than one that is free is given back.
#[test]
fn slots_are_used_again() {
    let disk = Disk::default();
    let mut log = of_frames(&disk, 40);
    assert!(log.slots.len() > 9);
    for index in 41..=60 {
        let at = |index| Applied { index, term: 1 };
        let entries = vec![Logged { at: at(index), entry: vec![7; 100] }];
        log.shelf.append(&entries);
        let mut change = log.change();
        change.append(entries).expect("it follows");
        change.release(at(index - 2));
        log.write(change).expect("written");
        log.shelf.purge(at(index - 2));
    }
    assert!(log.slots.len() <= 3, "{} slots", log.slots.len());
    assert_eq!(disk.after_kill().slot_count(), log.slots.len());
}
