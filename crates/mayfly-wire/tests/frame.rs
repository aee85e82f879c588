//! The codec: what comes out is what went in, and whatever else comes in is refused by name.

use mayfly_wire::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const LIMIT: usize = 1 << 20;

fn encode(payload: &[u8]) -> Vec<u8> {
    Frame::encode(Kind::Request, 513, 0x0403_0201, payload, LIMIT).unwrap().to_vec()
}

#[test]
fn the_layout_is_that_of_the_format_page() {
    let bytes = encode(b"abc");
    assert_eq!(bytes, [0x4d, 0x46, 1, 4, 0, 0, 1, 2, 1, 2, 3, 4, 3, 0, 0, 0, b'a', b'b', b'c']);
    let zeros = encode(&[0; 2000]);
    assert_eq!(zeros[..8], [0x4d, 0x46, 1, 4, 1, 0, 1, 2]);
    assert_eq!(zeros[16..20], 2000_u32.to_le_bytes());
    assert!(zeros.len() < 60, "{}", zeros.len());
}

#[test]
fn only_what_is_long_and_shrinks_is_compressed() {
    assert_eq!(encode(&[0; COMPRESS_OVER]).len(), HEADER_LEN + COMPRESS_OVER);
    assert!(encode(&[0; COMPRESS_OVER + 1]).len() < 60);
    let mut rng = mayfly_base::Rng::new(1);
    let noise: Vec<u8> = (0..5000).map(|_| rng.next_u64() as u8).collect();
    assert_eq!(encode(&noise).len(), HEADER_LEN + 5000);
}

#[test]
fn every_cut_and_every_extra_byte_is_refused() {
    for whole in [encode(b"hello"), encode(&[7; 3000])] {
        for len in 0..whole.len() {
            let cut = Frame::decode(&whole[..len], LIMIT);
            assert!(matches!(cut, Err(WireError::Truncated { have, .. }) if have == len as u64), "{len}: {cut:?}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(matches!(Frame::decode(&longer, LIMIT), Err(WireError::Trailing { .. })));
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_refused_or_seen() {
    let whole = encode(b"hello");
    let sent = Frame::decode(&whole, LIMIT).unwrap();
    for bit in 0..HEADER_LEN * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match Frame::decode(&flipped, LIMIT) {
            Ok(frame) => assert!(frame != sent && matches!(bit / 8, 3 | 6..12), "bit {bit} went unseen"),
            Err(error) => match bit / 8 {
                0 | 1 => assert!(matches!(error, WireError::Magic { .. })),
                2 => assert!(matches!(error, WireError::Version { .. })),
                3 => assert!(matches!(error, WireError::Kind { .. })),
                4 if bit % 8 == 0 => assert!(matches!(error, WireError::Bomb { .. } | WireError::TooLong { .. })),
                4 | 5 => assert!(matches!(error, WireError::Flags { .. })),
                _ => assert!(matches!(
                    error,
                    WireError::Truncated { .. } | WireError::Trailing { .. } | WireError::TooLong { .. }
                )),
            },
        }
    }
}

/// A frame with the compressed flag and these bytes in the place of its payload.
fn packed(declared: u32, block: &[u8]) -> Vec<u8> {
    let mut bytes = encode(&[0; 2000]);
    bytes.truncate(HEADER_LEN);
    bytes[12..16].copy_from_slice(&(block.len() as u32 + 4).to_le_bytes());
    bytes.extend(declared.to_le_bytes());
    bytes.extend(block);
    bytes
}

#[test]
fn bombs_and_false_lengths_are_refused_before_memory_is_taken() {
    let declared = |n, block: &[u8]| Frame::decode(&packed(n, block), LIMIT);
    assert!(matches!(declared(u32::MAX, &[0; 20]), Err(WireError::TooLong { len: 0xffff_ffff, .. })));
    assert!(matches!(declared(LIMIT as u32, &[0; 20]), Err(WireError::Bomb { compressed: 20, .. })));
    assert!(matches!(declared(1000, &[0xff; 20]), Err(WireError::Decompress { declared: 1000 })));
    let block = lz4_flex::block::compress(&[5; 4000]);
    assert!(declared(4000, &block).is_ok());
    for wrong in [3999, 4001] {
        assert!(matches!(declared(wrong, &block), Err(WireError::Decompress { .. })), "{wrong}");
    }
    let mut huge = encode(b"");
    huge[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(Frame::decode(&huge, LIMIT), Err(WireError::TooLong { len: 0xffff_ffff, .. })));
}

#[test]
fn payloads_are_read_to_their_end() {
    let bytes = to_payload("a pair", &(7_u32, "seven")).unwrap();
    assert_eq!(from_payload::<(u32, &str)>("a pair", &bytes).unwrap(), (7, "seven"));
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(from_payload::<(u32, &str)>("a pair", &longer), Err(WireError::Trailing { what: "a pair" })));
    assert!(matches!(from_payload::<(u32, &str)>("a pair", &bytes[..3]), Err(WireError::Payload { .. })));
    // A list that claims four thousand million elements and has three bytes.
    let claim = from_payload::<Vec<u64>>("a list", &[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]);
    assert!(matches!(claim, Err(WireError::Payload { .. })));
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(payload in prop::collection::vec(0..4_u8, 0..5000), topic: u16, id: u32) {
        let bytes = Frame::encode(Kind::Body, topic, id, &payload, LIMIT).unwrap();
        let want = Frame { kind: Kind::Body, topic, id, payload };
        prop_assert_eq!(Frame::decode(&bytes, LIMIT).unwrap(), want);
    }

    #[test]
    fn noise_behind_a_header_never_gets_past_the_limit(flags in 0..2_u8, noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = vec![0x4d, 0x46, 1, 4, flags, 0, 0, 0, 1, 0, 0, 0];
        bytes.extend((noise.len() as u32).to_le_bytes());
        bytes.extend(&noise);
        if let Ok(frame) = Frame::decode(&bytes, 1 << 16) {
            prop_assert!(frame.payload.len() <= 1 << 16);
        }
    }

    /// Against a set that forgets nothing.
    #[test]
    fn the_window_lets_each_id_through_once(steps in prop::collection::vec((any::<bool>(), 0..40_000_u32), 1..300)) {
        let (mut window, mut seen, mut newest) = (ReplayWindow::default(), BTreeSet::new(), 0_u32);
        for (is_near, far) in steps {
            let id = if is_near { newest.saturating_sub(far % 64) } else { newest.saturating_add(far).saturating_sub(20_000) };
            let is_new = id > 0 && !seen.contains(&id) && (id > newest || newest - id < 16_384);
            prop_assert_eq!(window.accept(id).is_ok(), is_new, "id {}, newest {}", id, newest);
            seen.insert(id);
            newest = newest.max(id);
        }
    }
}
