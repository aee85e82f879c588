//! What a model says of its input, and what the caller adds to it.
use super::super::error::OnnxError;
use super::net::Elements;
use super::{ImportOptions, model_error};
use mayfly_format::onnx::{DimensionValue, GraphProto, TensorShapeProto, TypeValue, ValueInfoProto};
use std::str::FromStr;

/// The shape of a network's input, batch first. How many rows are run later is not bound to it, unless the model is.
///
/// ```
/// use mayfly_nn::onnx::InputShape;
/// let shape: InputShape = "x=1,3,224,224".parse()?;
/// assert_eq!((shape.input.as_deref(), shape.dims), (Some("x"), vec![1, 3, 224, 224]));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputShape {
    /// The name of the input, if it was given.
    pub input: Option<String>,
    /// The sizes of its dimensions.
    pub dims: Vec<usize>,
}

impl FromStr for InputShape {
    type Err = String;

    /// `N,N,…` or `INPUT=N,N,…`; `x` may stand for the commas.
    fn from_str(text: &str) -> Result<InputShape, String> {
        let (input, sizes) = match text.rsplit_once('=') {
            Some((input, sizes)) => (Some(input.trim().to_owned()), sizes),
            None => (None, text),
        };
        let size = |part: &str| part.trim().parse::<usize>().ok().filter(|n| *n > 0);
        let dims: Option<Vec<usize>> = sizes.split([',', 'x']).map(size).collect();
        match dims {
            Some(dims) => Ok(InputShape { input, dims }),
            None => Err(format!(
                "{text:?} is no shape; the sizes of all dimensions are wanted, rows first, such as 1,3,224,224"
            )),
        }
    }
}

/// The input of a network.
pub struct Given {
    pub name: String,
    /// The dimensions of a row.
    pub row: Vec<usize>,
    /// The number of rows, if it is fixed.
    pub batch: Option<i64>,
    pub elements: Elements,
}

/// Inputs that are not initializers as well.
fn inputs(graph: &GraphProto) -> Vec<&ValueInfoProto> {
    let known = |name: &str| graph.initializer.iter().any(|t| t.name == name);
    graph.input.iter().filter(|i| !known(&i.name)).collect()
}

pub fn input_of(graph: &GraphProto, options: &ImportOptions) -> Result<Given, OnnxError> {
    let inputs = inputs(graph);
    let [input] = inputs.as_slice() else {
        let names: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
        return Err(model_error(format!(
            "{} inputs ({}); networks with one input are imported",
            names.len(),
            names.join(", ")
        )));
    };
    let refuse = |what: String| model_error(format!("the input {:?}: {what}", input.name));
    let Some(TypeValue::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(refuse("its type is not a tensor".to_owned()));
    };
    let elements = match tensor.elem_type {
        1 | 10 | 11 => Elements::Float,
        6 | 7 => Elements::Int,
        other => {
            return Err(refuse(format!("elements of type {other}; floating-point numbers and integers are imported")));
        }
    };
    if let Some(other) = options.shape.as_ref().and_then(|s| s.input.as_ref()).filter(|name| **name != input.name) {
        return Err(refuse(format!("a shape was given for {other:?}, which is not the network's input")));
    }
    let dims = dims(tensor.shape.as_ref(), options).map_err(refuse)?;
    let [batch, row @ ..] = dims.as_slice() else { return Err(refuse("it has no dimensions".to_owned())) };
    let sizes = row.iter().enumerate().map(|(i, dim)| match dim {
        Dim::Fixed(n) => Ok(*n),
        Dim::Free(name) => Err(refuse(free(i + 1, name, dims.len()))),
    });
    let batch = match batch {
        Dim::Fixed(n) => Some(*n as i64),
        Dim::Free(_) => None,
    };
    Ok(Given { name: input.name.clone(), row: sizes.collect::<Result<_, _>>()?, batch, elements })
}

/// Why a network cannot be made, and both ways to say the size.
fn free(at: usize, name: &str, rank: usize) -> String {
    let called = if name.is_empty() { String::new() } else { format!(" ({name:?})") };
    let shape: Vec<String> = (0..rank).map(|i| if i == 0 { "1".to_owned() } else { format!("N{i}") }).collect();
    format!(
        "dimension {at}{called} is free; give the whole shape (on the command line --shape {}, in code ImportOptions::shape), or export the model with a fixed size",
        shape.join(",")
    )
}

enum Dim {
    Fixed(usize),
    /// With its name, if it has one.
    Free(String),
}

/// All dimensions of the input, the batch first.
fn dims(shape: Option<&TensorShapeProto>, options: &ImportOptions) -> Result<Vec<Dim>, String> {
    let written = shape.map(|s| s.dim.iter().map(|d| d.value.as_ref()).collect::<Vec<_>>());
    let rank = written.as_ref().map(Vec::len).or(options.shape.as_ref().map(|s| s.dims.len()));
    let Some(rank) = rank else {
        return Err("its shape is not known; give it (on the command line --shape 1,N,…, in code ImportOptions::shape), or export the model with a shape".to_owned());
    };
    if !(2..=4).contains(&rank) {
        return Err(format!("{rank} dimensions; 2 to 4 are imported, of which the first is the batch"));
    }
    if let Some(shape) = options.shape.as_ref().filter(|s| s.dims.len() != rank || s.dims.contains(&0)) {
        return Err(format!("it has {rank} dimensions, the shape {:?} was given; each size is 1 or more", shape.dims));
    }
    (0..rank).map(|i| dim(i, written.as_ref().and_then(|w| w[i]), options)).collect()
}

fn dim(i: usize, written: Option<&DimensionValue>, options: &ImportOptions) -> Result<Dim, String> {
    let given = options.shape.as_ref().map(|s| s.dims[i]);
    let name = match written {
        Some(DimensionValue::DimValue(n)) if *n < 0 => return Err(format!("dimension {i} is {n}")),
        Some(DimensionValue::DimValue(n)) if *n > 0 => {
            let n = usize::try_from(*n).map_err(|_| format!("dimension {i} is {n}"))?;
            return match given {
                Some(other) if other != n => {
                    Err(format!("dimension {i} is {n}, the shape that was given says {other}"))
                }
                _ => Ok(Dim::Fixed(n)),
            };
        }
        Some(DimensionValue::DimParam(name)) => name.clone(),
        _ => String::new(),
    };
    let size = given.or_else(|| options.sizes.get(&name).copied());
    Ok(match size.filter(|_| i > 0) {
        Some(n) => Dim::Fixed(n),
        None => Dim::Free(name),
    })
}
