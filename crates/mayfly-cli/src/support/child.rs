//! Processes that a command starts, and that nobody is to find when it is over.
use super::signals::Signals;
use anyhow::Result;
use std::ops::{Deref, DerefMut};
use std::process::Child;
use std::time::Duration;

/// Between two looks whether a signal came.
const LOOK: Duration = Duration::from_millis(50);

/// A process that ends with whoever started it.
pub struct OwnedChild(pub Child);

impl Deref for OwnedChild {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for OwnedChild {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        let _ = self.0.kill(); // SIGKILL, unless it has ended
        let _ = self.0.wait();
    }
}

/// Work that starts processes: Ctrl-C and `kill` give it up, and the processes with it.
pub async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let signals = Signals::listen()?;
    let interrupted = async {
        loop {
            match signals.check() {
                Err(interrupted) => return interrupted,
                Ok(()) => tokio::time::sleep(LOOK).await,
            }
        }
    };
    tokio::select! {
        done = work => done,
        interrupted = interrupted => Err(interrupted.into()),
    }
}
