//! npz: a zip archive of npy members.

use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::{CompressionMethod, ZipArchive};

use super::npy;
use super::payload::{Packing, Payload};
use super::reader::ArrayReader;
use super::source::ArraySource;
use crate::data::input::Input;
use crate::data::source::{NpzKeys, OpenOptions};
use crate::error::{FormatError, Position, Result};

/// The names of inputs and targets that are looked for, in this order.
const PAIRS: [(&str, &str); 10] = [
    ("X", "y"),
    ("x", "y"),
    ("x_train", "y_train"),
    ("X_train", "y_train"),
    ("train_images", "train_labels"),
    ("data", "target"),
    ("images", "labels"),
    ("features", "labels"),
    ("features", "targets"),
    ("inputs", "targets"),
];

/// More members than any archive of arrays for one network has.
const MAX_MEMBERS: usize = 10_000;

/// Deflate packs at most 1032 : 1, so a member that claims more is a lie.
pub(super) const MAX_DEFLATE_RATIO: u64 = 1032;

/// Enough of a member to hold any header that is accepted.
const HEADER_BYTES: u64 = 1 << 14;

/// An array in the archive.
#[derive(Debug, Clone)]
struct Member {
    key: String,
    entry: String,
    at: u64,
    packed_bytes: u64,
    unpacked_bytes: u64,
    crc: u32,
    deflated: bool,
}

/// Opens an archive.
pub(super) fn open(input: &Input, options: &OpenOptions) -> Result<ArraySource> {
    let members = members(input)?;
    let (inputs, targets) = match &options.npz_keys {
        Some(keys) => named(input, &members, keys)?,
        None => found(input, &members)?,
    };
    let open_array = |member: &Member| open_member(input, member, options);
    let targets = targets.map(open_array).transpose()?;
    ArraySource::new(input.name(), npy::NAMING, open_array(inputs)?, targets, options)
}

fn members(input: &Input) -> Result<Vec<Member>> {
    let broken = |error: zip::result::ZipError| {
        FormatError::malformed(input.name(), Position::File, "a zip archive", &error.to_string())
    };
    let mut archive = ZipArchive::new(BufReader::new(input.open()?)).map_err(broken)?;
    if archive.len() > MAX_MEMBERS {
        return Err(FormatError::TooLarge {
            file: input.name().to_owned(),
            what: "the number of members".into(),
            got: archive.len() as u64,
            limit: MAX_MEMBERS as u64,
        });
    }
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(broken)?;
        let Some(key) = file.name().strip_suffix(".npy") else {
            continue;
        };
        let deflated = match (file.compression(), file.encrypted()) {
            (CompressionMethod::Stored, false) => false,
            (CompressionMethod::Deflated, false) => true,
            (method, encrypted) => return Err(unsupported(input, file.name(), method, encrypted)),
        };
        members.push(Member {
            key: key.to_owned(),
            entry: file.name().to_owned(),
            at: file.data_start().unwrap_or(u64::MAX), // always known after by_index_raw; a wrong offset only fails to read
            packed_bytes: file.compressed_size(),
            unpacked_bytes: file.size(),
            crc: file.crc32(),
            deflated,
        });
    }
    Ok(members)
}

fn unsupported(input: &Input, entry: &str, method: CompressionMethod, encrypted: bool) -> FormatError {
    let what = if encrypted { "encryption".to_owned() } else { format!("compression {method}") };
    FormatError::Unsupported {
        file: input.name().to_owned(),
        what: format!("{what} of member {entry}"),
        instead: "save the arrays with numpy.savez or numpy.savez_compressed".into(),
    }
}

fn find<'a>(members: &'a [Member], key: &str) -> Option<&'a Member> {
    members.iter().find(|member| member.key == key)
}

fn named<'a>(input: &Input, members: &'a [Member], keys: &NpzKeys) -> Result<(&'a Member, Option<&'a Member>)> {
    let get = |key: &str| find(members, key).ok_or_else(|| missing(input, members, key));
    Ok((get(&keys.inputs)?, keys.targets.as_deref().map(get).transpose()?))
}

fn found<'a>(input: &Input, members: &'a [Member]) -> Result<(&'a Member, Option<&'a Member>)> {
    if let [only] = members {
        return Ok((only, None));
    }
    PAIRS
        .iter()
        .find_map(|(inputs, targets)| find(members, inputs).zip(find(members, targets)))
        .map(|(inputs, targets)| (inputs, Some(targets)))
        .ok_or_else(|| missing(input, members, "X\" and \"y"))
}

fn missing(input: &Input, members: &[Member], key: &str) -> FormatError {
    FormatError::MissingColumn {
        file: input.name().to_owned(),
        column: key.to_owned(),
        present: members.iter().map(|member| member.key.clone()).collect(),
    }
}

fn open_member(input: &Input, member: &Member, options: &OpenOptions) -> Result<ArrayReader> {
    check_sizes(input, member)?;
    let start = unpack_start(input, member)?;
    let mut bytes = Input::from_bytes(input.name(), start).open_unpacked()?;
    let (header, header_bytes) = npy::read_header(&mut bytes, Some(&member.entry))?;
    let entry = Some(member.entry.as_str());
    let value_bytes = npy::value_bytes(input, &header, header_bytes, member.unpacked_bytes, entry)?;
    let payload = Payload {
        input: input.clone(),
        packing: match member.deflated {
            true => Packing::Deflate { at: member.at, packed_bytes: member.packed_bytes, crc: member.crc },
            false => Packing::Stored { at: member.at, crc: Some(member.crc) },
        },
        header_bytes,
        value_bytes,
        entry: Some(member.entry.clone()),
    };
    ArrayReader::open(header, payload, options.limits.whole_array_bytes)
}

/// The sizes that the archive declares, against each other and against the file.
fn check_sizes(input: &Input, member: &Member) -> Result<()> {
    let Member { packed_bytes, unpacked_bytes, .. } = *member;
    let wrong = |expected: String, found: String| {
        let at = Position::Entry { entry: member.entry.clone(), offset: 0 };
        Err(FormatError::malformed(input.name(), at, expected, &found))
    };
    let file_bytes = input.stored_len()?;
    if member.at.checked_add(packed_bytes).is_none_or(|end| end > file_bytes) {
        return wrong(
            format!("a member inside the file of {file_bytes} bytes"),
            format!("{packed_bytes} bytes at {}", member.at),
        );
    }
    let most = if member.deflated { packed_bytes.saturating_mul(MAX_DEFLATE_RATIO) } else { packed_bytes };
    if unpacked_bytes > most || !member.deflated && unpacked_bytes < most {
        return wrong(
            format!("at most {most} bytes unpacked from {packed_bytes}"),
            format!("{unpacked_bytes} declared"),
        );
    }
    Ok(())
}

/// The first bytes of a member, unpacked.
fn unpack_start(input: &Input, member: &Member) -> Result<Vec<u8>> {
    let broken = |e| input.read_error(e, member.at);
    let mut stream = input.open()?;
    stream.seek(SeekFrom::Start(member.at)).map_err(broken)?;
    let packed = BufReader::new(stream).take(member.packed_bytes);
    let mut start = Vec::new();
    let read = match member.deflated {
        true => flate2::bufread::DeflateDecoder::new(packed).take(HEADER_BYTES).read_to_end(&mut start),
        false => packed.take(HEADER_BYTES).read_to_end(&mut start),
    };
    read.map_err(broken)?;
    Ok(start)
}
