//! Entry points for fuzzing: each takes any bytes, reads them as one thing that strangers can send or put on disk, and checks what must hold of what was accepted.
//! They say whether it was accepted. The targets in `fuzz/` call them, and so does a seeded loop in the normal tests. Not part of the public interface.

use crate::trust::TokenBook;
use crate::{Frame, JoinToken, Limits, TrustAnswer, TrustAsk, TrustList, from_payload, to_payload};
use std::path::Path;

/// Every parser with its entry point.
pub const ALL: [(&str, fn(&[u8]) -> bool); 7] = [
    ("frame", frame),
    ("join_token", join_token),
    ("trust_list", trust_list),
    ("trust_message", trust_message),
    ("token_book", token_book),
    ("identity_file", identity_file),
    ("first_words", first_words),
];

/// One frame: what is read is written as something that reads the same.
pub fn frame(bytes: &[u8]) -> bool {
    let limit = Limits::default().payload;
    let Ok(frame) = Frame::decode(bytes, limit) else { return false };
    assert!(frame.payload.len() <= limit);
    let again = Frame::encode(frame.kind, frame.topic, frame.id, &frame.payload, limit);
    assert_eq!(again.and_then(|bytes| Frame::decode(&bytes, limit)).ok(), Some(frame));
    true
}

/// A join token, as bytes from the wire and as text from a person.
pub fn join_token(bytes: &[u8]) -> bool {
    let text = str::from_utf8(bytes).is_ok_and(|text| text.parse::<JoinToken>().is_ok());
    let Ok(token) = JoinToken::from_bytes(bytes) else { return text };
    assert!(token.to_string().parse::<JoinToken>().is_ok_and(|again| again == token));
    true
}

/// A trust list: what is accepted is written as something with the same members.
pub fn trust_list(bytes: &[u8]) -> bool {
    let Ok(list) = TrustList::from_bytes(bytes) else { return false };
    let again = list.to_bytes().and_then(|bytes| TrustList::from_bytes(&bytes));
    assert_eq!(again.ok().map(|again| again.digest()), Some(list.digest()));
    true
}

/// What nodes ask and answer about the trust list.
pub fn trust_message(bytes: &[u8]) -> bool {
    let ask = from_payload::<TrustAsk>("a question", bytes);
    if let Ok(ask) = &ask {
        let again = to_payload("a question", ask).and_then(|bytes| from_payload("a question", &bytes));
        assert_eq!(again.as_ref().ok(), Some(ask));
    }
    ask.is_ok() | from_payload::<TrustAnswer>("an answer", bytes).is_ok()
}

/// A book of tokens.
pub fn token_book(bytes: &[u8]) -> bool {
    let Ok(book) = TokenBook::from_bytes(bytes) else { return false };
    assert_eq!(TokenBook::from_bytes(&book.to_bytes()).ok(), Some(book));
    true
}

/// An identity file, without a passphrase: Argon2 is slow and not what is tried here.
pub fn identity_file(bytes: &[u8]) -> bool {
    crate::identity::read_file(Path::new("fuzz"), bytes, None).is_ok()
}

/// The payloads that come before a link is one, and the heads of bodies.
pub fn first_words(bytes: &[u8]) -> bool {
    crate::quic::read_first_words(bytes) | crate::from_payload::<crate::body::BodyHead<'_>>("a body", bytes).is_ok()
}
