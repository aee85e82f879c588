//! What can be done to a process besides killing it: by signals, and by programs of the system that stand between it and its disk or clock.

use super::{Crew, LOOK, PATIENCE};
use crate::support::child::OwnedChild;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// strace is at work by then.
const ATTACHED: Duration = Duration::from_millis(300);
/// On the disk of a node.
const FILLER: &str = "filler";

impl Crew {
    fn signal(&self, i: usize, signal: Signal) -> Result<()> {
        let child = self.mates[i].child.as_ref().with_context(|| format!("node {i} is not running"))?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    pub fn has_ended(&mut self, i: usize) -> Result<bool> {
        Ok(self.mates[i].child.as_mut().map_or(Ok(None), |child| child.try_wait())?.is_some())
    }

    /// SIGTERM, until it has ended.
    pub async fn stop(&mut self, i: usize) -> Result<()> {
        self.signal(i, Signal::TERM)?;
        let begun = Instant::now();
        while !self.has_ended(i)? {
            if begun.elapsed() > PATIENCE {
                bail!("node {i} does not end when it is asked to: {}", self.words_of(i));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    pub fn pause(&self, i: usize) -> Result<()> {
        self.signal(i, Signal::STOP)
    }

    pub fn resume(&self, i: usize) -> Result<()> {
        self.signal(i, Signal::CONT)
    }

    /// Such a share of the packets between nodes, from now on.
    pub fn lose(&self, share: f64) {
        self.faults.lose(share);
    }

    /// With a clock that is off by so many seconds.
    pub fn restart_at(&mut self, i: usize, offset: &str) -> Result<()> {
        self.launch(i, None, Some(offset))
    }

    /// Flushes fail until what is returned is dropped.
    pub fn fail_flushes(&self, i: usize) -> Result<OwnedChild> {
        let child = self.mates[i].child.as_ref().with_context(|| format!("node {i} is not running"))?;
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]);
        command.args(["-e", "inject=fdatasync,fsync:error=EIO", "-p", &child.id().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut strace = OwnedChild(command.spawn().context("cannot start strace")?);
        std::thread::sleep(ATTACHED);
        match strace.try_wait()? {
            // Else the node has ended already, and strace with it.
            Some(status) if !status.success() => {
                bail!("strace ended with {status}: may it look into other processes here?")
            }
            _ => Ok(strace),
        }
    }

    /// So much is left on a node's disk.
    pub fn fill_up(&self, i: usize, left: u64) -> Result<()> {
        let data = &self.mates[i].data;
        let disk = rustix::fs::statvfs(data)?;
        let mut more = (disk.f_bavail * disk.f_frsize).saturating_sub(left);
        let (mut file, zeros) = (std::fs::File::create(data.join(FILLER))?, vec![0; 1 << 20]);
        while more > 0 {
            let part = more.min(zeros.len() as u64);
            file.write_all(&zeros[..usize::try_from(part)?])?;
            more -= part;
        }
        Ok(())
    }

    pub fn make_room(&self, i: usize) -> Result<()> {
        Ok(std::fs::remove_file(self.mates[i].data.join(FILLER))?)
    }

    /// Keeps what the processes wrote and said, beside a report. Says where.
    pub fn keep(&mut self, report: String) -> String {
        let path = self.folder.path().to_owned();
        self.folder.disable_cleanup(true);
        let _ = std::fs::write(path.join("report.txt"), report); // what there is to say is said on the terminal, too
        let note = format!("data and logs of the processes are kept in {}", path.display());
        if self.has_disks { format!("{note}, but for what was on disks in memory") } else { note }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.mates.iter_mut().for_each(|mate| mate.child = None);
        if self.has_disks {
            for mate in &self.mates {
                let _ = Command::new("umount").arg(&mate.data).status(); // it says so itself
            }
        }
    }
}

/// The clock on the wall alone: the other one nobody can set.
pub(super) fn set_clock(command: &mut Command, offset: &str) -> Result<()> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    let library = libraries.next().context("the fault `clock` needs libfaketime, Debian's package faketime")?;
    command.env("LD_PRELOAD", library).env("FAKETIME", offset);
    command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

/// A disk in memory.
pub(super) fn mount(data: &Path) -> Result<()> {
    std::fs::create_dir_all(data)?;
    let mut command = Command::new("mount");
    let status = command.args(["-t", "tmpfs", "-o", "size=1g,mode=0700", "mayfly-demo"]).arg(data).status();
    if !status.context("cannot start mount")?.success() {
        bail!("a disk in memory cannot be mounted: the fault `full` needs root");
    }
    Ok(())
}
