//! Operations that follow one another, as layers: what can be trained, drawn and converted like a network made here.
use crate::activation::Activation;
use crate::layers::{
    BatchNorm, Conv2d, Dense, Embedding, Flatten, GraphOp, GraphSpec, LayerNorm, LayerSpec, Padding2d, ParamKind,
    Pool2d, Reads, Reshape,
};
use std::collections::BTreeMap;

/// A layer with the numbers of its parameters and their names there.
type Found = (LayerSpec, Vec<(usize, &'static str)>);

struct Chain<'a> {
    ops: &'a [GraphOp],
    /// How often each value is read.
    readers: Vec<usize>,
}

impl<'a> Chain<'a> {
    fn new(spec: &'a GraphSpec) -> Self {
        let mut readers = vec![0; spec.ops.len() + 1];
        for op in &spec.ops {
            op.clone().reads(|x| readers[*x] += 1);
        }
        readers[spec.output] += 1;
        Chain { ops: &spec.ops, readers }
    }

    /// The dimensions of a trained parameter that only one operation reads.
    fn param(&self, id: usize) -> Option<&'a [usize]> {
        match self.ops.get(id.checked_sub(1)?)? {
            GraphOp::Param { dims, kind, .. } if *kind != ParamKind::Constant && self.readers[id] == 1 => Some(dims),
            _ => None,
        }
    }

    /// The only operation that reads a value.
    fn next(&self, value: usize) -> Option<(usize, &'a GraphOp)> {
        if self.readers[value] != 1 {
            return None;
        }
        self.ops.iter().enumerate().find(|(_, op)| {
            let mut reads = false;
            (*op).clone().reads(|x| reads |= *x == value);
            reads
        })
    }

    /// The operation on `value` as a layer.
    fn layer(&self, op: &GraphOp, value: usize) -> Option<Found> {
        let bias = |b: &Option<usize>| match b {
            Some(b) => self.param(*b).map(|_| Some(*b)),
            None => Some(None),
        };
        let named = |w: usize, b: Option<usize>| [(w, "weight")].into_iter().chain(b.map(|b| (b, "bias"))).collect();
        let plain = Activation::IDENTITY;
        match op {
            GraphOp::Linear { x, w, b } if *x == value => {
                let (units, b) = (*self.param(*w)?.first()?, bias(b)?);
                Some((
                    Dense { units, activation: plain, bias: b.is_some(), reads: Reads::Previous }.into(),
                    named(*w, b),
                ))
            }
            GraphOp::Conv { x, w, b, stride, pad, dilation, groups } if *x == value => {
                let (&[channels, _, h, wide], b) = (self.param(*w)?, bias(b)?) else { return None };
                let (stride, pad, dilation) = (*stride, Padding2d::Zeros(*pad), *dilation);
                let conv = Conv2d {
                    channels,
                    kernel: [h, wide],
                    stride,
                    pad,
                    dilation,
                    groups: *groups,
                    bias: b.is_some(),
                    activation: plain,
                };
                Some((conv.into(), named(*w, b)))
            }
            GraphOp::Pool { pooling, kernel, stride, pad, .. } => Some((
                Pool2d { pooling: *pooling, kernel: *kernel, stride: Some(*stride), pad: *pad }.into(),
                Vec::new(),
            )),
            GraphOp::Act { f, .. } => Some(((*f).into(), Vec::new())),
            GraphOp::Reshape { dims, .. } if dims.len() == 1 => Some((Flatten {}.into(), Vec::new())),
            GraphOp::Reshape { dims, .. } => Some((Reshape(dims.clone()).into(), Vec::new())),
            GraphOp::Embed { ids, table } if *ids == value => match self.param(*table)? {
                &[rows, width] => Some((Embedding { rows, width }.into(), vec![(*table, "weight")])),
                _ => None,
            },
            _ => self.norm(op, value),
        }
    }

    fn norm(&self, op: &GraphOp, value: usize) -> Option<Found> {
        match op {
            GraphOp::LayerNorm { x, gamma, beta, eps } if *x == value => {
                self.param(*gamma)?;
                self.param(*beta)?;
                Some((LayerNorm { eps: *eps }.into(), vec![(*gamma, "weight"), (*beta, "bias")]))
            }
            GraphOp::BatchNorm { x, gamma, beta, stats, eps } if *x == value => {
                self.param(*gamma)?;
                self.param(*beta)?;
                let names = vec![(*gamma, "weight"), (*beta, "bias"), (*stats, "running")];
                Some((BatchNorm { eps: *eps, ..BatchNorm::default() }.into(), names))
            }
            _ => None,
        }
    }
}

/// Whether the layer takes an activation, and has none yet.
fn activate(layer: Option<&mut LayerSpec>, op: &GraphOp) -> bool {
    let slot = match layer {
        Some(LayerSpec::Dense(d)) => &mut d.activation,
        Some(LayerSpec::Conv2d(c)) => &mut c.activation,
        _ => return false,
    };
    match op {
        GraphOp::Act { f, .. } if *slot == Activation::IDENTITY => {
            *slot = *f;
            true
        }
        _ => false,
    }
}

/// The layers of a network of operations, and where its parameters are in it: as many operations from the input on as follow one another
/// become layers, the others one layer of operations.
pub fn layers(spec: &GraphSpec, params: &BTreeMap<String, Vec<f32>>) -> (Vec<LayerSpec>, BTreeMap<String, Vec<f32>>) {
    let chain = Chain::new(spec);
    let (mut layers, mut placed, mut value) = (Vec::new(), BTreeMap::new(), 0);
    let mut taken = vec![false; spec.ops.len()];
    let values = |id: usize| match id.checked_sub(1).and_then(|i| spec.ops.get(i)) {
        Some(GraphOp::Param { name, .. }) => params.get(name).cloned(),
        _ => None,
    };
    while value != spec.output
        && let Some((i, op)) = chain.next(value)
    {
        if !activate(layers.last_mut(), op) {
            let Some((layer, names)) = chain.layer(op, value) else { break };
            for (id, name) in names {
                placed.extend(values(id).map(|v| (format!("layers.{}.{name}", layers.len()), v)));
                taken[id - 1] = true;
            }
            layers.push(layer);
        }
        taken[i] = true;
        value = i + 1;
    }
    if value != spec.output {
        let rest = rest(spec, &taken, value);
        let at = layers.len();
        for op in &rest.ops {
            if let GraphOp::Param { name, .. } = op {
                placed.extend(params.get(name).map(|v| (format!("layers.{at}.{name}"), v.clone())));
            }
        }
        layers.push(rest.into());
    }
    (layers, placed)
}

/// The operations that were not taken, on a new input, which was `value`.
fn rest(spec: &GraphSpec, taken: &[bool], value: usize) -> GraphSpec {
    let mut number = vec![0; spec.ops.len() + 1];
    let mut ops = Vec::new();
    for (i, op) in spec.ops.iter().enumerate().filter(|(i, _)| !taken[*i]) {
        let mut op = op.clone();
        op.reads(|x| *x = if *x == value { 0 } else { number[*x] });
        ops.push(op);
        number[i + 1] = ops.len();
    }
    GraphSpec { ops, output: number[spec.output] }
}
