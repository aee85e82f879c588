//! IDX, the format of MNIST: <http://yann.lecun.com/exdb/mnist/>.

use std::path::{Path, PathBuf};

use super::dtype::{ByteOrder, Dtype};
use super::npz::MAX_DEFLATE_RATIO;
use super::payload::{Packing, Payload};
use super::reader::{ArrayHeader, ArrayReader, Order};
use super::source::{ArraySource, Naming};
use crate::data::input::Input;
use crate::data::schema::Targets;
use crate::data::source::OpenOptions;
use crate::error::{FormatError, Position, Result};

const MAX_RANK: u8 = 8;

const NAMING: Naming = Naming { grid: "image", target: "label", targets };

fn targets(columns: usize) -> Targets {
    if columns == 1 { Targets::Label } else { Targets::Last(columns) }
}

/// Opens images, labels, or both: `input` may be either, the other is found by its name or in the options.
pub(super) fn open(input: &Input, options: &OpenOptions) -> Result<ArraySource> {
    let first = open_array(input, options)?;
    let partner = options.labels.clone().or_else(|| partner_of(input));
    let second = partner.map(|path| open_array(&Input::from_path(path), options)).transpose()?;
    let (images, labels) = match (first, second) {
        (first, Some(second)) if is_labels(&first) && !is_labels(&second) => (second, Some(first)),
        (first, Some(second)) if is_labels(&second) && !is_labels(&first) => (first, Some(second)),
        (first, None) if !is_labels(&first) => (first, None),
        (_, None) => return Err(alone(input)),
        (_, Some(second)) => return Err(no_pair(input, is_labels(&second))),
    };
    let alone = labels.is_none();
    let source = ArraySource::new(input.name(), NAMING, images, labels, options)?;
    Ok(if alone { source.without_targets(looked_for(input)) } else { source })
}

/// The names that labels would have had.
fn looked_for(input: &Input) -> String {
    let name = input.path().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    match partner_names(name).as_slice() {
        [] => "nothing, because the name does not say \"images\"".into(),
        names => names.iter().take(2).cloned().collect::<Vec<_>>().join(", "),
    }
}

fn is_labels(array: &ArrayReader) -> bool {
    array.header().shape.len() == 1
}

fn alone(input: &Input) -> FormatError {
    FormatError::Unlearnable {
        file: input.name().to_owned(),
        what: "these are labels, and the images that belong to them were not found".into(),
        hint: "name the images file, or put it beside the labels under the usual name (…-images-idx3-ubyte)".into(),
    }
}

fn no_pair(input: &Input, labels: bool) -> FormatError {
    let found = if labels { "two files of labels" } else { "no file of labels" };
    let expected = "one file of rank 1 (labels) and one of a higher rank (images)";
    FormatError::malformed(input.name(), Position::File, expected, found)
}

/// The file that belongs to this one, if there is one: `images` and `labels` change places in the name, and so does the rank in `idx3`.
fn partner_of(input: &Input) -> Option<PathBuf> {
    let path = input.path()?;
    let name = path.file_name()?.to_str()?;
    let there = partner_names(name).into_iter().map(|other| path.with_file_name(other));
    there.into_iter().find(|other| Path::is_file(other))
}

/// The names that the partner of `name` may have, packed the same way first.
fn partner_names(name: &str) -> Vec<String> {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let labels = |rank: &str| plain.replace("images", "labels").replace(rank, "idx1");
    let images = |rank: &str| plain.replace("labels", "images").replace("idx1", rank);
    let mut plain_names: Vec<String> = Vec::new();
    for rank in ["idx3", "idx4", "idx2"] {
        for other in [labels(rank), images(rank)] {
            if other != plain && !plain_names.contains(&other) && same_family(plain, &other) {
                plain_names.push(other);
            }
        }
    }
    let packed = |other: &String| format!("{other}.gz");
    let mut names: Vec<String> = plain_names.iter().map(packed).collect();
    match name == plain {
        true => names.splice(0..0, plain_names),
        false => names.splice(names.len().., plain_names),
    };
    names
}

/// Only a name that says "images" or "labels" has a partner.
fn same_family(name: &str, other: &str) -> bool {
    name.contains("images") && other.contains("labels") || name.contains("labels") && other.contains("images")
}

fn open_array(input: &Input, options: &OpenOptions) -> Result<ArrayReader> {
    let mut bytes = input.open_unpacked()?;
    let mut magic = [0; 4];
    bytes.read_exact(&mut magic, "an IDX header")?;
    let (dtype, rank) = parse_magic(input, magic)?;
    let mut shape = Vec::with_capacity(usize::from(rank));
    for _ in 0..rank {
        let mut size = [0; 4];
        bytes.read_exact(&mut size, "an IDX header")?;
        shape.push(u32::from_be_bytes(size) as usize);
    }
    let header = ArrayHeader { dtype, byte_order: ByteOrder::Big, order: Order::C, shape };
    let packing = if bytes.is_gzip() { Packing::Gzip } else { Packing::Stored { at: 0, crc: None } };
    let header_bytes = bytes.offset();
    let value_bytes = checked_bytes(input, &header, &packing, header_bytes)?;
    let payload = Payload { input: input.clone(), packing, header_bytes, value_bytes, entry: None };
    ArrayReader::open(header, payload, options.limits.whole_array_bytes)
}

fn parse_magic(input: &Input, magic: [u8; 4]) -> Result<(Dtype, u8)> {
    let dtype = match magic {
        [0, 0, 0x08, _] => Some(Dtype::U8),
        [0, 0, 0x09, _] => Some(Dtype::I8),
        [0, 0, 0x0b, _] => Some(Dtype::I16),
        [0, 0, 0x0c, _] => Some(Dtype::I32),
        [0, 0, 0x0d, _] => Some(Dtype::F32),
        [0, 0, 0x0e, _] => Some(Dtype::F64),
        _ => None,
    };
    let [.., rank] = magic;
    match dtype {
        Some(dtype) if (1..=MAX_RANK).contains(&rank) => Ok((dtype, rank)),
        _ => {
            let expected = "an IDX header: 0, 0, a type among 08 09 0b 0c 0d 0e, and a rank from 1 to 8";
            let found = magic.map(|byte| format!("{byte:02x}")).join(" ");
            Err(FormatError::malformed(input.name(), Position::Offset(0), expected, &found))
        }
    }
}

/// The bytes of the values: exactly what follows the header, or what the gzip stream may hold.
fn checked_bytes(input: &Input, header: &ArrayHeader, packing: &Packing, header_bytes: u64) -> Result<u64> {
    let stored = input.stored_len()?;
    let there = stored.saturating_sub(header_bytes);
    let possible = stored.saturating_mul(MAX_DEFLATE_RATIO);
    match (header.value_bytes(), packing) {
        (Some(want), Packing::Gzip) if want <= possible => Ok(want),
        (Some(want), Packing::Stored { .. }) if want == there => Ok(want),
        (want, packing) => {
            let want = want.map_or("more than 2^64".to_owned(), |w| w.to_string());
            let expected = format!("{want} bytes of values for the sizes {:?}", header.shape);
            let found = match packing {
                Packing::Gzip => format!("{stored} packed bytes, which cannot hold them"),
                _ => there.to_string(),
            };
            Err(FormatError::malformed(input.name(), Position::Offset(header_bytes), expected, &found))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_change_images_and_labels() {
        let names = partner_names("train-images-idx3-ubyte.gz");
        assert_eq!(names[0], "train-labels-idx1-ubyte.gz");
        assert!(names.contains(&"train-labels-idx1-ubyte".to_owned()));
        let names = partner_names("t10k-labels.idx1-ubyte");
        assert_eq!(names[0], "t10k-images.idx3-ubyte");
        assert!(partner_names("vectors-idx2").is_empty());
    }
}
