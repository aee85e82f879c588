//! NumPy's .npy files as tensors of kernels.
use anyhow::{Context, Result, bail, ensure};
use mayfly_packs::{DType, Tensor, TensorSpec};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header, beside the tensor.
const HEADER_BYTES: u64 = 64 << 10;

/// Reads a file as the tensor that a kernel asks for; `-` is standard input. 4-bit values are bytes of two; 8-bit blocks are `int8`.
/// `most`: bytes of the kernel's memory.
pub fn read(path: &Path, spec: &TensorSpec, most: u64) -> Result<Tensor> {
    let limit = most.saturating_add(HEADER_BYTES);
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.len() as u64 <= limit, "{}: more than the {most} bytes of the kernel's memory", path.display());
    parse(&bytes, spec.dtype).with_context(|| format!("{} for `{}`", path.display(), spec.name))
}

/// A tensor of numbers on the command line: nested lists in JSON, f32 or f16.
pub fn inline(text: &str, spec: &TensorSpec) -> Result<Tensor> {
    let value = serde_json::from_str(text).with_context(|| format!("`{}`: {text} is no list of numbers", spec.name))?;
    let (mut shape, mut values) = (Vec::new(), Vec::new());
    flatten(&value, 0, &mut shape, &mut values).with_context(|| format!("`{}`: {text}", spec.name))?;
    match spec.dtype {
        DType::F32 => Ok(Tensor::from_f32(&shape, &values)),
        DType::F16 => Ok(Tensor::from_f16(&shape, &values)),
        other => {
            bail!("`{}` is {}: give a .npy file; only f32 and f16 can be written as numbers", spec.name, other.name())
        }
    }
}

/// Values in their order; every list of one depth must have one length.
fn flatten(value: &Value, depth: usize, shape: &mut Vec<usize>, values: &mut Vec<f32>) -> Result<()> {
    let Value::Array(items) = value else {
        ensure!(depth == shape.len(), "a number where a list is expected");
        values.push(value.as_f64().context("something that is no number")? as f32);
        return Ok(());
    };
    if depth == shape.len() && values.is_empty() {
        shape.push(items.len());
    }
    ensure!(shape.get(depth) == Some(&items.len()), "lists of different lengths");
    items.iter().try_for_each(|item| flatten(item, depth + 1, shape, values))
}

fn parse(bytes: &[u8], dtype: DType) -> Result<Tensor> {
    let (header, data) = split(bytes).context("not a .npy file of version 1, 2 or 3")?;
    let descr = field(header, "descr").context("no `descr` in the header")?;
    let expected = descr_of(dtype);
    ensure!(descr.trim_matches(['\'', '"']) == expected, "expected dtype {expected}, found {descr}");
    ensure!(field(header, "fortran_order") == Some("False"), "in Fortran order; save it with np.ascontiguousarray");
    let shape = field(header, "shape").context("no `shape` in the header")?;
    let mut shape = dims(shape).context("a shape that is no list of numbers")?;
    if dtype == DType::Q4 {
        match shape.last_mut().and_then(|last| last.checked_mul(2).map(|twice| (last, twice))) {
            Some((last, twice)) => *last = twice,
            None => bail!("no dimension to hold pairs of 4-bit values"),
        }
    }
    // A dimension of 0 counts as 1 here, so that no product of the others can overflow later.
    let product = shape.iter().try_fold(1u64, |n, d| n.checked_mul((*d as u64).max(1)));
    let elements = product.map(|n| if shape.contains(&0) { 0 } else { n }).and_then(|n| dtype.bytes(n));
    ensure!(elements == Some(data.len() as u64), "shape {shape:?} does not fit {} bytes of data", data.len());
    Ok(Tensor { dtype, shape, data: data.to_vec() })
}

fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk::<2>().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest))?,
        2 | 3 => rest.split_first_chunk::<4>().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest))?,
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// The text of a member of the header's dictionary.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{name}':"))?;
    let rest = rest.trim_start();
    let end = if rest.starts_with('(') { rest.find(')')? + 1 } else { rest.find([',', '}'])? };
    Some(rest[..end].trim())
}

fn dims(text: &str) -> Option<Vec<usize>> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?;
    inside.split(',').map(str::trim).filter(|d| !d.is_empty()).map(|d| d.parse().ok()).collect()
}

fn descr_of(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "<f4",
        DType::F16 => "<f2",
        DType::Bf16 => "<u2",
        DType::I32 => "<i4",
        DType::I8 | DType::Q8 => "|i1",
        DType::U8 | DType::Q4 => "|u1",
    }
}

/// The file of a tensor.
pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    let mut shape = tensor.shape.clone();
    if let (DType::Q4, Some(last)) = (tensor.dtype, shape.last_mut()) {
        *last /= 2;
    }
    let dims: String = shape.iter().map(|d| format!("{d}, ")).collect();
    let mut header =
        format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr_of(tensor.dtype), dims.trim_end());
    // Data starts at a multiple of 64.
    let padding = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64) - (MAGIC.len() + 4 + header.len() + 1);
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(&tensor.data);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_the_command_line() {
        let spec =
            |dtype: &str| serde_json::from_value(serde_json::json!({"name": "x", "dtype": dtype, "shape": ["n"]}));
        let spec = |dtype: &str| -> TensorSpec { spec(dtype).unwrap() };
        let tensor = |text| inline(text, &spec("f32"));
        assert_eq!(tensor("[1, 2.5,-3]").unwrap(), Tensor::from_f32(&[3], &[1.0, 2.5, -3.0]));
        assert_eq!(tensor("[[1,2,3],[4,5,6]]").unwrap().shape, [2, 3]);
        assert_eq!(tensor("[[],[]]").unwrap().shape, [2, 0]);
        assert_eq!(inline("[1]", &spec("f16")).unwrap(), Tensor::from_f16(&[1], &[1.0]));
        for bad in ["[[1,2],[3]]", "[1,[2]]", "[[1],2]", "[\"1\"]", "[1", "[[1],[]]", "[[],[1]]"] {
            assert!(tensor(bad).is_err(), "{bad}");
        }
        assert!(inline("[1]", &spec("q8")).is_err());
    }

    #[test]
    fn round_trips_and_refusals() {
        let tensor = Tensor::from_f32(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let file = bytes(&tensor);
        assert_eq!(parse(&file, DType::F32).unwrap(), tensor);
        assert_eq!((file.len() - tensor.data.len()) % 64, 0);
        assert!(parse(&file, DType::F16).is_err());
        for end in 0..file.len() {
            assert!(parse(&file[..end], DType::F32).is_err(), "cut to {end}");
        }
        let q4 = Tensor { dtype: DType::Q4, shape: vec![4], data: vec![0x21, 0x43] };
        assert_eq!(parse(&bytes(&q4), DType::Q4).unwrap(), q4);
        let text = String::from_utf8_lossy(&file).replace("False", "True");
        assert!(parse(text.as_bytes(), DType::F32).is_err());
    }
}
