//! One fault after the other, drawn from a seed, until the time is over: whatever the machine can do to a process and its disk, network and clock.

use super::super::args::Fault;
use super::Act;
use anyhow::{Result, bail};
use mayfly_base::Rng;
use std::time::{Duration, Instant};

/// Before the first one, and after each.
const CALM: f64 = 2.0;
/// What is left on a full disk: less than the nodes want, or less than the next file of a log takes.
const LITTLE: u64 = 48 << 20;
const NOTHING: u64 = 2 << 20;
/// A node whose disk fails has ended by then.
const ENDED: Duration = Duration::from_secs(60);

/// Those that are asked for; all but those that need other programs or root, where it is all.
fn drawn(faults: &[Fault]) -> Vec<Fault> {
    const ALL: [Fault; 7] =
        [Fault::Kill, Fault::Restart, Fault::Pause, Fault::Cut, Fault::Loss, Fault::Wipe, Fault::Outage];
    let all = if faults.contains(&Fault::All) { &ALL[..] } else { &[] };
    all.iter().chain(faults.iter().filter(|fault| **fault != Fault::All)).copied().collect()
}

impl Act<'_> {
    pub async fn torment(&mut self, faults: &[Fault], seed: u64, seconds: f64) -> Result<()> {
        let (faults, mut rng) = (drawn(faults), Rng::new(seed));
        self.ui.note(format!("{seconds} s of reads, writes and faults from seed {seed} …"));
        self.until(CALM).await;
        self.mark("calm is over", false);
        while self.now() < seconds {
            let fault = faults[rng.below(faults.len() as u64) as usize];
            let leader = self.crew.leader().await?;
            let others = self.crew.len() as u64;
            let victim = if rng.below(2) == 0 { leader } else { rng.below(others) as usize };
            self.suffer_one(fault, victim, victim == leader, &mut rng).await?;
            *self.faults.entry(fault.name()).or_default() += 1;
            self.crew.wait(self.crew.len()).await.map_err(|e| e.context(format!("after {}", fault.name())))?;
            self.until(self.now() + CALM).await;
        }
        Ok(())
    }

    async fn suffer_one(&mut self, fault: Fault, victim: usize, leads: bool, rng: &mut Rng) -> Result<()> {
        let node = format!("node {victim}{}", if leads { ", which leads," } else { "" });
        match fault {
            Fault::All => {}
            Fault::Kill => {
                self.note(&format!("kill -9 of {node}"));
                self.mark("kill", leads);
                self.crew.kill(victim);
                wait(between(rng, 0, 5)).await;
                self.crew.restart(victim)?;
            }
            Fault::Restart => {
                self.note(&format!("{node} is asked to end"));
                self.crew.stop(victim).await?;
                wait(between(rng, 0, 2)).await;
                self.crew.restart(victim)?;
            }
            Fault::Outage => {
                self.note("kill -9 of all");
                (0..self.crew.len()).for_each(|i| self.crew.kill(i));
                wait(between(rng, 0, 2)).await;
                (0..self.crew.len()).try_for_each(|i| self.crew.restart(i))?;
            }
            Fault::Pause => {
                let pause = between(rng, 1, 30);
                self.note(&format!("{node} stands still for {pause:.1} s"));
                self.crew.pause(victim)?;
                wait(pause).await;
                self.crew.resume(victim)?;
            }
            Fault::Clock => {
                let ahead = rng.below(2) == 0;
                self.note(&format!("{node} comes back an hour {}", if ahead { "ahead" } else { "behind" }));
                self.crew.kill(victim);
                self.crew.restart_at(victim, if ahead { "+3600" } else { "-3600" })?;
                wait(between(rng, 5, 15)).await;
                self.crew.kill(victim);
                self.crew.restart(victim)?;
            }
            Fault::Cut | Fault::Loss => self.suffer_links(fault, victim, &node, rng).await,
            Fault::Wipe | Fault::Flush | Fault::Full => self.suffer_disk(fault, victim, &node, rng).await?,
        }
        Ok(())
    }

    async fn suffer_links(&mut self, fault: Fault, victim: usize, node: &str, rng: &mut Rng) {
        if fault == Fault::Cut {
            self.note(&format!("{node} is cut off"));
            self.crew.cut_off(victim);
            wait(between(rng, 1, 20)).await;
            self.crew.heal();
        } else {
            let percent = between(rng, 2, 30);
            self.note(&format!("{percent:.0} of 100 packets are lost"));
            self.crew.lose(percent / 100.0);
            wait(between(rng, 2, 15)).await;
            self.crew.lose(0.0);
        }
    }

    /// Little room is noticed, and taken back when there is more. Where there is none at all, the node may end, and is started again when there is.
    async fn suffer_full(&mut self, victim: usize, node: &str, rng: &mut Rng) -> Result<()> {
        let left = if rng.below(2) == 0 { LITTLE } else { NOTHING };
        self.note(&format!("the disk of {node} is full but for {} MiB", left >> 20));
        self.crew.fill_up(victim, left)?;
        wait(between(rng, 5, 15)).await;
        self.crew.make_room(victim)?;
        wait(1.0).await; // what met the end of the disk has come to its own
        match self.crew.has_ended(victim)? {
            true if left == LITTLE => bail!("{node} has ended although its disk had room"),
            true => self.crew.restart(victim),
            false => Ok(()),
        }
    }

    async fn suffer_disk(&mut self, fault: Fault, victim: usize, node: &str, rng: &mut Rng) -> Result<()> {
        if fault == Fault::Wipe {
            self.note(&format!("{node} is killed and loses its disk"));
            self.crew.kill(victim);
            return self.crew.restart_wiped(victim);
        }
        if fault == Fault::Full {
            return self.suffer_full(victim, node, rng).await;
        }
        self.note(&format!("the disk of {node} fails to flush"));
        let (begun, failing) = (Instant::now(), self.crew.fail_flushes(victim)?);
        while !self.crew.has_ended(victim)? {
            if begun.elapsed() > ENDED {
                bail!("{node} goes on although its disk fails");
            }
            wait(0.05).await;
        }
        drop(failing);
        self.crew.restart(victim)
    }
}

/// Seconds.
fn between(rng: &mut Rng, from: u64, upto: u64) -> f64 {
    (from * 1_000 + rng.below((upto - from) * 1_000)) as f64 / 1e3
}

async fn wait(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
