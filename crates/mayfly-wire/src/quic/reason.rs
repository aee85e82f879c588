//! Why connections end, in our words.

use crate::{CloseReason, WireError};
use mayfly_base::NodeId;
use quinn::{ConnectionError, TransportErrorCode};
use std::net::SocketAddr;

/// TLS alerts that our verifiers cause, as QUIC carries them: 0x100 and the alert's number (RFC 9001, section 4.8).
const CERTIFICATE_REVOKED: u64 = 0x100 + 44;
const UNKNOWN_CA: u64 = 0x100 + 48;

/// What the other side said when it closed, if it did.
pub(super) fn said(error: &ConnectionError) -> Option<CloseReason> {
    match error {
        ConnectionError::ApplicationClosed(close) => Some(CloseReason::from_code(close.error_code.into_inner())),
        ConnectionError::ConnectionClosed(close) => of_transport(close.error_code),
        _ => None,
    }
}

fn of_transport(code: TransportErrorCode) -> Option<CloseReason> {
    match u64::from(code) {
        CERTIFICATE_REVOKED => Some(CloseReason::Revoked),
        UNKNOWN_CA => Some(CloseReason::NotMember),
        _ if code == TransportErrorCode::CONNECTION_REFUSED => Some(CloseReason::TooMany),
        _ => None,
    }
}

/// The words that came with a close, without what a terminal would act on.
pub(super) fn words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => printable(&String::from_utf8_lossy(&close.reason)),
        _ => String::new(),
    }
}

/// The longest reason that is sent, and shown, in characters.
pub(super) const MOST_WORDS: usize = 300;

fn printable(text: &str) -> String {
    text.chars().take(MOST_WORDS).map(|c| if c.is_control() || is_reordering(c) { '\u{fffd}' } else { c }).collect()
}

/// Marks that make text read in another order than it is written.
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A handshake with `want` at `addr` that failed.
pub(super) fn of_handshake(error: &ConnectionError, want: NodeId, addr: SocketAddr) -> WireError {
    if let Some(why) = said(error) {
        return WireError::ClosedBy { peer: want, why, said: words(error) };
    }
    match error {
        ConnectionError::TransportError(own) => match u64::from(own.code) {
            CERTIFICATE_REVOKED => WireError::Revoked { id: want },
            UNKNOWN_CA => WireError::NotMember { id: want },
            _ => WireError::Connect { addr, reason: error.to_string() },
        },
        _ => WireError::Connect { addr, reason: error.to_string() },
    }
}

/// A link to `peer` on which something failed for `reason`.
pub(super) fn of_link(connection: &quinn::Connection, peer: NodeId, reason: String) -> WireError {
    match connection.close_reason() {
        Some(error) => match said(&error) {
            Some(why) => WireError::ClosedBy { peer, why, said: words(&error) },
            None => WireError::Lost { peer, reason: error.to_string() },
        },
        None => WireError::Lost { peer, reason },
    }
}
