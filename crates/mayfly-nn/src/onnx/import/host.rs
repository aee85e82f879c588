//! Values that are known at import: weights, constants, and shapes as the graph computes them.
use super::super::error::{Res, bad};
use mayfly_format::onnx::{OnnxData, OnnxTensor};
use std::rc::Rc;

/// Elements.
#[derive(Clone, Debug)]
pub enum Data {
    F(Rc<[f32]>),
    I(Rc<[i64]>),
    Text(Rc<[String]>),
}

/// A tensor whose dimensions may be larger than what is stored: a stored dimension of 1 repeats.
#[derive(Clone, Debug)]
pub struct Host {
    /// As the graph sees them; multiples of the batch are among them.
    pub dims: Vec<i64>,
    /// As they are stored: equal, or 1.
    pub stored: Vec<usize>,
    pub data: Data,
    /// The initializer it comes from.
    pub name: Rc<str>,
    /// Whether it is an initializer, and so trained, rather than a constant.
    pub trained: bool,
}

/// What memory the import may still take, in elements: files may ask for more by repeating.
#[derive(Debug)]
pub struct Budget(pub usize);

impl Budget {
    pub fn spend(&mut self, n: usize) -> Res<()> {
        match self.0.checked_sub(n) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => bad(format!("{n} more elements would take more memory than the size of the model justifies")),
        }
    }
}

pub fn product(dims: &[usize]) -> Res<usize> {
    match dims.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)) {
        Some(n) => Ok(n),
        None => bad(format!("dimensions {dims:?}, whose product overflows")),
    }
}

/// Row-major steps.
pub fn strides(dims: &[usize]) -> Vec<usize> {
    let mut steps = vec![1_usize; dims.len()];
    for i in (1..dims.len()).rev() {
        steps[i - 1] = steps[i].saturating_mul(dims[i]);
    }
    steps
}

/// The offsets that a walk over `dims` (row-major) visits with these steps.
pub fn walk(dims: &[usize], steps: &[usize]) -> Vec<usize> {
    let mut offsets = vec![0];
    for (d, step) in dims.iter().zip(steps) {
        offsets = offsets.iter().flat_map(|o| (0..*d).map(move |i| o + i * step)).collect();
    }
    offsets
}

fn pick<T: Clone>(data: &[T], at: &[usize]) -> Rc<[T]> {
    at.iter().filter_map(|i| data.get(*i).cloned()).collect()
}

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Data::F(v) => v.len(),
            Data::I(v) => v.len(),
            Data::Text(v) => v.len(),
        }
    }

    pub fn take(&self, at: &[usize]) -> Data {
        match self {
            Data::F(v) => Data::F(pick(v, at)),
            Data::I(v) => Data::I(pick(v, at)),
            Data::Text(v) => Data::Text(pick(v, at)),
        }
    }

    fn join(parts: &[&Data]) -> Res<Data> {
        match parts.first() {
            Some(Data::I(_)) => {
                let all = parts.iter().map(|p| {
                    if let Data::I(v) = p { Ok(v.iter().copied()) } else { bad("integers and others in one list") }
                });
                Ok(Data::I(all.collect::<Res<Vec<_>>>()?.into_iter().flatten().collect()))
            }
            Some(Data::F(_)) => {
                let all = parts.iter().map(|p| {
                    if let Data::F(v) = p { Ok(v.iter().copied()) } else { bad("numbers and others in one list") }
                });
                Ok(Data::F(all.collect::<Res<Vec<_>>>()?.into_iter().flatten().collect()))
            }
            _ => bad("texts cannot be joined"),
        }
    }
}

impl Host {
    pub fn new(dims: &[usize], data: Data, name: &str, trained: bool) -> Host {
        Host { dims: dims.iter().map(|d| *d as i64).collect(), stored: dims.to_vec(), data, name: name.into(), trained }
    }

    pub fn of_tensor(tensor: OnnxTensor, name: &str, trained: bool) -> Res<Host> {
        let data = match tensor.data {
            OnnxData::F32(v) => Data::F(v.into()),
            OnnxData::F64(v) => Data::F(v.into_iter().map(|x| x as f32).collect()),
            OnnxData::Text(v) => Data::Text(v.into()),
            ref other => {
                Data::I(OnnxTensor { name: String::new(), shape: Vec::new(), data: other.clone() }.to_i64()?.into())
            }
        };
        Ok(Host::new(&tensor.shape, data, name, trained))
    }

    pub fn ints_of(values: Vec<i64>) -> Host {
        Host::new(&[values.len()], Data::I(values.into()), "", false)
    }

    pub fn floats(&self) -> Res<&[f32]> {
        match &self.data {
            Data::F(v) => Ok(v),
            _ => bad("numbers of a floating-point type are expected"),
        }
    }

    pub fn ints(&self) -> Res<&[i64]> {
        match &self.data {
            Data::I(v) => Ok(v),
            _ => bad("integers are expected"),
        }
    }

    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The one number that all elements are.
    pub fn scalar(&self) -> Option<f32> {
        match (&self.data, self.data.len()) {
            (Data::F(v), 1) => v.first().copied(),
            _ => None,
        }
    }

    pub fn is_zero(&self) -> bool {
        matches!(&self.data, Data::F(v) if v.iter().all(|x| *x == 0.0))
    }

    fn with(&self, dims: Vec<i64>, stored: Vec<usize>, data: Data) -> Host {
        Host { dims, stored, data, ..self.clone() }
    }

    /// The same tensor with all elements stored.
    pub fn full(&self, budget: &mut Budget) -> Res<Host> {
        let dims = self.dims.iter().map(|d| usize::try_from(*d)).collect::<Result<Vec<_>, _>>();
        let Ok(dims) = dims else { return bad(format!("dimensions {:?}", self.dims)) };
        if dims == self.stored {
            return Ok(self.clone());
        }
        let n = product(&dims)?;
        budget.spend(n)?;
        let steps: Vec<usize> =
            strides(&self.stored).into_iter().zip(&self.stored).map(|(s, d)| if *d == 1 { 0 } else { s }).collect();
        let data = self.data.take(&walk(&dims, &steps));
        Ok(self.with(self.dims.clone(), dims, data))
    }

    pub fn transpose(&self, perm: &[usize], budget: &mut Budget) -> Res<Host> {
        budget.spend(self.data.len())?;
        let steps = strides(&self.stored);
        let dims = perm.iter().map(|p| self.dims[*p]).collect();
        let stored: Vec<usize> = perm.iter().map(|p| self.stored[*p]).collect();
        let moved: Vec<usize> = perm.iter().map(|p| steps[*p]).collect();
        let data = self.data.take(&walk(&stored, &moved));
        Ok(self.with(dims, stored, data))
    }

    /// Other dimensions of the same product.
    pub fn reshape(&self, dims: &[i64], budget: &mut Budget) -> Res<Host> {
        if self.data.len() == 1 {
            return Ok(self.with(dims.to_vec(), vec![1; dims.len()], self.data.clone()));
        }
        let full = self.full(budget)?;
        let stored = dims.iter().map(|d| usize::try_from(*d).unwrap_or(0)).collect::<Vec<_>>();
        if product(&stored)? != full.data.len() {
            return bad(format!("{} elements do not fill {dims:?}", full.data.len()));
        }
        Ok(self.with(dims.to_vec(), stored, full.data))
    }

    /// Inserts dimensions of 1 in front until there are `rank`.
    pub fn widened(&self, rank: usize) -> Host {
        let extra = rank.saturating_sub(self.rank());
        let dims = std::iter::repeat_n(1, extra).chain(self.dims.iter().copied()).collect();
        let stored = std::iter::repeat_n(1, extra).chain(self.stored.iter().copied()).collect();
        self.with(dims, stored, self.data.clone())
    }

    pub fn expand(&self, to: &[i64]) -> Res<Host> {
        let rank = self.rank().max(to.len());
        let wide = self.widened(rank);
        let to: Vec<i64> = std::iter::repeat_n(1, rank - to.len()).chain(to.iter().copied()).collect();
        let mut dims = Vec::new();
        for (a, b) in wide.dims.iter().zip(&to) {
            dims.push(match (*a, *b) {
                (a, b) if a == b || b == 1 => a,
                (1, b) if b > 0 => b,
                (a, b) => return bad(format!("a dimension of {a} cannot be repeated to {b}")),
            });
        }
        Ok(wide.with(dims, wide.stored.clone(), wide.data.clone()))
    }

    /// The elements `indices` of a dimension, which stays.
    pub fn gather(&self, axis: usize, indices: &[usize], budget: &mut Budget) -> Res<Host> {
        let (mut dims, mut stored) = (self.dims.clone(), self.stored.clone());
        dims[axis] = indices.len() as i64;
        if stored[axis] == 1 && self.dims[axis] != 1 {
            return Ok(self.with(dims, stored, self.data.clone()));
        }
        let outer = product(&stored[..axis])?;
        let inner = product(&stored[axis + 1..])?;
        let n = stored[axis];
        budget.spend(outer.saturating_mul(inner).saturating_mul(indices.len()))?;
        let at: Vec<usize> = (0..outer)
            .flat_map(|o| indices.iter().flat_map(move |i| (0..inner).map(move |k| (o * n + i) * inner + k)))
            .collect();
        stored[axis] = indices.len();
        Ok(self.with(dims, stored, self.data.take(&at)))
    }

    pub fn concat(parts: &[Host], axis: usize, budget: &mut Budget) -> Res<Host> {
        let full = parts.iter().map(|p| p.full(budget)).collect::<Res<Vec<_>>>()?;
        let Some(first) = full.first() else { return bad("nothing to join") };
        let total: usize = full.iter().map(|p| p.data.len()).sum();
        budget.spend(total)?;
        let fits =
            |p: &Host| p.rank() == first.rank() && (0..p.rank()).all(|i| i == axis || p.dims[i] == first.dims[i]);
        if let Some(other) = full.iter().find(|p| !fits(p)) {
            return bad(format!("{:?} and {:?} cannot be joined along dimension {axis}", first.dims, other.dims));
        }
        let outer = product(&first.stored[..axis])?;
        let joined = Data::join(&full.iter().map(|p| &p.data).collect::<Vec<_>>())?;
        let mut at = Vec::with_capacity(joined.len());
        for o in 0..outer {
            let mut start = 0;
            for part in &full {
                let n = part.data.len() / outer.max(1);
                at.extend(start + o * n..start + (o + 1) * n);
                start += part.data.len();
            }
        }
        let mut stored = first.stored.clone();
        stored[axis] = full.iter().map(|p| p.stored[axis]).sum();
        let mut dims = first.dims.clone();
        dims[axis] = stored[axis] as i64;
        Ok(first.with(dims, stored, joined.take(&at)))
    }

    /// Without the dimensions marked, which are 1.
    pub fn squeeze(&self, gone: &[bool]) -> Host {
        let keep = |i: &usize| !gone[*i];
        let dims = (0..self.rank()).filter(keep).map(|i| self.dims[i]).collect();
        let stored = (0..self.rank()).filter(keep).map(|i| self.stored[i]).collect();
        self.with(dims, stored, self.data.clone())
    }

    pub fn unsqueeze(&self, at: &[usize]) -> Host {
        let (mut dims, mut stored) = (self.dims.clone(), self.stored.clone());
        for i in at {
            dims.insert(*i, 1);
            stored.insert(*i, 1);
        }
        self.with(dims, stored, self.data.clone())
    }

    pub fn map(&self, f: impl Fn(f32) -> f32) -> Res<Host> {
        let data = Data::F(self.floats()?.iter().map(|x| f(*x)).collect());
        Ok(self.with(self.dims.clone(), self.stored.clone(), data))
    }

    /// Offsets of both operands for each element of the result, with the result's dimensions.
    pub fn pair(&self, other: &Host, budget: &mut Budget) -> Res<(Vec<i64>, Vec<usize>, Vec<(usize, usize)>)> {
        let rank = self.rank().max(other.rank());
        let (a, b) = (self.widened(rank), other.widened(rank));
        let wide = a.expand(&b.dims)?;
        let stored: Vec<usize> = a.stored.iter().zip(&b.stored).map(|(x, y)| *x.max(y)).collect();
        budget.spend(product(&stored)?)?;
        let steps = |h: &Host| -> Vec<usize> {
            strides(&h.stored).into_iter().zip(&h.stored).map(|(s, d)| if *d == 1 { 0 } else { s }).collect()
        };
        if (0..rank).any(|i| ![1, stored[i]].contains(&a.stored[i]) || ![1, stored[i]].contains(&b.stored[i])) {
            return bad(format!("shapes {:?} and {:?} do not fit", a.dims, b.dims));
        }
        let at = walk(&stored, &steps(&a)).into_iter().zip(walk(&stored, &steps(&b))).collect();
        Ok((wide.dims, stored, at))
    }

    /// Elementwise arithmetic of numbers.
    pub fn zip(&self, other: &Host, f: impl Fn(f32, f32) -> f32, budget: &mut Budget) -> Res<Host> {
        let (dims, stored, at) = self.pair(other, budget)?;
        let (a, b) = (self.floats()?, other.floats()?);
        let data = at.into_iter().filter_map(|(i, j)| Some(f(*a.get(i)?, *b.get(j)?))).collect();
        Ok(Host { trained: self.trained && other.trained, ..self.with(dims, stored, Data::F(data)) })
    }

    /// Elementwise arithmetic of integers.
    pub fn zip_ints(&self, other: &Host, f: impl Fn(i64, i64) -> Res<i64>, budget: &mut Budget) -> Res<Host> {
        let (dims, stored, at) = self.pair(other, budget)?;
        let (a, b) = (self.ints()?, other.ints()?);
        let values = at.into_iter().filter_map(|(i, j)| Some(f(*a.get(i)?, *b.get(j)?))).collect::<Res<Vec<_>>>()?;
        Ok(self.with(dims, stored, Data::I(values.into())))
    }
}
