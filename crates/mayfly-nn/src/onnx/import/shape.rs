//! What moves values without changing them, and arithmetic on shapes.
use super::super::error::{Res, bad};
use super::host::{Data, Host};
use super::net::{B, Elements, Key, Net};
use super::{Cx, Handler, Node, Val};
use crate::layers::{GraphOp, ParamKind};

pub const OPS: &[(&str, Handler)] = &[
    ("Concat", concat),
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("Dropout", |_, n| Ok(vec![n.val(0)?.clone()])),
    ("Expand", expand),
    ("Flatten", flatten),
    ("Gather", gather),
    ("Identity", |_, n| Ok(vec![n.val(0)?.clone()])),
    ("Range", range),
    ("Reshape", reshape),
    ("Shape", shape),
    ("Slice", slice),
    ("Split", split),
    ("Squeeze", squeeze),
    ("Transpose", transpose),
    ("Unsqueeze", unsqueeze),
];

fn constant(_: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let host = if let Some(tensor) = n.proto.tensor("value")? {
        Host::of_tensor(tensor.to_tensor()?, &tensor.name, false)?
    } else if n.proto.attribute("value_float").is_some() {
        Host::new(&[], Data::F([n.proto.float_or("value_float", 0.0)?].into()), "", false)
    } else if n.proto.attribute("value_int").is_some() {
        Host::new(&[], Data::I([n.proto.int_or("value_int", 0)?].into()), "", false)
    } else if let Some(v) = n.proto.floats("value_floats")? {
        Host::new(&[v.len()], Data::F(v.into()), "", false)
    } else if let Some(v) = n.proto.ints("value_ints")? {
        Host::ints_of(v.to_vec())
    } else {
        return bad("a constant that is no tensor, number or list of numbers");
    };
    Ok(vec![Val::Host(host)])
}

fn constant_of_shape(_: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let dims = n.host(0)?.ints()?.to_vec();
    let data = match n.proto.tensor("value")? {
        None => Data::F([0.0].into()),
        Some(tensor) => Host::of_tensor(tensor.to_tensor()?, "", false)?.data,
    };
    if data.len() != 1 || dims.iter().any(|d| *d < 0) {
        return bad(format!("the shape {dims:?} filled with {} values", data.len()));
    }
    Ok(vec![Val::Host(Host { stored: vec![1; dims.len()], dims, data, name: "".into(), trained: false })])
}

fn range(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let one = |i: usize| match n.host(i)?.ints()? {
        [v] => Ok(*v),
        _ => bad("bounds that are not one integer each"),
    };
    let (start, end, step) = (one(0)?, one(1)?, one(2)?);
    if step == 0 || (cx.free && [start, end].iter().any(|v| *v != 0 && v % cx.batch == 0)) {
        return bad("a step of 0, or a range over the rows");
    }
    let (span, by) = (i128::from(end) - i128::from(start), i128::from(step));
    let count = usize::try_from(((span + by - by.signum()) / by).max(0)).unwrap_or(usize::MAX);
    cx.budget.spend(count)?;
    Ok(vec![Val::Host(Host::ints_of(
        (0..count as i64).map(|i| start.saturating_add(i.saturating_mul(step))).collect(),
    ))])
}

fn shape(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let dims = match n.val(0)? {
        Val::Host(host) => host.dims.clone(),
        Val::Net(net) => net.dims(cx.batch)?,
        _ => return bad("the shape of class labels"),
    };
    let rank = dims.len() as i64;
    let bound = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
    let (start, end) = (bound(n.proto.int_or("start", 0)?), bound(n.proto.int_or("end", i64::MAX)?));
    Ok(vec![Val::Host(Host::ints_of(dims.get(start..end).unwrap_or_default().to_vec()))])
}

/// The target of a Reshape with 0 (as it was) and −1 (what is left) replaced.
fn resolved(have: &[i64], to: &[i64], allow_zero: bool) -> Res<Vec<i64>> {
    let mut dims = Vec::new();
    for (i, d) in to.iter().enumerate() {
        dims.push(match (*d, have.get(i)) {
            (0, Some(h)) if !allow_zero => *h,
            (0, _) => return bad("a dimension of 0"),
            (d, _) if d < -1 => return bad(format!("a dimension of {d}")),
            (d, _) => d,
        });
    }
    let count = |dims: &[i64]| dims.iter().filter(|d| **d != -1).try_fold(1_i64, |n, d| n.checked_mul(*d));
    let (Some(total), Some(known)) = (count(have), count(&dims)) else { return bad("more elements than 2^63") };
    match dims.iter().filter(|d| **d == -1).count() {
        0 if known == total => {}
        1 if known > 0 && total % known == 0 => dims.iter_mut().filter(|d| **d == -1).for_each(|d| *d = total / known),
        _ => return bad(format!("{total} elements of {have:?} do not fill {to:?}")),
    }
    Ok(dims)
}

fn reshape(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    if let Val::Label(labels) = n.val(0)? {
        return Ok(vec![Val::Label(labels.clone())]);
    }
    let Some(to) = n.ints(1, "shape")? else { return bad("the shape is missing") };
    let allow_zero = n.proto.int_or("allowzero", 0)? != 0;
    Ok(vec![match n.val(0)? {
        Val::Host(host) => {
            let dims = resolved(&host.dims, &to, allow_zero)?;
            Val::Host(host.reshape(&dims, &mut cx.budget)?)
        }
        Val::Net(net) => {
            let dims = resolved(&net.dims(cx.batch)?, &to, allow_zero)?;
            Val::Net(cx.reshaped(net, &dims)?)
        }
        _ => return bad("of nothing"),
    }])
}

fn flatten(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let net = n.net(0)?;
    let axis = n.proto.int_or("axis", 1)?;
    let axis = if axis == net.rank() as i64 { net.rank() } else { n.axis(axis, net.rank())? };
    let dims = net.dims(cx.batch)?;
    let all = |d: &[i64]| {
        d.iter().try_fold(1_i64, |n, d| n.checked_mul(*d)).map_or_else(|| bad("more elements than 2^63"), Ok)
    };
    Ok(vec![Val::Net(cx.reshaped(net, &[all(&dims[..axis])?, all(&dims[axis..])?])?)])
}

fn transpose(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let rank = match n.val(0)? {
        Val::Host(host) => host.rank(),
        Val::Net(net) => net.rank(),
        _ => return bad("of class labels"),
    };
    let perm: Vec<usize> = match n.proto.ints("perm")? {
        Some(perm) => perm.iter().map(|p| usize::try_from(*p).unwrap_or(usize::MAX)).collect(),
        None => (0..rank).rev().collect(),
    };
    if perm.len() != rank || (0..rank).any(|i| !perm.contains(&i)) {
        return bad(format!("perm = {perm:?} of a value of {rank} dimensions"));
    }
    Ok(vec![match n.val(0)? {
        Val::Host(host) => Val::Host(host.transpose(&perm, &mut cx.budget)?),
        Val::Net(net) => Val::Net(Net { view: perm.iter().map(|p| net.view[*p].clone()).collect(), ..net.clone() }),
        _ => return bad("of class labels"),
    }])
}

fn squeeze(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let axes = n.ints(1, "axes")?;
    let marks = |dims: &[i64]| -> Res<Vec<bool>> {
        let mut gone = vec![false; dims.len()];
        match &axes {
            None => gone.iter_mut().zip(dims).for_each(|(g, d)| *g = *d == 1),
            Some(axes) => {
                for axis in axes {
                    let axis = n.axis(*axis, dims.len())?;
                    if dims[axis] != 1 {
                        return bad(format!("dimension {axis} is {}, not 1", dims[axis]));
                    }
                    gone[axis] = true;
                }
            }
        }
        Ok(gone)
    };
    Ok(vec![match n.val(0)? {
        Val::Label(labels) => Val::Label(labels.clone()),
        Val::Host(host) => Val::Host(host.squeeze(&marks(&host.dims)?)),
        Val::Net(net) => {
            let dims = net.dims(cx.batch)?;
            let gone = marks(&dims)?;
            let kept: Vec<i64> = dims.iter().zip(&gone).filter(|(_, g)| !**g).map(|(d, _)| *d).collect();
            Val::Net(cx.reshaped(net, &kept)?)
        }
        Val::Absent(why) => return bad(*why),
    }])
}

fn unsqueeze(_: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let Some(axes) = n.ints(1, "axes")? else { return bad("the axes are missing") };
    let rank = match n.val(0)? {
        Val::Host(host) => host.rank(),
        Val::Net(net) => net.rank(),
        _ => return bad("of class labels"),
    };
    if axes.len() > 16 {
        return bad(format!("{} axes", axes.len()));
    }
    let mut at = axes.iter().map(|a| n.axis(*a, rank + axes.len())).collect::<Res<Vec<_>>>()?;
    at.sort_unstable();
    at.dedup();
    if at.len() != axes.len() || rank + axes.len() > 16 {
        return bad(format!("axes = {axes:?}"));
    }
    Ok(vec![match n.val(0)? {
        Val::Host(host) => Val::Host(host.unsqueeze(&at)),
        _ => {
            let mut net = n.net(0)?.clone();
            at.iter().for_each(|i| net.view.insert(*i, Vec::new()));
            Val::Net(net)
        }
    }])
}

impl Cx {
    /// The value repeated where `dims` are larger than its dimensions of 1; dimensions of `dims` that are not stored do not count.
    pub fn expanded(&mut self, x: &Net, dims: &[i64], stored: &[usize]) -> Res<Net> {
        let mut x = x.clone();
        while x.rank() < dims.len() {
            x.view.insert(0, Vec::new());
        }
        let offset = x.rank() - dims.len();
        for (i, (d, s)) in dims.iter().zip(stored).enumerate() {
            let have = x.dim(i + offset, self.batch)?;
            if *s > 1 && have == 1 && *d != 1 {
                x = self.repeat(&x, i + offset, *s)?;
            } else if have != *d && *d != 1 && !(have == 1 && *s == 1 && *d == self.batch) {
                if have != 1 {
                    return bad(format!("{} beside {}", self.shown(&x.dims(self.batch)?), self.shown(dims)));
                }
                let n = usize::try_from(*d).unwrap_or(0);
                x = self.repeat(&x, i + offset, n)?;
            }
        }
        Ok(x)
    }

    /// A dimension of 1 repeated `n` times.
    fn repeat(&mut self, x: &Net, axis: usize, n: usize) -> Res<Net> {
        if x.has_batch(axis) || n == 0 || (self.free && (n as i64) % self.batch == 0) {
            return bad("a value repeated for every row");
        }
        let mut seen = x.clone();
        let key = seen.fresh();
        seen.view[axis] = vec![key];
        seen.phys.insert(0, (key, n));
        let id = self.bring(x, &seen.phys)?;
        Ok(seen.at(id))
    }

    /// The value as `[batch, before, dimension, after]`, with the atoms before and after.
    pub fn around(&mut self, x: &Net, axis: usize, what: &str) -> Res<(usize, Vec<Key>, Vec<Key>)> {
        let keys = x.without_batch(axis, what)?;
        let stored: Vec<Key> = x.phys.iter().map(|(k, _)| *k).collect();
        let at = stored.windows(keys.len().max(1)).position(|w| w == keys);
        let (before, after) = match at {
            Some(at) => (stored[..at].to_vec(), stored[at + keys.len()..].to_vec()),
            None => (Self::others(x, &keys), Vec::new()),
        };
        let id = self.grouped(x, &[&before, &keys, &after])?;
        Ok((id, before, after))
    }

    /// The view of `x` over `[batch, before, n, after]`, where dimension `axis` has become one atom of `n`.
    pub fn replaced(&self, x: &Net, axis: usize, id: usize, n: usize, before: &[Key], after: &[Key]) -> Net {
        let mut seen = x.clone();
        let key = seen.fresh();
        let pair = |k: &Key| (*k, x.size(*k));
        seen.phys = before.iter().map(pair).chain((n > 1).then_some((key, n))).chain(after.iter().map(pair)).collect();
        seen.view[axis] = if n > 1 { vec![key] } else { Vec::new() };
        seen.at(id)
    }

    /// The elements `indices` of a dimension, which stays.
    fn taken(&mut self, x: &Net, axis: usize, indices: &[usize]) -> Res<Net> {
        let n = x.dim(axis, self.batch)?;
        if indices.len() as i64 == n && indices.iter().enumerate().all(|(i, v)| i == *v) {
            return Ok(x.clone());
        }
        let (id, before, after) = self.around(x, axis, "a part of")?;
        let Some(start) = indices.first().copied() else { return bad("no elements") };
        let one_after_another = indices.iter().enumerate().all(|(i, v)| *v == start + i);
        let op = if one_after_another {
            GraphOp::Slice { x: id, axis: 2, start, len: indices.len() }
        } else {
            self.budget.spend(indices.len())?;
            GraphOp::Gather { x: id, axis: 2, indices: indices.to_vec() }
        };
        let id = self.b.push(op)?;
        Ok(self.replaced(x, axis, id, indices.len(), &before, &after))
    }
}

fn gather(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let data = n.val(0)?;
    match (data, n.val(1)?) {
        (Val::Host(table), Val::Net(ids)) => embed(cx, n, table, ids),
        (Val::Net(_) | Val::Host(_), Val::Host(at)) => {
            let rank = match data {
                Val::Net(x) => x.rank(),
                Val::Host(h) => h.rank(),
                _ => 0,
            };
            let axis = n.axis(n.proto.int_or("axis", 0)?, rank)?;
            let at = at.full(&mut cx.budget)?;
            let size = match data {
                Val::Net(x) => x.dim(axis, cx.batch)?,
                Val::Host(h) => h.dims[axis],
                _ => 0,
            };
            let index = |i: &i64| match usize::try_from(if *i < 0 { i.saturating_add(size) } else { *i }) {
                Ok(i) if (i as i64) < size => Ok(i),
                _ => bad(format!("element {i} of a dimension of {}", cx.shown(&[size]))),
            };
            let indices = at.ints()?.iter().map(index).collect::<Res<Vec<_>>>()?;
            if indices.is_empty() {
                return bad("no elements");
            }
            let replaced = |dims: &[i64]| [&dims[..axis], &at.dims, &dims[axis + 1..]].concat();
            Ok(vec![match data {
                Val::Net(x) => {
                    let y = cx.taken(x, axis, &indices)?;
                    let dims = replaced(&x.dims(cx.batch)?);
                    Val::Net(cx.reshaped(&y, &dims)?)
                }
                Val::Host(h) => {
                    let y = h.gather(axis, &indices, &mut cx.budget)?;
                    let dims = replaced(&h.dims);
                    Val::Host(if at.rank() == 0 {
                        y.squeeze(&(0..rank).map(|i| i == axis).collect::<Vec<_>>())
                    } else {
                        y.reshape(&dims, &mut cx.budget)?
                    })
                }
                _ => return bad("of class labels"),
            }])
        }
        _ => bad("elements by numbers that depend on the input; only rows of a constant table can be looked up"),
    }
}

fn embed(cx: &mut Cx, n: &Node<'_>, table: &Host, ids: &Net) -> Res<Vec<Val>> {
    if table.rank() != 2 || n.axis(n.proto.int_or("axis", 0)?, 2)? != 0 || ids.elements == Elements::Bool {
        return bad(format!(
            "rows of a table of {} dimensions; tables of 2, along dimension 0, are imported",
            table.rank()
        ));
    }
    let full = table.full(&mut cx.budget)?;
    let (rows, width) = (full.stored[0], full.stored[1]);
    if rows > 1 << 24 {
        return bad(format!("a table of {rows} rows; f32 counts to 16777216"));
    }
    let kind = if full.trained { ParamKind::Weight } else { ParamKind::Constant };
    let table = cx.b.param(&full.name, "table", &[rows, width], kind, full.floats()?.to_vec())?;
    let all: Vec<Key> = ids.phys.iter().map(|(k, _)| *k).collect();
    let id = cx.grouped(ids, &[&all])?;
    let id = cx.b.push(GraphOp::Embed { ids: id, table })?;
    let mut seen = ids.clone();
    let key = seen.fresh();
    if width > 1 {
        seen.phys.push((key, width));
    }
    seen.view.push(if width > 1 { vec![key] } else { Vec::new() });
    Ok(vec![Val::Net(Net { elements: Elements::Float, ..seen.at(id) })])
}

/// The elements that a slice takes of a dimension of `size`.
fn sliced(size: i64, start: i64, end: i64, step: i64) -> Res<Vec<usize>> {
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let bound = |v: i64| (if v < 0 { v.saturating_add(size) } else { v }).clamp(low, high);
    let (mut at, end) = (bound(start), bound(end));
    let mut indices = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        indices.push(usize::try_from(at).unwrap_or(0));
        at = at.saturating_add(step);
    }
    if step == 0 { bad("a step of 0") } else { Ok(indices) }
}

fn slice(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let (Some(starts), Some(ends)) = (n.ints(1, "starts")?, n.ints(2, "ends")?) else {
        return bad("starts or ends are missing");
    };
    let axes = n.ints(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps =
        n.maybe_host(4)?.map(|h| h.ints().map(<[i64]>::to_vec)).transpose()?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return bad("starts, ends, axes and steps of different lengths");
    }
    let mut value = n.val(0)?.clone();
    let mut cut = Vec::new();
    for (((start, end), axis), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let (rank, dims) = match &value {
            Val::Net(x) => (x.rank(), x.dims(cx.batch)?),
            Val::Host(h) => (h.rank(), h.dims.clone()),
            _ => return bad("of class labels"),
        };
        let axis = n.axis(*axis, rank)?;
        if cut.contains(&axis) {
            return bad(format!("axes = {axes:?}, in which a dimension comes twice"));
        }
        cut.push(axis);
        let size = dims[axis];
        if *step == 1 && (*start == 0 || start.saturating_add(size) <= 0) && *end >= size {
            continue;
        }
        if cx.free && size % cx.batch == 0 {
            return bad(format!("a part of dimension {axis}, which holds the batch"));
        }
        cx.budget.spend(usize::try_from(size).unwrap_or(usize::MAX))?;
        let indices = sliced(size, *start, *end, *step)?;
        value = match &value {
            Val::Net(_) if indices.is_empty() => {
                return bad(format!("elements {start} to {end} by {step} of a dimension of {size}, which are none"));
            }
            Val::Net(x) => Val::Net(cx.taken(x, axis, &indices)?),
            Val::Host(h) => Val::Host(h.gather(axis, &indices, &mut cx.budget)?),
            _ => return bad("of class labels"),
        };
    }
    Ok(vec![value])
}

fn split(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let x = n.net(0)?;
    let axis = n.axis(n.proto.int_or("axis", 0)?, x.rank())?;
    let size = x.fixed(axis, "parts of")?;
    let count = n.proto.output.len().max(1);
    let lens = match n.ints(1, "split")? {
        Some(lens) => lens.iter().map(|l| usize::try_from(*l).unwrap_or(0)).collect::<Vec<_>>(),
        None => {
            let len = size.div_ceil(count);
            (0..count).map(|i| len.min(size.saturating_sub(i * len))).collect()
        }
    };
    if lens.iter().try_fold(0_usize, |a, l| a.checked_add(*l)) != Some(size) || lens.contains(&0) {
        return bad(format!("parts of {lens:?} of a dimension of {size}"));
    }
    let mut start = 0;
    let mut parts = Vec::new();
    for len in lens {
        parts.push(Val::Net(cx.taken(x, axis, &(start..start + len).collect::<Vec<_>>())?));
        start += len;
    }
    Ok(parts)
}

fn expand(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let to = n.host(1)?.ints()?.to_vec();
    if to.len() > 16 {
        return bad(format!("{} dimensions", to.len()));
    }
    Ok(vec![match n.val(0)? {
        Val::Host(host) => Val::Host(host.expand(&to)?),
        _ => {
            let stored: Vec<usize> = to.iter().map(|d| usize::try_from(*d).unwrap_or(0)).collect();
            let x = n.net(0)?;
            let rank = x.rank().max(to.len());
            let have: Vec<i64> = std::iter::repeat_n(1, rank - x.rank()).chain(x.dims(cx.batch)?).collect();
            let skip = rank - to.len();
            let to: Vec<i64> = to.iter().enumerate().map(|(i, d)| if *d == 1 { have[i + skip] } else { *d }).collect();
            Val::Net(cx.expanded(x, &to, &stored)?)
        }
    }])
}

fn concat(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let parts = (0..n.inputs.len()).map(|i| n.val(i).cloned()).collect::<Res<Vec<_>>>()?;
    let Some(first) = parts.iter().find_map(|p| if let Val::Net(x) = p { Some(x.clone()) } else { None }) else {
        let hosts = (0..parts.len()).map(|i| n.host(i).cloned()).collect::<Res<Vec<_>>>()?;
        let axis = n.axis(n.proto.int_or("axis", 0)?, hosts.first().map_or(0, Host::rank))?;
        if hosts.iter().any(|h| h.rank() <= axis) {
            return bad("parts of different dimensions");
        }
        return Ok(vec![Val::Host(Host::concat(&hosts, axis, &mut cx.budget)?)]);
    };
    let axis = n.axis(n.proto.int_or("axis", 0)?, first.rank())?;
    let nets = parts.iter().map(|p| match p {
        Val::Net(x) => Ok(x.clone()),
        Val::Host(h) => cx.as_net(h),
        _ => bad("of class labels"),
    });
    let nets = nets.collect::<Res<Vec<_>>>()?;
    Ok(vec![Val::Net(cx.joined(&nets, axis)?.of(first.elements))])
}

impl Cx {
    /// Values one after another along a dimension.
    pub fn joined(&mut self, parts: &[Net], axis: usize) -> Res<Net> {
        let stored = parts.iter().map(|p| self.canonical(p)).collect::<Res<Vec<_>>>()?;
        let Some(first) = stored.first() else { return bad("nothing to join") };
        let dims = first.dims(self.batch)?;
        let mut ids = Vec::new();
        let mut total = 0;
        for part in &stored {
            let own = part.dims(self.batch)?;
            let place = |x: &Net| x.view.iter().position(|d| d.contains(&B));
            let inside = |x: &Net| x.view.iter().find(|d| d.contains(&B)).map(|d| d.iter().position(|k| *k == B));
            let fits = own.len() == dims.len() && (0..dims.len()).all(|i| i == axis || own[i] == dims[i]);
            if !fits || place(part) != place(first) || inside(part) != inside(first) {
                return bad(format!("{} and {} joined along dimension {axis}", self.shown(&dims), self.shown(&own)));
            }
            let n = part.fixed(axis, "values joined along")?;
            let before: usize = part.view[..axis].iter().flatten().map(|k| part.size(*k)).product();
            let after: usize = part.view[axis + 1..].iter().flatten().map(|k| part.size(*k)).product();
            ids.push(self.b.reshape(part.id, &[before, n, after])?);
            total += n;
        }
        let id = self.b.push(GraphOp::Concat { parts: ids, axis: 2 })?;
        let keys = |dims: &[Vec<Key>]| dims.iter().flatten().filter(|k| **k != B).copied().collect::<Vec<_>>();
        let (before, after) = (keys(&first.view[..axis]), keys(&first.view[axis + 1..]));
        Ok(Net { elements: Elements::Float, ..self.replaced(first, axis, id, total, &before, &after) })
    }
}
