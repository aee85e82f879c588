//! What is trained.

use crate::learn::Digest;
use crate::learn::combine::named;
use alloc::vec::Vec;
use mayfly_base::NodeId;

/// Which of the bodies cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit(pub usize);

/// What the hosts of a simulation train, as bytes.
pub trait Work {
    /// The state that the run starts from.
    fn first(&mut self) -> Vec<u8>;

    /// Rows at a host.
    fn rows(&self, host: usize) -> u64;

    /// Local work at a host: the body of its update.
    fn train(&mut self, host: usize, round: u64, state: &[u8]) -> Vec<u8>;

    /// The next state, from the one before, bodies, and whose they are and what each counts.
    ///
    /// # Errors
    /// [`Unfit`].
    fn combine(&mut self, state: &[u8], bodies: &[Vec<u8>], shares: &[(NodeId, f64)]) -> Result<Vec<u8>, Unfit>;

    /// How long local work from a state takes that takes so long by default.
    fn train_ms(&self, _state: &[u8], usual: u64) -> u64 {
        usual
    }

    /// Does the run end with this state, whatever its rounds?
    fn is_last(&self, _state: &[u8]) -> bool {
        false
    }
}

/// Nothing is trained: states and bodies are names that say what they are made of. For who decides what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names;

impl Work for Names {
    fn first(&mut self) -> Vec<u8> {
        b"the beginning".to_vec()
    }

    fn rows(&self, host: usize) -> u64 {
        100 + host as u64
    }

    fn train(&mut self, host: usize, round: u64, state: &[u8]) -> Vec<u8> {
        let mut body = state.to_vec();
        body.extend_from_slice(&(host as u64).to_le_bytes());
        body.extend_from_slice(&round.to_le_bytes());
        Digest::of(&body).0.to_vec()
    }

    fn combine(&mut self, state: &[u8], bodies: &[Vec<u8>], shares: &[(NodeId, f64)]) -> Result<Vec<u8>, Unfit> {
        let shares = shares.iter().map(|(_, share)| Digest::of(&share.to_le_bytes()));
        let bodies = bodies.iter().map(|body| Digest::of(body));
        Ok(named(Digest::of(state), bodies.chain(shares)).0.to_vec())
    }
}
