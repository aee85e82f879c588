//! Networks that are built for a job, live under a lease, and dissolve with a certificate.
//!
//! ```
//! use mayfly_lifecycle::{Ephemeral, Lease, Task};
//! use mayfly_nn::{Act, Activation, Network, NetworkSpec};
//! use std::time::Duration;
//! # fn main() -> Result<(), mayfly_lifecycle::LifeError> {
//! # let network = Network::new(NetworkSpec::dense(4, &[8], Act::Relu.into(), 2, Activation::IDENTITY), 1)?;
//! let task = Task::network(network);
//! let fly = Ephemeral::build(&task)?.lease(&Lease { calls: Some(2), ttl: Some(Duration::from_secs(60)), ..Lease::default() })?;
//! let answer = fly.call(&[5.1, 3.5, 1.4, 0.2])?;
//! assert_eq!(answer.len(), 2);
//! let certificate = fly.dissolve(); // so does dropping it, and so do its lease and its host
//! assert_eq!(certificate.calls, 1);
//! assert!(fly.call(&[5.1, 3.5, 1.4, 0.2]).is_err());
//! # Ok(()) }
//! ```
//!
//! - A [`Task`] says what is wanted; [`Planned`] is a network that is ready to live, with a plan that many share; [`Ephemeral`] lives.
//! - A [`Lease`] ends a life by time, by idleness or by calls, on a clock that nobody sets back ([`BootClock`]).
//! - A [`Host`] owns the memory ([`mayfly_vault::Vault`]), the plans, the thread that wipes what is over, and the chain of [`Certificate`]s.
//!
//! `docs/design/lifecycle.md` has the states, the way of the data, and what happens when.
#![forbid(unsafe_code)]

mod body;
mod certificate;
mod clock;
mod entry;
mod ephemeral;
mod error;
mod host;
mod host_config;
mod id;
mod keeper;
mod lease;
mod ledger;
mod life;
mod limits;
mod plans;
mod purpose;
mod seal;
#[cfg(feature = "sign")]
mod signed;
mod state;
mod task;
mod term;

pub use certificate::{Certificate, Wiped};
pub use clock::{BootClock, Clock, SimulatedClock};
pub use ephemeral::{Ephemeral, Planned};
pub use error::{LifeError, Limit, Result};
pub use host::{Figures, Host, Listed};
pub use host_config::{HostConfig, HostParts, Reaping, Witness};
pub use id::InstanceId;
pub use lease::Lease;
pub use limits::{Candidate, Limits, MinScore, Missed};
pub use plans::PlanKey;
pub use purpose::{Built, Purpose};
#[cfg(feature = "sign")]
pub use signed::{CertificateError, CertificateFile, SignedCertificate};
pub use state::{Reason, State};
pub use task::Task;
pub use term::Term;
