//! Matrix products.
use super::super::error::{Res, bad};
use super::host::{Data, Host, product};
use super::math::Arith;
use super::net::{B, Elements, Key, Net};
use super::{Cx, Handler, Node, Val};
use crate::layers::{GraphOp, ParamKind};

pub const OPS: &[(&str, Handler)] = &[("Gemm", gemm), ("MatMul", matmul)];

impl Cx {
    /// `x · wᵀ + b` over the atoms of view dimension `axis`, which becomes one atom of the outputs.
    /// `w` holds rows of outputs; `name` and `layout` are those of the tensor it comes from.
    pub fn linear(&mut self, x: &Net, axis: usize, w: usize, b: Option<usize>) -> Res<Net> {
        let keys = x.without_batch(axis, "a product over")?;
        let (id, seen) = self.last(x, &keys)?;
        let id = self.b.push(GraphOp::Linear { x: id, w, b })?;
        let row = self.b.row(id)?;
        let out = row.last().copied().unwrap_or(1);
        let rest: Vec<(Key, usize)> = seen.phys.iter().filter(|(k, _)| !keys.contains(k)).copied().collect();
        let place =
            |k: &Key| if *k == B { B } else { rest.iter().position(|(r, _)| r == k).map_or(0, |p| p as Key + 1) };
        let last = rest.len() as Key + 1;
        let view = x
            .view
            .iter()
            .enumerate()
            .map(|(i, dim)| if i == axis { vec![last] } else { dim.iter().map(place).collect() })
            .collect();
        let dims: Vec<usize> = rest.iter().map(|(_, n)| *n).chain([out]).collect();
        Ok(Net::new(id, &dims, view).of(x.elements))
    }

    /// A two-dimensional constant as weights `[outputs, inputs]`.
    pub fn weights(&mut self, w: &Host, transposed: bool, scale: f32) -> Res<usize> {
        let w = w.full(&mut self.budget)?;
        let w = if transposed { w } else { w.transpose(&[1, 0], &mut self.budget)? };
        let [out, inputs] = w.stored.as_slice() else { return bad(format!("weights of {} dimensions", w.rank())) };
        let values: Vec<f32> = w.floats()?.iter().map(|v| v * scale).collect();
        let kind = if w.trained { ParamKind::Weight } else { ParamKind::Constant };
        self.b.param(&w.name, &format!("weights {transposed} {scale}"), &[*out, *inputs], kind, values)
    }

    /// The known vector added to the outputs of the linear layer that was made last, if that is what this is.
    pub fn bias(&mut self, x: &Net, c: &Host) -> Res<Option<Net>> {
        let out = self.b.row(x.id)?.last().copied().unwrap_or(1);
        let wide = c.widened(x.rank());
        let axes: Vec<usize> = (0..x.rank()).filter(|i| wide.stored[*i] > 1).collect();
        let [axis] = axes.as_slice() else { return Ok(None) };
        let keys = &x.view[*axis];
        let tail: Vec<Key> =
            x.phys.iter().map(|(k, _)| *k).rev().take(keys.len()).collect::<Vec<_>>().into_iter().rev().collect();
        if tail != *keys || wide.stored[*axis] != out || keys.iter().map(|k| x.size(*k)).product::<usize>() != out {
            return Ok(None);
        }
        let Some((from, w)) = self.b.take_linear(x.id) else { return Ok(None) };
        let b = self.vector(c, "", ParamKind::Bias, 1.0)?;
        Ok(Some(x.at(self.b.push(GraphOp::Linear { x: from, w, b: Some(b) })?)))
    }

    /// A known tensor as a parameter of one dimension.
    pub fn vector(&mut self, c: &Host, layout: &str, kind: ParamKind, scale: f32) -> Res<usize> {
        let c = c.full(&mut self.budget)?;
        let kind = if c.trained { kind } else { ParamKind::Constant };
        let values: Vec<f32> = c.floats()?.iter().map(|v| v * scale).collect();
        self.b.param(&c.name, &format!("vector {layout} {scale}"), &[values.len()], kind, values)
    }

    /// Matrix product of two values that depend on the input; their leading dimensions are the same.
    fn product(&mut self, a: &Net, b: &Net) -> Res<Net> {
        let (la, lb) = (a.rank(), b.rank());
        if la < 2 || lb < 2 {
            return bad("a vector in a product of two values that depend on the input");
        }
        let shown = [self.shown(&a.dims(self.batch)?), self.shown(&b.dims(self.batch)?)];
        let b = b.clone().renamed(a.next_key());
        let (rows, inner) =
            (a.without_batch(la - 2, "a product with rows in")?, a.without_batch(la - 1, "a product over")?);
        let (other, columns) =
            (b.without_batch(lb - 2, "a product over")?, b.without_batch(lb - 1, "a product with columns in")?);
        if a.fixed(la - 1, "a product over")? != b.fixed(lb - 2, "a product over")? {
            return bad(format!("{} times {}", shown[0], shown[1]));
        }
        // Leading atoms are cut alike; both sides are then stored in the order of a's.
        let rank = la.max(lb);
        let lead = |x: &Net| {
            let front = &x.view[..x.rank() - 2];
            let view = std::iter::repeat_n(Vec::new(), rank - 2 - front.len()).chain(front.iter().cloned()).collect();
            Net { view, ..x.clone() }
        };
        let (mut a, mut b) = (lead(a), lead(&b));
        let same = |a: &Net, b: &Net| a.view.iter().zip(&b.view).all(|(x, y)| x.len() == y.len());
        if !super::math::unify(&mut a, &mut b) || !same(&a, &b) {
            return bad(format!("{} times {}, whose leading dimensions differ", shown[0], shown[1]));
        }
        let leading: Vec<Key> =
            a.phys.iter().map(|(k, _)| *k).filter(|k| a.view.iter().any(|d| d.contains(k))).collect();
        let left = self.grouped(&a, &[&leading, &rows, &inner])?;
        let right = self.grouped(&b, &[&leading, &other, &columns])?;
        let mut seen = a.at(self.b.push(GraphOp::Matmul { a: left, b: right })?);
        let sized = |x: &Net, keys: &[Key]| keys.iter().map(|k| (*k, x.size(*k))).collect::<Vec<_>>();
        seen.phys = [sized(&a, &leading), sized(&a, &rows), sized(&b, &columns)].concat();
        seen.view.extend([rows, columns]);
        seen.elements = Elements::Float;
        seen.reserve(b.next_key());
        Ok(seen)
    }

    pub fn host_product(&mut self, a: &Host, b: &Host) -> Res<Host> {
        let (ra, rb) = (a.rank(), b.rank());
        if ra < 2 || rb != 2 || a.dims[ra - 1] != b.dims[0] {
            return bad(format!("{} times {} of constants", self.shown(&a.dims), self.shown(&b.dims)));
        }
        let mut dims = a.dims.clone();
        dims[ra - 1] = b.dims[1];
        if a.is_zero() {
            return Ok(Host { dims, stored: vec![1; ra], data: Data::F([0.0].into()), ..a.clone() });
        }
        let (k, n) = (b.dims[0] as usize, b.dims[1] as usize);
        let b = b.full(&mut self.budget)?;
        let mut last = a.clone();
        last.dims[..ra - 1].iter_mut().zip(&a.stored).for_each(|(d, s)| *d = *s as i64);
        let a = last.full(&mut self.budget)?;
        let rows = a.data.len() / k.max(1);
        self.budget.spend(product(&[rows, n, k])?)?;
        let (x, w) = (a.floats()?, b.floats()?);
        let y: Vec<f32> = x
            .chunks_exact(k.max(1))
            .flat_map(|r| {
                (0..n).map(move |j| {
                    r.iter().enumerate().map(|(i, v)| f64::from(*v) * f64::from(w[i * n + j])).sum::<f64>() as f32
                })
            })
            .collect();
        let mut stored = a.stored.clone();
        stored[ra - 1] = n;
        Ok(Host { dims, stored, data: Data::F(y.into()), trained: false, ..a.clone() })
    }

    /// `a · b` where `b`'s leading dimensions of 1 are left out.
    fn matrix(host: &Host) -> Host {
        let extra = host.rank().saturating_sub(2);
        let gone: Vec<bool> = (0..host.rank()).map(|i| i < extra && host.dims[i] == 1).collect();
        host.squeeze(&gone)
    }
}

fn matmul(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    Ok(vec![match (n.val(0)?, n.val(1)?) {
        (Val::Net(a), Val::Net(b)) => Val::Net(cx.product(a, b)?),
        (Val::Host(a), Val::Host(b)) => Val::Host(cx.host_product(a, b)?),
        (Val::Net(x), Val::Host(w)) => {
            let w = Cx::matrix(w);
            match w.rank() {
                1 => {
                    let w = cx.weights(&w.unsqueeze(&[0]), true, 1.0)?;
                    let y = cx.linear(x, x.rank() - 1, w, None)?;
                    let dims = y.dims(cx.batch)?;
                    Val::Net(cx.reshaped(&y, &dims[..dims.len() - 1])?)
                }
                2 => {
                    let w = cx.weights(&w, false, 1.0)?;
                    Val::Net(cx.linear(x, x.rank() - 1, w, None)?)
                }
                rank => return bad(format!("a constant of {rank} dimensions on the right; 1 and 2 are imported")),
            }
        }
        (Val::Host(w), Val::Net(x)) => {
            let w = Cx::matrix(w);
            if w.rank() != 2 || x.rank() < 2 {
                return bad(format!(
                    "a constant of {} dimensions on the left of a value of {}; 2 are imported",
                    w.rank(),
                    x.rank()
                ));
            }
            let w = cx.weights(&w, true, 1.0)?;
            Val::Net(cx.linear(x, x.rank() - 2, w, None)?)
        }
        _ => return bad("a product of class labels"),
    }])
}

fn gemm(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let flag = |name: &str| Ok::<bool, super::super::error::Bad>(n.proto.int_or(name, 0)? != 0);
    let (alpha, beta) = (n.proto.float_or("alpha", 1.0)?, n.proto.float_or("beta", 1.0)?);
    let mut a = n.net(0)?.clone();
    if a.rank() != 2 {
        return bad(format!("a first input of {} dimensions; it has 2", a.rank()));
    }
    if flag("transA")? {
        a.view.swap(0, 1);
    }
    let y = match n.val(1)? {
        Val::Host(w) if w.rank() == 2 => {
            let w = cx.weights(w, flag("transB")?, alpha)?;
            cx.linear(&a, 1, w, None)?
        }
        Val::Host(w) => return bad(format!("weights of {} dimensions; they have 2", w.rank())),
        _ => {
            let mut b = n.net(1)?.clone();
            if b.rank() == 2 && flag("transB")? {
                b.view.swap(0, 1);
            }
            let y = cx.product(&a, &b)?;
            cx.act(&y, mayfly_graph::Act::Affine { mul: alpha, add: 0.0 })?
        }
    };
    let c = match n.get(2) {
        None => return Ok(vec![Val::Net(y)]),
        Some(Val::Host(c)) if beta == 1.0 => Val::Host(c.clone()),
        Some(Val::Host(c)) => Val::Host(c.map(|v| v * beta)?),
        Some(Val::Net(c)) => Val::Net(cx.act(c, mayfly_graph::Act::Affine { mul: beta, add: 0.0 })?),
        Some(_) => return bad("class labels as a bias"),
    };
    Ok(vec![cx.arith(Arith::Add, &Val::Net(y), &c, true)?])
}
