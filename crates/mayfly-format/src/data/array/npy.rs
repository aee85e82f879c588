//! npy: one NumPy array. The format is specified in NumPy's `numpy.lib.format`.

use super::dtype::{ByteOrder, Dtype};
use super::payload::{Packing, Payload};
use super::reader::{ArrayHeader, ArrayReader, Order};
use super::source::{ArraySource, Naming};
use crate::data::input::{ByteReader, Input};
use crate::data::schema::Targets;
use crate::data::source::OpenOptions;
use crate::error::{FormatError, Position, Result};

const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// NumPy itself refuses longer headers; a numeric array needs about 80 bytes.
const MAX_HEADER_BYTES: u64 = 10_000;
/// NumPy's own limit since 2.0.
const MAX_RANK: usize = 64;

/// What npy and npz call their arrays.
pub(super) const NAMING: Naming = Naming { grid: "x", target: "y", targets: Targets::Last };

/// Opens a file that is one array.
pub(super) fn open(input: &Input, options: &OpenOptions) -> Result<ArraySource> {
    let mut bytes = input.open_unpacked()?;
    if bytes.is_gzip() {
        return Err(FormatError::Unsupported {
            file: input.name().to_owned(),
            what: "a gzipped npy file".into(),
            instead: "unpack it, or save it with numpy.savez_compressed".into(),
        });
    }
    let (header, header_bytes) = read_header(&mut bytes, None)?;
    let payload = Payload {
        input: input.clone(),
        packing: Packing::Stored { at: 0, crc: None },
        header_bytes,
        value_bytes: value_bytes(input, &header, header_bytes, input.stored_len()?, None)?,
        entry: None,
    };
    let reader = ArrayReader::open(header, payload, options.limits.whole_array_bytes)?;
    ArraySource::new(input.name(), NAMING, reader, None, options)
}

/// The bytes of the values, which must be all that follows the header.
pub(super) fn value_bytes(
    input: &Input,
    header: &ArrayHeader,
    header_bytes: u64,
    all_bytes: u64,
    entry: Option<&str>,
) -> Result<u64> {
    let there = all_bytes.saturating_sub(header_bytes);
    match header.value_bytes() {
        Some(want) if want == there => Ok(want),
        want => {
            let want = want.map_or("more than 2^64".to_owned(), |w| w.to_string());
            let expected = format!("{want} bytes of values for the shape {:?}", header.shape);
            let at = place(entry, header_bytes);
            Err(FormatError::malformed(input.name(), at, expected, &there.to_string()))
        }
    }
}

fn place(entry: Option<&str>, offset: u64) -> Position {
    match entry {
        Some(entry) => Position::Entry { entry: entry.to_owned(), offset },
        None => Position::Offset(offset),
    }
}

/// Reads a header from `bytes`, which stand at its first byte, and says how long it was.
pub(super) fn read_header(bytes: &mut ByteReader, entry: Option<&str>) -> Result<(ArrayHeader, u64)> {
    let start = bytes.offset();
    let mut fixed = [0; 8];
    bytes.read_exact(&mut fixed, "an npy header")?;
    let [magic @ .., major, minor] = fixed;
    let wrong = |at, expected: &str, found: &str, bytes: &ByteReader| {
        FormatError::malformed(bytes.name(), place(entry, at), expected, found)
    };
    if magic != MAGIC {
        return Err(wrong(0, "the npy magic \\x93NUMPY", &magic.escape_ascii().to_string(), bytes));
    }
    let length = match major {
        1 => u64::from(u16::from_le_bytes(read_array(bytes)?)),
        2 | 3 => u64::from(u32::from_le_bytes(read_array(bytes)?)),
        _ => return Err(wrong(6, "npy version 1.0, 2.0 or 3.0", &format!("{major}.{minor}"), bytes)),
    };
    if length > MAX_HEADER_BYTES {
        let expected = format!("a header of at most {MAX_HEADER_BYTES} bytes");
        return Err(wrong(8, &expected, &length.to_string(), bytes));
    }
    let text_at = bytes.offset() - start;
    let mut text = vec![0; length as usize]; // at most 10,000
    bytes.read_exact(&mut text, "an npy header")?;
    let header = parse(&text).map_err(|problem| match problem {
        Problem::Syntax { at, expected } => {
            let rest = text.get(at..).unwrap_or_default();
            let found = String::from_utf8_lossy(rest);
            wrong(text_at + at as u64, expected, found.trim_end(), bytes)
        }
        Problem::Dtype(name) => unsupported(bytes.name(), &name),
    })?;
    Ok((header, bytes.offset() - start))
}

fn read_array<const N: usize>(bytes: &mut ByteReader) -> Result<[u8; N]> {
    let mut out = [0; N];
    bytes.read_exact(&mut out, "an npy header")?;
    Ok(out)
}

fn unsupported(file: &str, dtype: &str) -> FormatError {
    FormatError::Unsupported {
        file: file.to_owned(),
        what: format!("an array of type {dtype}"),
        instead: "save it as float, integer or bool (numpy's astype)".into(),
    }
}

/// What is wrong with the text of a header.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    Syntax { at: usize, expected: &'static str },
    Dtype(String),
}

/// The text is a Python dictionary with exactly the keys `descr`, `fortran_order` and `shape`.
fn parse(text: &[u8]) -> Result<ArrayHeader, Problem> {
    let mut scan = Scan { text, at: 0 };
    let (mut kind, mut order, mut shape) = (None, None, None);
    scan.expect(b'{', "{ of a Python dictionary")?;
    while !scan.eat(b'}') {
        let key_at = scan.at;
        match (scan.string()?, scan.expect(b':', "a colon after the key")?) {
            (b"descr", ()) => kind = Some(descr(&mut scan)?),
            (b"fortran_order", ()) => order = Some(scan.order()?),
            (b"shape", ()) => shape = Some(scan.shape()?),
            _ => {
                return Err(Problem::Syntax {
                    at: key_at,
                    expected: "one of the keys 'descr', 'fortran_order', 'shape'",
                });
            }
        }
        if !scan.eat(b',') {
            scan.expect(b'}', "a comma or }")?;
            break;
        }
    }
    let missing = |expected| Problem::Syntax { at: 0, expected };
    let (dtype, byte_order) = kind.ok_or(missing("the key 'descr'"))?;
    Ok(ArrayHeader {
        dtype,
        byte_order,
        order: order.ok_or(missing("the key 'fortran_order'"))?,
        shape: shape.ok_or(missing("the key 'shape'"))?,
    })
}

fn descr(scan: &mut Scan<'_>) -> Result<(Dtype, ByteOrder), Problem> {
    if scan.peek() == Some(b'[') {
        return Err(Problem::Dtype("structured".into()));
    }
    let name = scan.string()?;
    let unknown = || Problem::Dtype(format!("'{}'", name.escape_ascii()));
    let Some((order, kind)) = name.split_first() else {
        return Err(unknown());
    };
    let byte_order = match order {
        b'<' | b'|' => ByteOrder::Little,
        b'>' => ByteOrder::Big,
        b'=' if cfg!(target_endian = "little") => ByteOrder::Little,
        b'=' => ByteOrder::Big,
        _ => return Err(unknown()),
    };
    let dtype = match kind {
        b"b1" => Dtype::Bool,
        b"i1" => Dtype::I8,
        b"i2" => Dtype::I16,
        b"i4" => Dtype::I32,
        b"i8" => Dtype::I64,
        b"u1" => Dtype::U8,
        b"u2" => Dtype::U16,
        b"u4" => Dtype::U32,
        b"u8" => Dtype::U64,
        b"f2" => Dtype::F16,
        b"f4" => Dtype::F32,
        b"f8" => Dtype::F64,
        _ => return Err(unknown()),
    };
    Ok((dtype, byte_order))
}

/// A scanner over a Python literal; white space before a token is skipped.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Problem> {
        if self.eat(byte) { Ok(()) } else { Err(self.problem(expected)) }
    }

    fn problem(&self, expected: &'static str) -> Problem {
        Problem::Syntax { at: self.at, expected }
    }

    /// A string without escapes, in either quotes.
    fn string(&mut self) -> Result<&'a [u8], Problem> {
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"'));
        let Some(quote) = quote else {
            return Err(self.problem("a quoted string"));
        };
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let Some(length) = rest.iter().position(|&byte| byte == quote) else {
            return Err(self.problem("a string that ends"));
        };
        self.at += length + 2;
        rest.get(..length).ok_or_else(|| self.problem("a string that ends"))
    }

    fn word(&mut self) -> &'a [u8] {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn order(&mut self) -> Result<Order, Problem> {
        match self.word() {
            b"True" => Ok(Order::Fortran),
            b"False" => Ok(Order::C),
            _ => Err(self.problem("True or False")),
        }
    }

    /// A tuple of whole numbers; old Pythons wrote them with an `L` behind.
    fn shape(&mut self) -> Result<Vec<usize>, Problem> {
        let mut shape = Vec::new();
        self.expect(b'(', "( of a tuple")?;
        while !self.eat(b')') {
            let word = self.word();
            let digits = word.strip_suffix(b"L").unwrap_or(word);
            let number = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok());
            shape.push(number.ok_or_else(|| self.problem("a size, below 2^64"))?);
            if shape.len() > MAX_RANK {
                return Err(self.problem("at most 64 dimensions"));
            }
            if !self.eat(b',') {
                self.expect(b')', "a comma or )")?;
                break;
            }
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_numpy_writes_them() {
        let header = parse(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }          \n").unwrap();
        let want = ArrayHeader { dtype: Dtype::F64, byte_order: ByteOrder::Little, order: Order::C, shape: vec![3, 4] };
        assert_eq!(header, want);
        let header = parse(b"{\"shape\":(5L,),'fortran_order':True,'descr':'>i2'}").unwrap();
        assert_eq!((header.shape, header.order, header.byte_order), (vec![5], Order::Fortran, ByteOrder::Big));
        let scalar = parse(b"{'descr': '|b1', 'fortran_order': False, 'shape': (), }").unwrap();
        assert_eq!((scalar.rows(), scalar.row_len()), (1, Some(1)));
    }

    #[test]
    fn bad_headers_say_what_was_expected() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "{ of a Python dictionary"),
            (b"{'descr': '<f8', 'fortran_order': False}", "the key 'shape'"),
            (b"{'descr': '<f8', 'fortran_order': 0, 'shape': ()}", "True or False"),
            (b"{'descr': '<f8' 'shape'", "a comma or }"),
            (b"{'shape': (1, -2)}", "a size, below 2^64"),
            (b"{'shape': (99999999999999999999999,)}", "a size, below 2^64"),
            (b"{'shape': (1 2)}", "a comma or )"),
            (b"{'x': 1}", "one of the keys 'descr', 'fortran_order', 'shape'"),
            (b"{'descr", "a string that ends"),
        ];
        for (text, want) in cases {
            let problem = parse(text).unwrap_err();
            let right = matches!(problem, Problem::Syntax { expected, .. } if expected == want);
            assert!(right, "{}: {problem:?}", text.escape_ascii());
        }
        let structured = parse(b"{'descr': [('a', '<f8')], 'shape': (1,)}").unwrap_err();
        assert_eq!(structured, Problem::Dtype("structured".into()));
        let object = parse(b"{'descr': '|O', 'shape': (1,)}").unwrap_err();
        assert_eq!(object, Problem::Dtype("'|O'".into()));
    }

    #[test]
    fn absurd_shapes_overflow_to_none() {
        let header = parse(b"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}").unwrap();
        assert_eq!(header.value_bytes(), None);
    }
}
