//! Links between nodes: post-quantum identities, a list of whom to trust, QUIC, and frames with hard limits.
//!
//! - [`Frame`], [`Header`], [`Limits`]: the codec. [`to_payload`] and [`from_payload`]: what goes into frames.
//! - [`Transport`]: requests, datagrams and large bodies between [`Peer`]s; [`MemoryNet`] is one inside a process.
//!
//! Bytes and files are specified in `docs/formats/wire.md`.
#![forbid(unsafe_code)]

mod body;
mod close;
mod error;
mod frame;
mod fs;
mod identity;
mod inbox;
mod memory;
mod message;
mod quic;
mod tls;
mod transport;
mod trust;

pub use body::{BodyReader, BodyWriter};
pub use close::CloseReason;
pub use error::{Result, WireError};
pub use frame::{COMPRESS_OVER, Frame, HEADER_LEN, Header, Kind, Limits, ReplayWindow, VERSION};
pub use identity::{Identity, PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, SealCost};
pub use memory::{MemoryEndpoint, MemoryNet};
pub use message::{from_payload, to_payload};
pub use quic::{Endpoint, EndpointConfig, join};
pub use tls::{KeyExchange, SECP384R1_MLKEM1024, edge_certificate, edge_client_config, edge_server_config};
pub use transport::{Event, FAILURE_DROPPED, FAILURE_TOO_LONG, FAILURE_WIRE, LinkStats, Peer, Reply, Transport};
pub use trust::{Change, JoinToken, Merge, Record, SignedRecord, TrustList, TrustStore};
