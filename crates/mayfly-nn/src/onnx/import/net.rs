//! Values that depend on the input: what the graph sees (`view`) over what is stored (`phys`).
//!
//! The stored value is `[batch, …]`, always. A view dimension is a product of atoms, of which the batch is one: a Transpose only reorders
//! the view, a Reshape regroups it, and so the batch may stand anywhere, even inside a dimension (`batch · heads`), until an operation needs its
//! operands in some order.
use super::super::error::{Res, bad};

/// An atom; 0 is the batch.
pub type Key = u32;
pub const B: Key = 0;

/// What the elements are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Elements {
    Float,
    /// Whole numbers. Held as f32, so exact up to 2²⁴.
    Int,
    /// 0 and 1.
    Bool,
}

/// A value of the network under construction.
#[derive(Clone, Debug)]
pub struct Net {
    /// Its number.
    pub id: usize,
    /// Atoms of a row as they are stored, none of size 1.
    pub phys: Vec<(Key, usize)>,
    /// Dimensions as the graph sees them.
    pub view: Vec<Vec<Key>>,
    pub elements: Elements,
    /// The next free name of an atom.
    pub next: Key,
}

impl Net {
    /// A value stored as `[batch, dims…]`; `view` names its dimensions from 1, and the batch 0.
    pub fn new(id: usize, dims: &[usize], view: Vec<Vec<Key>>) -> Net {
        let phys: Vec<(Key, usize)> = (1..).zip(dims.iter().copied()).collect();
        let next = dims.len() as Key + 1;
        Net { id, phys, view, elements: Elements::Float, next }.tidy()
    }

    /// `[batch, dims…]`, seen as it is stored.
    pub fn plain(id: usize, dims: &[usize]) -> Net {
        let view = std::iter::once(vec![B]).chain((1..=dims.len() as Key).map(|k| vec![k])).collect();
        Net::new(id, dims, view)
    }

    /// The same view over another value stored in the same order.
    pub fn at(&self, id: usize) -> Net {
        Net { id, ..self.clone() }
    }

    /// The same value with elements of this kind.
    pub fn of(self, elements: Elements) -> Net {
        Net { elements, ..self }
    }

    /// Drops atoms of size 1.
    fn tidy(mut self) -> Net {
        let ones: Vec<Key> = self.phys.iter().filter(|(_, n)| *n == 1).map(|(k, _)| *k).collect();
        self.phys.retain(|(_, n)| *n != 1);
        self.view.iter_mut().for_each(|dim| dim.retain(|k| !ones.contains(k)));
        self
    }

    pub fn rank(&self) -> usize {
        self.view.len()
    }

    /// Elements of a row.
    pub fn row_len(&self) -> usize {
        self.phys.iter().map(|(_, n)| n).product()
    }

    pub fn size(&self, key: Key) -> usize {
        self.phys.iter().find(|(k, _)| *k == key).map_or(1, |(_, n)| *n)
    }

    /// The size of a view dimension, the batch counted as `batch`.
    pub fn dim(&self, axis: usize, batch: i64) -> Res<i64> {
        let sizes = self.view[axis].iter().map(|k| if *k == B { batch } else { self.size(*k) as i64 });
        match sizes.into_iter().try_fold(1_i64, i64::checked_mul) {
            Some(n) => Ok(n),
            None => bad("a dimension beyond 2^63"),
        }
    }

    pub fn dims(&self, batch: i64) -> Res<Vec<i64>> {
        (0..self.rank()).map(|i| self.dim(i, batch)).collect()
    }

    pub fn has_batch(&self, axis: usize) -> bool {
        self.view[axis].contains(&B)
    }

    /// The atoms of a dimension that is not the batch, with what must not happen to it otherwise.
    pub fn without_batch(&self, axis: usize, what: &str) -> Res<Vec<Key>> {
        if self.has_batch(axis) {
            return bad(format!(
                "{what} dimension {axis}, which holds the batch (dimension 0 of the input); rows must be independent"
            ));
        }
        Ok(self.view[axis].clone())
    }

    /// Size of a dimension that is not the batch.
    pub fn fixed(&self, axis: usize, what: &str) -> Res<usize> {
        Ok(self.without_batch(axis, what)?.iter().map(|k| self.size(*k)).product())
    }

    pub fn fresh(&mut self) -> Key {
        self.next += 1;
        self.next - 1
    }

    /// Splits an atom into one of `first` elements and the rest.
    pub fn split(&mut self, key: Key, first: usize) {
        let Some(at) = self.phys.iter().position(|(k, _)| *k == key) else { return };
        let rest = self.phys[at].1 / first.max(1);
        let new = self.fresh();
        self.phys[at].1 = first;
        self.phys.insert(at + 1, (new, rest));
        for dim in &mut self.view {
            if let Some(i) = dim.iter().position(|k| *k == key) {
                dim.insert(i + 1, new);
            }
        }
    }

    /// Gives the atoms of this value names beyond `above`, so that those of two values do not meet.
    pub fn renamed(mut self, above: Key) -> Net {
        let shift = |k: &mut Key| {
            if *k != B {
                *k += above;
            }
        };
        self.phys.iter_mut().for_each(|(k, _)| shift(k));
        self.view.iter_mut().flatten().for_each(shift);
        self.next += above;
        self
    }

    pub fn rename(&mut self, from: Key, to: Key) {
        self.phys.iter_mut().filter(|(k, _)| *k == from).for_each(|(k, _)| *k = to);
        self.view.iter_mut().flatten().filter(|k| **k == from).for_each(|k| *k = to);
    }

    pub fn next_key(&self) -> Key {
        self.next
    }

    pub fn reserve(&mut self, next: Key) {
        self.next = self.next.max(next);
    }

    /// Regroups the atoms into dimensions of these sizes; `None` when that takes other atoms.
    pub fn regroup(&self, to: &[i64], batch: i64) -> Option<Net> {
        let mut net = self.clone();
        let mut view: Vec<Vec<Key>> = Vec::with_capacity(to.len());
        let mut left: Vec<Key> = net.view.concat();
        left.reverse();
        for size in to {
            let (mut rest, mut dim) = (*size, Vec::new());
            while let Some(&key) = left.last() {
                let n = if key == B { batch } else { net.size(key) as i64 };
                if rest == 1 && !(key == B && n == 1 && dim.is_empty()) {
                    break;
                }
                if rest % n != 0 {
                    if key == B || n % rest != 0 {
                        return None;
                    }
                    let new = net.next;
                    net.split(key, rest as usize);
                    left.pop();
                    left.extend([new, key]);
                    continue;
                }
                left.pop();
                rest /= n;
                dim.push(key);
            }
            if rest != 1 {
                return None;
            }
            view.push(dim);
        }
        // A batch of 1 may be left over: it belongs to the last dimension as well as to any.
        if !left.is_empty() && (left != [B] || batch != 1) {
            return None;
        }
        view.last_mut()?.extend(left);
        net.view = view;
        Some(net)
    }
}
