//! Moving elements without changing them.
use super::{Ins, Op, Rule, RunCx, Tensor, arity, bad_attribute, mismatch};
use crate::grad::GradCx;
use crate::ir::MAX_INPUTS;
use crate::{Dims, Graph, GraphError, NodeId, Shape};
use alloc::vec::Vec;
use alloc::{format, vec};
use mayfly_kernels as k;

/// Joins values along a dimension
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Concat {
    /// The dimension along which the inputs differ.
    pub axis: usize,
}
/// Elements `start..start+len` of a dimension
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Slice {
    /// The dimension that is cut.
    pub axis: usize,
    /// First element kept.
    pub start: usize,
    /// How many are kept.
    pub len: usize,
}
/// `dy → dx`: the slice in its place, zeros around it; carries the full length
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SliceBwd(pub Slice, pub usize);
/// The same elements in another shape; costs nothing
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reshape(pub Shape);
/// Dimensions in another order: dimension i of the result is dimension `perm[i]` of the input
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Transpose(pub [usize; 4]);

impl Graph {
    /// Joins values along `axis`; all other dimensions are equal.
    ///
    /// # Errors
    /// No inputs or shapes that do not fit.
    pub fn concat(&mut self, parts: &[NodeId], axis: usize) -> Result<NodeId, GraphError> {
        match parts {
            [one] => self.node(*one).map(|_| *one),
            _ if parts.len() <= MAX_INPUTS => self.push(Op::Concat(Concat { axis }), parts),
            _ => {
                let groups = parts.chunks(MAX_INPUTS).map(|c| self.concat(c, axis)).collect::<Result<Vec<_>, _>>()?;
                self.concat(&groups, axis)
            }
        }
    }

    /// Elements `start..start + len` along `axis` (not the batch).
    ///
    /// # Errors
    /// A range beyond the dimension.
    pub fn slice(&mut self, x: NodeId, axis: usize, start: usize, len: usize) -> Result<NodeId, GraphError> {
        let node = self.node(x)?;
        let slice = Slice { axis, start, len };
        // Taking out of zeros what was just put there is the thing itself: spares LSTM and GRU a padded copy.
        match node.op {
            Op::SliceBwd(SliceBwd(s, _)) if s == slice => Ok(node.inputs[0]),
            _ if axis < node.shape.rank() && start == 0 && len == node.shape.dims()[axis] => Ok(x),
            _ => self.push(Op::Slice(slice), &[x]),
        }
    }

    /// The same elements in another shape; a batched value stays batched.
    ///
    /// # Errors
    /// Another number of elements per row.
    pub fn reshape(&mut self, x: NodeId, to: Shape) -> Result<NodeId, GraphError> {
        if self.shape(x)? == to { Ok(x) } else { self.push(Op::Reshape(Reshape(to)), &[x]) }
    }

    /// Dimensions in another order; the batch stays in front.
    ///
    /// # Errors
    /// Something that is no permutation of the dimensions.
    pub fn transpose(&mut self, x: NodeId, perm: &[usize]) -> Result<NodeId, GraphError> {
        let rank = self.shape(x)?.rank();
        if perm.len() != rank {
            return Err(bad_attribute("transpose", format!("{perm:?} for {rank} dimensions")));
        }
        let mut full = [0, 1, 2, 3];
        full[..rank].copy_from_slice(perm);
        self.push(Op::Transpose(Transpose(full)), &[x])
    }
}

impl Rule for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let Some((first, rest)) = ins.split_first() else {
            return Err(GraphError::Arity { op: "concat", want: "1 to 8", got: 0 });
        };
        if self.axis >= first.rank() || (self.axis == 0 && first.is_batched()) {
            return Err(bad_attribute("concat", format!("dimension {} of {first}", self.axis)));
        }
        let mut dims = first.dims().to_vec();
        for s in rest {
            let fits = s.rank() == dims.len()
                && s.is_batched() == first.is_batched()
                && (0..dims.len()).all(|i| i == self.axis || s.dims()[i] == dims[i]);
            if !fits {
                return Err(mismatch("concat", format!("{first} but for dimension {}", self.axis), *s));
            }
            dims[self.axis] += s.dims()[self.axis];
        }
        first.with_dims(&dims)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let dy = cx.dy();
        let mut start = 0;
        let mut grads = Vec::new();
        for i in 0..cx.input_count() {
            let len = cx.shape(cx.input(i))?.dims()[self.axis];
            grads.push(cx.when(i, |g| g.slice(dy, self.axis, start, len))?);
            start += len;
        }
        Ok(grads)
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (outer, _, _) = out.around(self.axis);
        let piece = |t: &&Tensor, o: usize| {
            let n = t.data.len() / outer;
            t.data[o * n..(o + 1) * n].to_vec()
        };
        Ok((0..outer).flat_map(|o| ins.iter().flat_map(move |t| piece(t, o))).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (outer, n, inner) = cx.out.around(self.axis);
        let mut at = 0;
        for (x, dims) in ins.iter().zip(cx.ins) {
            let len = dims[self.axis] * inner;
            k::copy_rows(y, n * inner, at, x, len, 0, outer, len);
            at += len;
        }
    }
}

impl Slice {
    fn check(&self, x: Shape) -> Result<(), GraphError> {
        let end = self.start.checked_add(self.len);
        let inside = self.axis < x.rank()
            && !(self.axis == 0 && x.is_batched())
            && self.len > 0
            && end.is_some_and(|e| e <= x.dims()[self.axis]);
        if inside {
            Ok(())
        } else {
            Err(bad_attribute("slice", format!("elements {}..{end:?} of dimension {} of {x}", self.start, self.axis)))
        }
    }

    /// The shape with dimension `axis` set.
    fn set(&self, x: Shape, n: usize) -> Result<Shape, GraphError> {
        let mut dims = x.dims().to_vec();
        dims[self.axis] = n;
        x.with_dims(&dims)
    }
}

impl Rule for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("slice", ins)?;
        self.check(x)?;
        self.set(x, self.len)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let full = cx.shape(cx.input(0))?.dims()[self.axis];
        let dy = cx.dy();
        Ok(vec![cx.when(0, |g| g.push(Op::SliceBwd(SliceBwd(*self, full)), &[dy]))?])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        let (_, n, inner) = ins[0].dims.around(self.axis);
        let kept = self.start * inner..(self.start + self.len) * inner;
        Ok(ins[0].data.chunks_exact(n * inner).flat_map(|c| c[kept.clone()].iter().copied()).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (outer, n, inner) = cx.ins[0].around(self.axis);
        let len = self.len * inner;
        k::copy_rows(y, len, 0, ins[0], n * inner, self.start * inner, outer, len);
    }
}

impl Rule for SliceBwd {
    fn name(&self) -> &'static str {
        "slice_bwd"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [dy] = arity("slice_bwd", ins)?;
        self.0.set(dy, self.1)
    }

    fn run(&self, cx: &RunCx<'_>, dx: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (outer, n, inner) = cx.out.around(self.0.axis);
        let len = self.0.len * inner;
        dx.fill(0.0);
        k::copy_rows(dx, n * inner, self.0.start * inner, ins[0], len, 0, outer, len);
    }
}

impl Rule for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("reshape", ins)?;
        if x.is_batched() != self.0.is_batched() || x.row_len() != self.0.row_len() {
            return Err(mismatch("reshape", format!("as many elements as {}", self.0), x));
        }
        Ok(self.0)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let (from, dy) = (cx.shape(cx.input(0))?, cx.dy());
        Ok(vec![cx.when(0, |g| g.reshape(dy, from))?])
    }

    fn reference(&self, ins: &[&Tensor], _: Dims) -> Result<Vec<f64>, GraphError> {
        Ok(ins[0].data.clone())
    }

    /// The planner makes the result an alias; a copy is only made for a graph's own inputs and parameters named as outputs.
    fn run(&self, _: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        y.copy_from_slice(ins[0]);
    }
}

impl Transpose {
    /// Dimensions and permutation padded in front to four.
    fn padded(&self, x: Dims) -> ([usize; 4], [usize; 4]) {
        let rank = x.as_slice().len();
        let shift = 4 - rank;
        let mut perm = [0, 1, 2, 3];
        (0..rank).for_each(|i| perm[shift + i] = self.0[i] + shift);
        (x.left_padded(), perm)
    }
}

impl Rule for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, GraphError> {
        let [x] = arity("transpose", ins)?;
        let perm = &self.0[..x.rank()];
        let complete = (0..x.rank()).all(|i| perm.contains(&i));
        if !complete || (x.is_batched() && perm.first() != Some(&0)) {
            return Err(bad_attribute(
                "transpose",
                format!("{perm:?} is no order of the dimensions of {x} that leaves the batch in front"),
            ));
        }
        let dims: Vec<usize> = perm.iter().map(|i| x.dims()[*i]).collect();
        x.with_dims(&dims)
    }

    fn grad(&self, cx: &mut GradCx<'_>) -> Result<Vec<Option<NodeId>>, GraphError> {
        let dy = cx.dy();
        let mut inverse = [0, 1, 2, 3];
        (0..4).for_each(|i| inverse[self.0[i]] = i);
        Ok(vec![cx.when(0, |g| g.push(Op::Transpose(Transpose(inverse)), &[dy]))?])
    }

    fn reference(&self, ins: &[&Tensor], out: Dims) -> Result<Vec<f64>, GraphError> {
        let (d, p) = self.padded(ins[0].dims);
        let to = out.left_padded();
        let strides = [d[1] * d[2] * d[3], d[2] * d[3], d[3], 1];
        let index = |mut i: usize| {
            (0..4).rev().fold(0, |at, axis| {
                let q = i % to[axis];
                i /= to[axis];
                at + q * strides[p[axis]]
            })
        };
        Ok((0..out.len()).map(|i| ins[0].data[index(i)]).collect())
    }

    fn run(&self, cx: &RunCx<'_>, y: &mut [f32], ins: &Ins<'_>, _: &mut [f32]) {
        let (dims, perm) = self.padded(cx.ins[0]);
        k::transpose(cx.isa, y, ins[0], dims, perm);
    }
}
