//! Why settings of the mesh cannot be read or changed.

use crate::error::MeshError;
use crate::etcd_error::EtcdError;
use mayfly_config::ConfigError;

/// Result with [`MeshConfigError`].
pub type MeshConfigResult<T> = Result<T, MeshConfigError>;

/// Why settings of the mesh cannot be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeshConfigError {
    /// What does not hold: an expectation, a schema, a key. Nothing has changed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The mesh.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The mesh's state machine refuses the change. Nothing has changed.
    #[error("the mesh refuses the change: {}", .0.text())]
    Refused(EtcdError),
    /// The mesh is not followed any more.
    #[error("settings do not follow the mesh any more: {reason}; what was read last is all there is")]
    Ended {
        /// Why.
        reason: String,
    },
}

impl MeshConfigError {
    /// A thread that read has not come back.
    pub(super) fn stopped(_: tokio::task::JoinError) -> Self {
        Self::Mesh(MeshError::Stopped { reason: "a reader of what is new has panicked".into() })
    }
}
