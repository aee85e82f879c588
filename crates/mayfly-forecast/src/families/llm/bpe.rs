//! GPT-2's tokeniser: pairs of bytes that often stand together are joined, again and again (Sennrich et al. 2016; on bytes: Radford et al. 2019).
use super::pieces::pieces;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Numbers of tokens are exact in a float up to here.
pub(super) const MOST_TOKENS: u32 = 1 << 24;

/// A tokeniser as files hold it: tokens in the characters that stand for bytes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vocabulary {
    pub(super) tokens: BTreeMap<String, u32>,
    /// Pairs of tokens that are joined, the ones that are joined first before others.
    pub(super) merges: Vec<(String, String)>,
    /// Texts that are one token wherever they stand.
    pub(super) specials: BTreeMap<String, u32>,
    /// The token that stands behind a text.
    pub(super) end: u32,
}

/// Text to numbers of tokens. What could fail was refused when it was made.
#[derive(Clone, PartialEq)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    /// The token of each byte.
    bytes: Vec<u32>,
    /// What a pair becomes, and how early.
    joined: HashMap<(u32, u32), (usize, u32)>,
}

impl Tokenizer {
    /// # Errors
    /// Bytes without a token, and pairs or numbers that are not in the vocabulary, as what is wrong.
    pub(super) fn new(vocabulary: Vocabulary) -> Result<Tokenizer, String> {
        let of = |token: &str| vocabulary.tokens.get(token).copied();
        let of_byte = |byte: u8| {
            of(&stand_in(byte).to_string())
                .ok_or_else(|| format!("the byte {byte} has no token: no byte-level vocabulary"))
        };
        let bytes = (0..=u8::MAX).map(of_byte).collect::<Result<Vec<u32>, String>>()?;
        let mut joined = HashMap::with_capacity(vocabulary.merges.len());
        for (rank, (left, right)) in vocabulary.merges.iter().enumerate() {
            let (Some(l), Some(r), Some(both)) = (of(left), of(right), of(&format!("{left}{right}"))) else {
                return Err(format!("the pair {left:?}, {right:?} joins tokens that are not in the vocabulary"));
            };
            joined.entry((l, r)).or_insert((rank, both));
        }
        let tokenizer = Tokenizer { vocabulary, bytes, joined };
        match tokenizer.largest() {
            most if most >= MOST_TOKENS => {
                Err(format!("a token has the number {most}; at most {} are read", MOST_TOKENS - 1))
            }
            _ => Ok(tokenizer),
        }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The token that stands behind a text.
    pub(super) fn end(&self) -> u32 {
        self.vocabulary.end
    }

    /// The largest number of a token.
    pub(in crate::families) fn largest(&self) -> u32 {
        let Vocabulary { tokens, specials, end, .. } = &self.vocabulary;
        tokens.values().chain(specials.values()).copied().fold(*end, u32::max)
    }

    /// The tokens of a text.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while let Some((at, special, id)) = self.next_special(rest) {
            self.encode_plain(&rest[..at], &mut ids);
            ids.push(id);
            rest = &rest[at + special.len()..];
        }
        self.encode_plain(rest, &mut ids);
        ids
    }

    /// The first text that is one token: where it begins, the longest of several at one place.
    fn next_special(&self, text: &str) -> Option<(usize, &str, u32)> {
        let all = self.vocabulary.specials.iter().filter(|(special, _)| !special.is_empty());
        let found = all.filter_map(|(special, id)| Some((text.find(special.as_str())?, special.as_str(), *id)));
        found.min_by_key(|(at, special, _)| (*at, usize::MAX - special.len()))
    }

    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) {
        for piece in pieces(text) {
            let mut tokens: Vec<u32> = piece.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
            while let Some((at, both)) = self.first_pair(&tokens) {
                tokens[at] = both;
                tokens.remove(at + 1);
            }
            ids.extend(tokens);
        }
    }

    /// The pair that is joined next: the earliest in the list, the first of several.
    fn first_pair(&self, tokens: &[u32]) -> Option<(usize, u32)> {
        let pairs = tokens.windows(2).enumerate();
        let known = pairs.filter_map(|(at, pair)| Some((at, *self.joined.get(&(pair[0], pair[1]))?)));
        known.min_by_key(|(at, (rank, _))| (*rank, *at)).map(|(at, (_, both))| (at, both))
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer of {} tokens", self.vocabulary.tokens.len())
    }
}

/// The character that stands for a byte in a vocabulary: printable ones for themselves, others in their order from 256 on.
fn stand_in(byte: u8) -> char {
    let is_itself = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if is_itself(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !is_itself(*b)).count() as u32;
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::Value;

    /// The vocabulary of `tests/tokenizer.json`, which `bench/python/nf_golden.py` trained with Hugging Face's tokenizers.
    pub(in super::super) fn fixture() -> Value {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizer.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// A vocabulary of bytes alone, and what is joined.
    pub(super) fn of_bytes(merges: &[(&str, &str)]) -> Vocabulary {
        let bytes = (0..=u8::MAX).map(|byte| stand_in(byte).to_string());
        let joined = merges.iter().map(|(l, r)| format!("{l}{r}"));
        let tokens = bytes.chain(joined).enumerate().map(|(id, token)| (token, id as u32)).collect();
        let merges = merges.iter().map(|(l, r)| ((*l).to_owned(), (*r).to_owned())).collect();
        Vocabulary { tokens, merges, specials: BTreeMap::from([("<|endoftext|>".to_owned(), 900)]), end: 900 }
    }

    #[test]
    fn pairs_are_joined_in_the_order_of_the_list() {
        let tokenizer = Tokenizer::new(of_bytes(&[("a", "b"), ("b", "c"), ("ab", "ab"), ("Ġ", "a")])).unwrap();
        let a = u32::from(b'a');
        assert_eq!(tokenizer.encode("abc"), [256, a + 2]);
        assert_eq!(tokenizer.encode("bcabab"), [257, 258]);
        // " a" is one piece, in which "ab" is joined first.
        assert_eq!(tokenizer.encode(" a"), [259]);
        assert_eq!(tokenizer.encode(" ab"), [u32::from(b' '), 256]);
        assert_eq!(tokenizer.encode("ab<|endoftext|>ab"), [256, 900, 256]);
        assert_eq!(tokenizer.encode("é"), "é".bytes().map(u32::from).collect::<Vec<_>>());
        assert!(tokenizer.encode("").is_empty());
    }

    /// Contractions, numbers of other scripts, marks, spaces of all kinds, tokens within words.
    #[test]
    fn tokens_are_those_of_hugging_faces_tokenizers() {
        let fixture = fixture();
        let tokenizer = super::super::folder::of_json(&fixture["tokenizer"], "<|endoftext|>").unwrap();
        let texts = fixture["texts"].as_array().unwrap();
        assert!(texts.len() >= 10);
        for text in texts {
            let want: Vec<u32> = text["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
            assert_eq!(tokenizer.encode(text["text"].as_str().unwrap()), want, "{text}");
        }
    }

    #[test]
    fn vocabularies_that_are_none_are_refused() {
        let mut without = of_bytes(&[]);
        without.tokens.remove("a");
        assert!(Tokenizer::new(without).unwrap_err().contains("the byte 97"));
        let mut strange = of_bytes(&[]);
        strange.merges.push(("a".into(), "xyz".into()));
        assert!(Tokenizer::new(strange).unwrap_err().contains("\"xyz\""));
        let far = Vocabulary { end: MOST_TOKENS, ..of_bytes(&[]) };
        assert!(Tokenizer::new(far).unwrap_err().contains("16777216"));
    }
}
