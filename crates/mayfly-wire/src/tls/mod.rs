//! TLS 1.3 with post-quantum key exchange and ML-DSA-87, and nothing else.

mod edge;
mod hybrid;
mod policy;
mod raw_key;
mod signing;

pub use edge::{edge_certificate, edge_client_config, edge_server_config};
pub use hybrid::SECP384R1_MLKEM1024;
pub use policy::KeyExchange;
pub(crate) use raw_key::{Trusting, client_config, server_config};
