//! A ticket into a swarm, signed by a member.

use crate::identity::random;
use crate::{Identity, PublicKey, Result, WireError, from_payload, to_payload};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mayfly_base::NodeId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

const CONTEXT: &str = "mayfly join token 1";
const PREFIX: &str = "mfj1.";
const MOST_CONTACTS: usize = 8;
/// A signature, eight addresses and the rest are far below this.
const MOST_TEXT: usize = 8192;

/// What a token says. Unsigned it is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    swarm: NodeId,
    issuer: NodeId,
    serial: [u8; 16],
    expires_ms: u64,
    contacts: Vec<SocketAddr>,
}

/// Lets its bearer into a swarm once, before it expires. Text by [`fmt::Display`] and [`FromStr`]; whoever has the text can join, so it is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    claims: Claims,
    signature: Vec<u8>,
}

impl JoinToken {
    pub(super) fn issue(swarm: NodeId, issuer: &Identity, expires_ms: u64, contacts: &[SocketAddr]) -> Result<Self> {
        let mut serial = [0; 16];
        random(&mut serial)?;
        crate::frame::check_len("the list of contacts", contacts.len() as u64, MOST_CONTACTS as u64)?;
        let claims = Claims { swarm, issuer: issuer.id(), serial, expires_ms, contacts: contacts.to_vec() };
        let signature = issuer.sign(CONTEXT, &to_payload("a join token", &claims)?)?;
        Ok(Self { claims, signature })
    }

    /// The swarm's name.
    pub fn swarm(&self) -> NodeId {
        self.claims.swarm
    }

    /// The member who issued it and who alone redeems it.
    pub fn issuer(&self) -> NodeId {
        self.claims.issuer
    }

    /// When it stops being worth anything, milliseconds since 1970.
    pub fn expires_ms(&self) -> u64 {
        self.claims.expires_ms
    }

    /// Where the issuer listens, as far as it knew.
    pub fn contacts(&self) -> &[SocketAddr] {
        &self.claims.contacts
    }

    pub(super) fn serial(&self) -> [u8; 16] {
        self.claims.serial
    }

    pub(super) fn verify(&self, issuer: &PublicKey) -> Result<()> {
        issuer.verify(CONTEXT, &to_payload("a join token", &self.claims)?, &self.signature)
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        to_payload("a join token", self)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let token: Self = from_payload("a join token", bytes)?;
        crate::frame::check_len("the list of contacts", token.contacts().len() as u64, MOST_CONTACTS as u64)?;
        Ok(token)
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to_bytes().map_err(|_| fmt::Error)?;
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for JoinToken {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |reason| WireError::TokenText { reason };
        let text = text.trim();
        if text.len() > MOST_TEXT {
            return Err(refused("it is too long"));
        }
        let text = text.strip_prefix(PREFIX).ok_or(refused("it does not start with mfj1."))?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused("it holds characters that no token has"))?;
        Self::from_bytes(&bytes)
    }
}

/// Shows who issued it, not the token.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken(by {}, until {})", self.issuer().short(), self.expires_ms())
    }
}
