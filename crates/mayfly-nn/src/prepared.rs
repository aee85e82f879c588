//! A network that is made ready once, for any number of calls.
use crate::error::Result;
use crate::network::Network;
use crate::shared::SharedNetwork;
use mayfly_graph::{Precision, Session};
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A network that keeps what [`Network::predict_named`] makes anew at every call: its packed weights, and the session of the last call for the next of as many rows.
/// The first call makes them, so that a network which answers nothing costs nothing. Copies share them. What sessions held is zeroised when the last copy goes.
#[derive(Clone, Debug)]
pub struct PreparedNetwork(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    network: Network,
    shared: OnceLock<SharedNetwork>,
    session: Mutex<Option<Kept>>,
}

struct Kept(Session);

impl std::fmt::Debug for Kept {
    /// Nothing: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a session")
    }
}

impl PreparedNetwork {
    /// One that answers with the parameters as they are now.
    pub fn new(network: Network) -> PreparedNetwork {
        PreparedNetwork(Arc::new(Inner { network, shared: OnceLock::new(), session: Mutex::new(None) }))
    }

    /// As [`Network::predict_named`], with the same bits.
    ///
    /// # Errors
    /// As there.
    pub fn predict_named(&self, x: &[f32], extras: &[(&str, &[f32])]) -> Result<Vec<f32>> {
        let shared = match self.0.shared.get() {
            Some(shared) => shared,
            None => {
                let made = self.0.network.shared(Precision::F32)?;
                self.0.shared.get_or_init(|| made)
            }
        };
        // Calls at the same time make sessions of their own.
        let kept = || self.0.session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut session = kept().take().map(|kept| kept.0);
        let y = self.0.network.named_by(shared, &mut session, x, extras)?;
        *kept() = session.map(Kept);
        Ok(y)
    }
}

impl From<Network> for PreparedNetwork {
    fn from(network: Network) -> PreparedNetwork {
        PreparedNetwork::new(network)
    }
}

impl Deref for PreparedNetwork {
    type Target = Network;

    fn deref(&self) -> &Network {
        &self.0.network
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Act, NetworkSpec};

    /// Calls of other sizes in between, calls that fail, and threads change nothing.
    #[test]
    fn it_answers_as_the_network_does() {
        let spec = NetworkSpec::dense(6, &[300], Act::Tanh.into(), 2, Act::Identity.into());
        let network = Network::new(spec, 3).unwrap();
        let prepared = PreparedNetwork::new(network.clone());
        let x: Vec<f32> = (0..6 * 70).map(|i| (i as f32 * 0.7).sin()).collect();
        let want = |rows: usize| network.predict_named(&x[..6 * rows], &[]).unwrap();
        for rows in [1, 1, 70, 3, 3, 1, 70] {
            assert_eq!(prepared.predict_named(&x[..6 * rows], &[]).unwrap(), want(rows), "{rows}");
            assert!(prepared.predict_named(&x[..5], &[]).is_err());
            assert!(prepared.predict_named(&x[..6], &[("none", &[0.0])]).is_err());
        }
        assert_eq!(prepared.params(), network.params());
        std::thread::scope(|scope| {
            for rows in [1, 2, 1, 2] {
                let (prepared, x, want) = (prepared.clone(), &x, want(rows));
                scope.spawn(move || {
                    for _ in 0..20 {
                        assert_eq!(prepared.predict_named(&x[..6 * rows], &[]).unwrap(), want);
                    }
                });
            }
        });
    }
}
