//! Cubic that never shrinks below what one MTU probe and a few packets take.
//!
//! QUIC's smallest window is two packets. A probe for a larger MTU counts as being under way, and quinn sends the first as soon as the client's handshake is
//! complete. When packets of the handshake were lost before, the probe fills the small window; the server, who lacks the rest of the handshake, drops it; and the
//! rest of the handshake waits for room that never comes. Two hundred nodes that call at once bring this about on loopback.

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// Packets of 1,200 bytes that find room beside a probe: the longest flight of a handshake.
const PACKETS: u64 = 10 * 1200;

/// Makes the controllers; `largest_mtu` is the longest probe in bytes.
pub(super) struct FlooredCubic {
    pub(super) cubic: Arc<CubicConfig>,
    pub(super) largest_mtu: u16,
}

impl ControllerFactory for FlooredCubic {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = self.cubic.clone().build(now, current_mtu);
        Box::new(Floored { inner, least: u64::from(self.largest_mtu) + PACKETS })
    }
}

struct Floored {
    inner: Box<dyn Controller>,
    least: u64,
}

impl Controller for Floored {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.inner.window().max(self.least)
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), least: self.least })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window().max(self.least)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
