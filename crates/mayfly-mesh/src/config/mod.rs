//! Settings that all members agree on: a [`Config`] that is kept equal to a prefix of the mesh's keys, and changed by entries of the mesh.
//!
//! ```no_run
//! # use mayfly_mesh::{MeshConfig, Single, Store, modules};
//! # async fn node() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Single::start(Store::open("/var/lib/mesh".as_ref(), modules())?)?;
//! let settings = MeshConfig::open(&engine, "/pumps/").await?;
//! settings.set("north/rate", &12.5).await?;
//! assert_eq!(settings.config().get::<f64>("north/rate")?.as_deref(), Some(&12.5));
//! # Ok(())
//! # }
//! ```

mod error;
mod follow;
mod news;
mod tail;
#[cfg(test)]
mod tests;
mod write;

pub use error::{MeshConfigError, MeshConfigResult};

use crate::engine::Engine;
use crate::kv;
use follow::Followed;
use mayfly_config::{Batch, Config, Expect, Limits, Revision};
use news::number;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Settings under a prefix of the mesh's keys. Reading is [`Self::config`], of what this member has; writing goes through the order of entries. Keys are without
/// the prefix, values are JSON, revisions are the mesh's. Dropping it ends the following; [`Self::close`] waits for that.
pub struct MeshConfig<E> {
    engine: E,
    prefix: Arc<str>,
    config: Config,
    followed: watch::Receiver<Followed>,
    /// The following ends when it is dropped.
    ends: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl<E: Engine> MeshConfig<E> {
    /// Loads what this member has under a prefix, and follows it from there. Needs no majority.
    ///
    /// # Errors
    /// [`MeshConfigError::Mesh`] when the state cannot be read.
    pub async fn open(engine: &E, prefix: &str) -> MeshConfigResult<Self> {
        Self::open_with(engine, prefix, Limits::default()).await
    }

    /// The same, and says how much is remembered.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub async fn open_with(engine: &E, prefix: &str, limits: Limits) -> MeshConfigResult<Self> {
        let (config, feed) = Config::following(limits);
        let prefix: Arc<str> = prefix.into();
        let tail = follow::start(engine.clone(), prefix.clone(), feed).await?;
        let (told, followed) = watch::channel(Ok(config.revision()));
        let (ends, is_ending) = oneshot::channel();
        let task = tokio::spawn(follow::run(engine.clone(), tail, told, is_ending));
        Ok(Self { engine: engine.clone(), prefix, config, followed, ends, task })
    }

    /// What this member has: get, watch, snapshot, history. Its own writes are refused.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns when [`Self::config`] has everything that was acknowledged before this call, by any member. Gives the mesh's revision then.
    ///
    /// # Errors
    /// [`MeshConfigError::Mesh`] without a majority, [`MeshConfigError::Ended`].
    pub async fn sync(&self) -> MeshConfigResult<Revision> {
        self.engine.read_barrier().await?;
        let engine = self.engine.clone();
        let read = tokio::task::spawn_blocking(move || engine.store().read(kv::revision));
        let revision = number(read.await.map_err(MeshConfigError::stopped)??);
        self.reach(revision).await?;
        Ok(revision)
    }

    /// Returns when the mesh is followed up to a revision.
    async fn reach(&self, revision: Revision) -> MeshConfigResult<()> {
        let mut followed = self.followed.clone();
        let is_there = |followed: &Followed| followed.as_ref().map_or(true, |at| *at >= revision);
        match followed.wait_for(is_there).await {
            Ok(followed) => followed.clone().map(drop),
            Err(_) => Err(MeshConfigError::Ended { reason: "it was closed".into() }),
        }
    }

    /// Why the mesh is not followed any more, once it is so: [`Self::config`] stays what it was then.
    pub fn ended(&self) -> Option<MeshConfigError> {
        self.followed.borrow().clone().err()
    }

    /// Sets a key. When this returns, [`Self::config`] has it.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub async fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> MeshConfigResult<Revision> {
        self.compare_and_set(key, Expect::Anything, value).await
    }

    /// Sets a key if it is as expected, wherever in the mesh that is decided.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub async fn compare_and_set<T: Serialize + ?Sized>(
        &self,
        key: &str,
        expect: Expect,
        value: &T,
    ) -> MeshConfigResult<Revision> {
        let mut batch = Batch::new();
        batch.set(key, value)?.expect(key, expect);
        Ok(self.commit(&batch).await?.unwrap_or_default()) // a put always makes a revision
    }

    /// Deletes a key if it is as expected; none if it did not exist.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub async fn compare_and_delete(&self, key: &str, expect: Expect) -> MeshConfigResult<Option<Revision>> {
        self.commit(Batch::new().delete(key).expect(key, expect)).await
    }

    /// Makes several changes as one entry of the mesh; none if there was nothing to change. Schemas of [`Self::config`] are asked first; they are this process's.
    /// It is done in the name of the member, so users of the mesh do not limit it. When this returns, [`Self::config`] has it, unless following has ended.
    ///
    /// # Errors
    /// [`MeshConfigError::Config`] with what does not hold, [`MeshConfigError::Refused`], [`MeshConfigError::Mesh`]: of the latter, those of a proposal leave
    /// unknown whether it happened, unless they say otherwise.
    pub async fn commit(&self, batch: &Batch) -> MeshConfigResult<Option<Revision>> {
        let done = write::commit(&self.engine, &self.prefix, &self.config, batch).await?;
        if let Some(revision) = done {
            // It has happened, whatever becomes of the following.
            let _ = self.reach(revision).await;
        }
        Ok(done)
    }

    /// Ends the following and returns when nothing of it holds the node any more.
    pub async fn close(self) {
        drop(self.ends);
        let _ = self.task.await; // it was told to end
    }
}
