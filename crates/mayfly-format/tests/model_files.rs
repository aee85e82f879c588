//! Native models and plain safetensors: round trips, the crate of the format's makers as an independent reader, and damage.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::{BTreeMap, HashMap};

use mayfly_format::model_file::{
    Complex32, Dtype, MAX_HEADER_BYTES, MAX_TENSORS, ModelFile, NanPolicy, ReadOptions, Tensor, TensorData, TensorFile,
};
use mayfly_format::{FormatError, Position};
use proptest::prelude::*;
use safetensors::SafeTensors;

const OPTIONS: ReadOptions = ReadOptions { nan: NanPolicy::Refuse, max_file_bytes: 1 << 20 };
const ALLOW_NAN: ReadOptions = ReadOptions { nan: NanPolicy::Allow, max_file_bytes: 1 << 20 };

fn tensor(name: &str, shape: &[usize], data: TensorData) -> Tensor {
    Tensor { name: name.into(), shape: shape.to_vec(), data }
}

/// A tensor of every type, in an order that the file must change for alignment.
fn model() -> ModelFile {
    ModelFile {
        spec: r#"{"layers":[{"dense":2}]}"#.into(),
        encoder: Some(r#"{"labels":["ja","nein","\"vielleicht\" ☂"]}"#.into()),
        metrics: Some(r#"{"accuracy":0.5}"#.into()),
        training: Some("null".into()),
        other: BTreeMap::from([("note".into(), "not JSON {".into())]),
        tensors: vec![
            tensor("layers.0.weight", &[2, 3], TensorData::F32(vec![0.5, -1.0, f32::MAX, 1e-40, -0.0, f32::INFINITY])),
            tensor("u", &[3], TensorData::U8(vec![0, 7, 255])),
            tensor("i", &[2, 1], TensorData::I8(vec![-128, 127])),
            tensor("half", &[2], TensorData::BF16(vec![0x3f80, 0xff80])),
            tensor("steps", &[], TensorData::I32(vec![-5])),
            tensor("exact", &[2], TensorData::F64(vec![std::f64::consts::PI, -1e300])),
            tensor("none", &[0, 4], TensorData::F32(vec![])),
            tensor("spectrum", &[1], TensorData::C64(vec![Complex32 { re: 0.5, im: -2.0 }])),
        ],
    }
}

fn bytes() -> Vec<u8> {
    model().to_bytes(NanPolicy::Refuse).unwrap()
}

fn parse(bytes: &[u8]) -> Result<ModelFile, FormatError> {
    ModelFile::parse("m.mayfly", bytes, &OPTIONS)
}

fn by_name(mut model: ModelFile) -> ModelFile {
    model.tensors.sort_by(|a, b| a.name.cmp(&b.name));
    model
}

#[test]
fn a_model_is_read_back_and_written_again_the_same() {
    let back = parse(&bytes()).unwrap();
    assert_eq!(by_name(back.clone()), by_name(model()));
    assert_eq!(back.to_bytes(NanPolicy::Refuse).unwrap(), bytes());
    assert_eq!(bytes(), bytes());
}

#[test]
fn every_tensor_is_aligned() {
    let file = bytes();
    let (header, metadata) = SafeTensors::read_metadata(&file).unwrap();
    assert_eq!((8 + header) % 8, 0);
    for (name, info) in metadata.tensors() {
        assert_eq!(info.data_offsets.0 % (info.dtype.bitsize() / 8), 0, "{name}");
    }
}

/// The format's own crate opens the file and finds the same.
#[test]
fn the_crate_of_the_format_reads_the_same() {
    let file = bytes();
    let theirs = SafeTensors::deserialize(&file).unwrap();
    assert_eq!(theirs.len(), model().tensors.len());
    for ours in model().tensors {
        let view = theirs.tensor(&ours.name).unwrap();
        assert_eq!(view.shape(), ours.shape);
        assert_eq!(view.dtype().to_string(), ours.data.dtype().name());
        let single = TensorFile { tensors: vec![ours.clone()], ..TensorFile::default() };
        assert!(single.to_bytes(NanPolicy::Allow).unwrap().ends_with(view.data()), "{}", ours.name);
    }
    let weight = theirs.tensor("layers.0.weight").unwrap();
    assert_eq!(weight.data()[..8], [0, 0, 0, 0x3f, 0, 0, 0x80, 0xbf]); // 0.5 and -1.0, little-endian
    let (_, metadata) = SafeTensors::read_metadata(&file).unwrap();
    let metadata = metadata.metadata().clone().unwrap();
    assert_eq!(metadata["format"], "mayfly/1");
    assert_eq!(metadata["spec"], model().spec);
    assert_eq!(metadata["note"], "not JSON {");
}

#[test]
fn what_the_crate_of_the_format_writes_is_read() {
    let data = [1.5_f32, -2.0].map(f32::to_le_bytes).concat();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 1], &data).unwrap();
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let file = safetensors::serialize([("w", view)], Some(metadata)).unwrap();
    let ours = TensorFile::parse("pt.safetensors", &file, &OPTIONS).unwrap();
    assert_eq!(ours.tensors, [tensor("w", &[2, 1], TensorData::F32(vec![1.5, -2.0]))]);
    assert_eq!(ours.metadata["format"], "pt");
    let error = parse(&file).unwrap_err();
    let want = "m.mayfly, metadata \"format\": expected \"mayfly/1\", which every Mayfly model has, found pt";
    assert_eq!(error.to_string(), want);
}

/// The sequence of `docs/formats/model.md`, put together by hand for a small model.
#[test]
fn the_hash_is_the_documented_one() {
    let small = ModelFile {
        spec: "{}".into(),
        tensors: vec![tensor("b", &[1, 2], TensorData::I8(vec![1, -1])), tensor("a", &[], TensorData::F32(vec![1.0]))],
        ..ModelFile::default()
    };
    let mut sequence = Vec::new();
    let number = |sequence: &mut Vec<u8>, n: u64| sequence.extend(n.to_le_bytes());
    let text = |sequence: &mut Vec<u8>, s: &str| {
        sequence.extend((s.len() as u64).to_le_bytes());
        sequence.extend(s.as_bytes());
    };
    text(&mut sequence, "mayfly/1");
    number(&mut sequence, 2);
    for (key, value) in [("format", "mayfly/1"), ("spec", "{}")] {
        text(&mut sequence, key);
        text(&mut sequence, value);
    }
    number(&mut sequence, 2);
    text(&mut sequence, "a");
    text(&mut sequence, "F32");
    [0, 4].iter().for_each(|&n| number(&mut sequence, n)); // rank, bytes
    sequence.extend(1.0_f32.to_le_bytes());
    text(&mut sequence, "b");
    text(&mut sequence, "I8");
    [2, 1, 2, 2].iter().for_each(|&n| number(&mut sequence, n)); // rank, dimensions, bytes
    sequence.extend([1, 255]);
    let file = TensorFile::parse("s", &small.to_bytes(NanPolicy::Refuse).unwrap(), &OPTIONS).unwrap();
    assert_eq!(file.metadata["blake3"], blake3::hash(&sequence).to_hex().as_str());
}

#[test]
fn the_hash_sees_every_change_of_content() {
    let original = TensorFile::parse("m", &bytes(), &OPTIONS).unwrap();
    let changes: [fn(&mut TensorFile); 6] = [
        |f| f.tensors[0].name.push('x'),
        |f| f.tensors.swap_remove(0).name.clear(),
        |f| f.tensors[2].shape = vec![6],
        |f| f.metadata.insert("note".into(), "other".into()).map(drop).unwrap(),
        |f| f.metadata.insert("more".into(), String::new()).map_or((), drop),
        |f| {
            if let TensorData::F64(v) = &mut f.tensors[0].data {
                v[0] = 3.0;
            }
        },
    ];
    for change in changes {
        let mut file = original.clone();
        change(&mut file);
        assert_ne!(file, original);
        let error = parse(&file.to_bytes(NanPolicy::Refuse).unwrap()).unwrap_err();
        let FormatError::HashMismatch { stored, computed, .. } = error else { panic!("{error}") };
        assert_eq!(stored, original.metadata["blake3"]);
        assert_ne!(stored, computed);
    }
    // the order of tensors is not content
    let mut file = original.clone();
    file.tensors.reverse();
    parse(&file.to_bytes(NanPolicy::Refuse).unwrap()).unwrap();
}

/// Any flipped bit is found; in the padding of the header it may also be harmless.
#[test]
fn every_flipped_bit_is_an_error_or_harmless() {
    let original = parse(&bytes()).unwrap();
    let mut file = bytes();
    let data_at = 8 + u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    for bit in 0..file.len() * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        match parse(&file) {
            Ok(model) => assert!(bit / 8 < data_at && model == original, "bit {bit}"),
            Err(FormatError::Io { .. }) => panic!("bit {bit}"),
            Err(_) => {}
        }
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_truncation_and_extension_is_an_error() {
    let file = bytes();
    for n in 0..file.len() {
        assert!(parse(&file[..n]).is_err(), "{n}");
    }
    assert!(parse(&[&file[..], &[0]].concat()).is_err());
}

#[test]
fn nan_is_named_or_allowed() {
    for (data, index) in [
        (TensorData::F32(vec![0.0, f32::NAN]), 1),
        (TensorData::F64(vec![f64::NAN, 0.0]), 0),
        (TensorData::BF16(vec![0x7f80, 0xffc1]), 1),
    ] {
        let mut model = model();
        model.tensors.push(tensor("bad", &[2], data));
        let error = model.to_bytes(NanPolicy::Refuse).unwrap_err();
        assert!(
            matches!(&error, FormatError::NanWeight { tensor, index: i, .. } if tensor == "bad" && *i == index),
            "{error}"
        );
        let file = model.to_bytes(NanPolicy::Allow).unwrap();
        let error = parse(&file).unwrap_err();
        assert!(
            matches!(&error, FormatError::NanWeight { tensor, index: i, .. } if tensor == "bad" && *i == index),
            "{error}"
        );
        let back = ModelFile::parse("m", &file, &ALLOW_NAN).unwrap();
        assert_eq!(back.to_bytes(NanPolicy::Allow).unwrap(), file);
    }
}

/// A file with this header and this many bytes of data.
fn with_header(header: &str, data_len: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data_len]].concat()
}

#[test]
fn bad_headers_are_explained() {
    let w = |entry: &str| format!(r#"{{"w":{{{entry}}}}}"#);
    let two = |a: &str, b: &str| {
        format!(
            r#"{{"a":{{"dtype":"U8","shape":[2],"data_offsets":{a}}},"b":{{"dtype":"U8","shape":[2],"data_offsets":{b}}}}}"#
        )
    };
    let cases = [
        (vec![1, 2, 3], "m, header: expected 8 bytes with the length of the header, found a file of 3 bytes"),
        (
            with_header("{}", 0)[..9].to_vec(),
            "m, header: expected 2 bytes, as the file says at its start, found 1 bytes",
        ),
        (with_header("{}", 5), "m, header: expected 0 bytes of tensor data after the header, found 5 bytes"),
        (
            with_header(&w(r#""dtype":"F32","shape":[3],"data_offsets":[0,8]"#), 8),
            "m, tensor \"w\": expected a byte range that fits F32 [3], found 0 to 8",
        ),
        (
            with_header(&w(r#""dtype":"F32","shape":[18446744073709551615,8],"data_offsets":[0,8]"#), 8),
            "m, tensor \"w\": expected a byte range that fits F32 [18446744073709551615, 8], found 0 to 8",
        ),
        (
            with_header(&two("[0,2]", "[1,3]"), 3),
            "m, header: expected tensors that follow each other without gaps, found invalid offset for tensor `b`",
        ),
        (
            with_header(&two("[0,2]", "[3,5]"), 5),
            "m, header: expected tensors that follow each other without gaps, found invalid offset for tensor `b`",
        ),
        (
            with_header(&w(r#""dtype":"F16","shape":[1],"data_offsets":[0,2]"#), 2),
            "m: tensor \"w\" of type F16 is not supported; convert it to one of F64, F32, C64, I64, I32, BF16, I8, U8",
        ),
        (
            with_header(&w(r#""dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]"#), 1),
            "m, tensor \"w\": expected at most 8 dimensions, found 9",
        ),
        (
            with_header(
                r#"{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
                0,
            ),
            "m, tensor \"w\": expected one tensor of that name, found two",
        ),
        (
            [&u64::MAX.to_le_bytes()[..], b"{}"].concat(),
            "m: size of the header in bytes is 18446744073709551615, the limit is 16777216",
        ),
    ];
    for (file, want) in cases {
        assert_eq!(TensorFile::parse("m", &file, &OPTIONS).unwrap_err().to_string(), want);
    }
}

#[test]
fn headers_that_are_not_json_are_explained() {
    for header in [
        "",
        "[]",
        "{",
        r#"{"w":1}"#,
        r#"{"w":{"dtype":"X","shape":[],"data_offsets":[0,1]}}"#,
        "\u{1}",
        r#"{"__metadata__":{"a":1}}"#,
    ] {
        let error = TensorFile::parse("m", &with_header(header, 1), &OPTIONS).unwrap_err();
        assert!(
            error.to_string().starts_with("m, header: expected a safetensors header in JSON, found "),
            "{header}: {error}"
        );
    }
    let error = TensorFile::parse("m", &with_header(&"[".repeat(100_000), 0), &OPTIONS).unwrap_err();
    assert!(matches!(error, FormatError::Malformed { .. }), "{error}");
}

#[test]
fn metadata_must_make_sense() {
    let base = TensorFile::parse("m", &bytes(), &OPTIONS).unwrap();
    let error_of = |change: fn(&mut BTreeMap<String, String>)| {
        let mut file = base.clone();
        change(&mut file.metadata);
        parse(&file.to_bytes(NanPolicy::Refuse).unwrap()).unwrap_err()
    };
    let at = |error: FormatError| match error {
        FormatError::Malformed { at: Position::Part(part), .. } => part,
        other => panic!("{other}"),
    };
    assert_eq!(at(error_of(|m| drop(m.remove("format")))), "metadata \"format\"");
    assert_eq!(at(error_of(|m| drop(m.remove("blake3")))), "metadata \"blake3\"");
    let error = error_of(|m| drop(m.insert("format".into(), "mayfly/2".into())));
    let want = "m.mayfly: the model format \"mayfly/2\" is not supported; this program reads \"mayfly/1\"; use the version that wrote the file";
    assert_eq!(error.to_string(), want);

    let refused = |change: fn(&mut ModelFile)| {
        let mut model = model();
        change(&mut model);
        at(model.to_bytes(NanPolicy::Refuse).unwrap_err())
    };
    assert_eq!(refused(|m| m.spec.clear()), "metadata \"spec\"");
    assert_eq!(refused(|m| m.encoder = Some("{".into())), "metadata \"encoder\"");
    assert_eq!(refused(|m| m.metrics = Some("1 2".into())), "metadata \"metrics\"");
    assert_eq!(refused(|m| m.training = Some("nan".into())), "metadata \"training\"");
    assert_eq!(refused(|m| drop(m.other.insert("blake3".into(), String::new()))), "metadata \"blake3\"");
    assert_eq!(refused(|m| m.tensors[0].shape = vec![7]), "tensor \"layers.0.weight\"");
    assert_eq!(refused(|m| m.tensors[0].shape = vec![1; 9]), "tensor \"layers.0.weight\"");
    assert_eq!(refused(|m| m.tensors[1].name = "i".into()), "tensor \"i\"");
    assert_eq!(refused(|m| m.tensors[1].name = "__metadata__".into()), "tensor \"__metadata__\"");
}

/// A file whose hash is right for what it says, however wrong that is.
fn with_right_hash(mut file: TensorFile) -> Vec<u8> {
    let computed = match parse(&file.to_bytes(NanPolicy::Refuse).unwrap()) {
        Err(FormatError::HashMismatch { computed, .. }) => computed,
        other => panic!("{other:?}"),
    };
    file.metadata.insert("blake3".into(), computed);
    file.to_bytes(NanPolicy::Refuse).unwrap()
}

#[test]
fn a_right_hash_does_not_excuse_wrong_content() {
    let original = TensorFile::parse("m", &bytes(), &OPTIONS).unwrap();
    for (key, value) in [("spec", Some("{")), ("metrics", Some("")), ("spec", None)] {
        let mut file = original.clone();
        file.metadata.remove(key);
        file.metadata.extend(value.map(|v| (key.to_owned(), v.to_owned())));
        let error = parse(&with_right_hash(file)).unwrap_err();
        assert!(error.to_string().starts_with(&format!("m.mayfly, metadata \"{key}\": expected ")), "{error}");
    }
}

#[test]
fn limits_hold_when_writing_too() {
    let empty = |i: usize| tensor(&i.to_string(), &[0], TensorData::U8(vec![]));
    let too_many = TensorFile { tensors: (0..=MAX_TENSORS).map(empty).collect(), ..TensorFile::default() };
    let error = too_many.to_bytes(NanPolicy::Refuse).unwrap_err();
    assert!(matches!(error, FormatError::TooLarge { got, .. } if got == MAX_TENSORS as u64 + 1), "{error}");
    let long = ModelFile { spec: format!("\"{}\"", "x".repeat(MAX_HEADER_BYTES as usize)), ..ModelFile::default() };
    let error = long.to_bytes(NanPolicy::Refuse).unwrap_err();
    assert!(matches!(error, FormatError::TooLarge { limit: MAX_HEADER_BYTES, .. }), "{error}");
}

#[test]
fn files_are_written_and_read_and_named_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.mayfly");
    model().write(&path, NanPolicy::Refuse).unwrap();
    assert_eq!(by_name(ModelFile::read(&path, &OPTIONS).unwrap()), by_name(model()));
    let plain = TensorFile::read(&path, &OPTIONS).unwrap();
    plain.write(&path, NanPolicy::Refuse).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes());
    let small = ReadOptions { max_file_bytes: 100, ..OPTIONS };
    let error = ModelFile::read(&path, &small).unwrap_err();
    assert!(
        matches!(&error, FormatError::TooLarge { limit: 100, .. }) && error.to_string().contains("m.mayfly"),
        "{error}"
    );
    std::fs::write(&path, b"rubbish").unwrap();
    assert!(ModelFile::read(&path, &OPTIONS).unwrap_err().to_string().contains("m.mayfly"));
}

/// Any bits of the type: NaN of every payload included.
fn data(dtype: Dtype) -> impl Strategy<Value = TensorData> {
    prop::collection::vec(any::<u64>(), 0..20).prop_map(move |bits| match dtype {
        Dtype::F64 => TensorData::F64(bits.into_iter().map(f64::from_bits).collect()),
        Dtype::F32 => TensorData::F32(bits.into_iter().map(|b| f32::from_bits(b as u32)).collect()),
        Dtype::C64 => {
            let of = |b: u64| Complex32 { re: f32::from_bits(b as u32), im: f32::from_bits((b >> 32) as u32) };
            TensorData::C64(bits.into_iter().map(of).collect())
        }
        Dtype::I64 => TensorData::I64(bits.into_iter().map(u64::cast_signed).collect()),
        Dtype::I32 => TensorData::I32(bits.into_iter().map(|b| b as i32).collect()),
        Dtype::BF16 => TensorData::BF16(bits.into_iter().map(|b| b as u16).collect()),
        Dtype::I8 => TensorData::I8(bits.into_iter().map(|b| b as i8).collect()),
        _ => TensorData::U8(bits.into_iter().map(|b| b as u8).collect()),
    })
}

fn any_tensor() -> impl Strategy<Value = Tensor> {
    let data = prop::sample::select(Dtype::ALL).prop_flat_map(data);
    ("[a-z.\"\\\\☂]{1,6}", data).prop_map(|(name, data)| Tensor { name, shape: vec![data.len(), 1], data })
}

proptest! {
    #[test]
    fn any_tensors_are_read_back(tensors in prop::collection::vec(any_tensor(), 0..6), note in ".{0,20}") {
        let mut named: BTreeMap<String, Tensor> = tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
        let other = BTreeMap::from([(note.clone(), note)]);
        let model = ModelFile { spec: "[]".into(), other, tensors: named.values().cloned().collect(), ..ModelFile::default() };
        let file = model.to_bytes(NanPolicy::Allow).unwrap();
        let back = ModelFile::parse("p", &file, &ALLOW_NAN).unwrap();
        prop_assert_eq!(back.to_bytes(NanPolicy::Allow).unwrap(), file.clone());
        prop_assert_eq!(back.tensors.len(), named.len());
        // bits, not values: NaN is not equal to itself
        let theirs = SafeTensors::deserialize(&file).unwrap();
        for tensor in back.tensors {
            let original = named.remove(&tensor.name).unwrap();
            prop_assert_eq!(format!("{:?}", tensor), format!("{original:?}"));
            let view = theirs.tensor(&tensor.name).unwrap();
            prop_assert_eq!(view.shape(), &original.shape[..]);
        }
    }
}
