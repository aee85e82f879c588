//! What every crate shares: seeded randomness (the same seed gives the same numbers on every machine and in every version), the names of nodes, and,
//! with the feature `std`, files that are never half written (`atomic`).
//!
//! ```
//! use mayfly_base::Rng;
//!
//! let mut rng = Rng::new(7);
//! let dice: Vec<u64> = (0..5).map(|_| 1 + rng.below(6)).collect();
//! assert_eq!(dice, [1, 2, 5, 3, 6]);
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
pub mod atomic;
mod node_id;
mod rng;

pub use node_id::{NodeId, ParseNodeIdError};
pub use rng::{Rng, mix, split_mix};
