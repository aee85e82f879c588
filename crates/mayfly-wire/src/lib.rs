//! Links between nodes: post-quantum identities, a list of whom to trust, QUIC, and frames with hard limits.
//!
//! - [`Identity`] is a node's key pair, [`TrustStore`] whom it trusts, [`JoinToken`] a ticket into a swarm, [`join`] how it is redeemed.
//! - [`Transport`]: requests, datagrams and large bodies between [`Peer`]s. [`Endpoint`] is the real one, on QUIC; [`MemoryNet`] makes some inside a process.
//! - [`Frame`], [`Header`], [`Limits`]: the codec. [`to_payload`] and [`from_payload`]: what goes into frames.
//! - [`edge_server_config`]: TLS for HTTP and edge clients.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> mayfly_wire::Result<()> {
//! use mayfly_wire::*;
//! use std::sync::Arc;
//!
//! // The first node founds a swarm and lets a second one in.
//! let (a, b) = (Identity::generate()?, Identity::generate()?);
//! let mut list = TrustList::found(&a, 0)?;
//! list.admit(&a, b.public_key(), 0)?;
//! let config = EndpointConfig::new(([127, 0, 0, 1], 0).into());
//! let a = Endpoint::bind(a, Arc::new(TrustStore::in_memory(list.clone())), config.clone())?;
//! let b = Endpoint::bind(b, Arc::new(TrustStore::in_memory(list)), config)?;
//! let to = Peer { id: b.id(), addr: b.addr() };
//!
//! tokio::spawn(async move {
//!     while let Some(event) = b.next().await {
//!         if let Event::Request { payload, reply, .. } = event {
//!             reply.answer(payload.to_ascii_uppercase());
//!         }
//!     }
//! });
//! assert_eq!(a.request(to, 1, b"hello").await?, b"HELLO");
//! # Ok(())
//! # }
//! ```
//!
//! Bytes and files are specified in `docs/formats/wire.md`.
#![forbid(unsafe_code)]

mod body;
mod close;
mod error;
mod frame;
mod fs;
#[doc(hidden)]
pub mod fuzz;
mod identity;
mod inbox;
mod lanes;
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
pub use lanes::{Lane, lanes};
pub use memory::{MemoryEndpoint, MemoryNet};
pub use message::{from_payload, to_payload};
pub use quic::{Endpoint, EndpointConfig, Listener, join};
pub use tls::{KeyExchange, SECP384R1_MLKEM1024, edge_certificate, edge_client_config, edge_server_config};
pub use transport::{Event, FAILURE_DROPPED, FAILURE_TOO_LONG, FAILURE_WIRE, LinkStats, Peer, Reply, Transport};
pub use trust::{
    Admitted, Change, JoinToken, Merge, PAGE_BYTES, Record, SignedRecord, TrustAnswer, TrustAsk, TrustExchange,
    TrustList, TrustNews, TrustStore,
};
