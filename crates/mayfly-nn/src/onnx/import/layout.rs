//! Bringing stored values into the order that an operation needs.
use super::super::error::{Res, bad};
use super::Cx;
use super::host::{Data, Host, product, strides, walk};
use super::net::{B, Key, Net};
use crate::layers::{GraphOp, ParamKind};

/// The runs of neighbours (in `have`) that make up `want`.
fn runs(have: &[Key], want: &[Key]) -> Vec<Vec<Key>> {
    let at = |k: &Key| have.iter().position(|h| h == k).unwrap_or(usize::MAX);
    let mut runs: Vec<Vec<Key>> = Vec::new();
    for key in want {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| at(last).checked_add(1) == Some(at(key))) => run.push(*key),
            _ => runs.push(vec![*key]),
        }
    }
    runs
}

impl Cx {
    /// The value with its row stored in the order `want`, as one flat row or as it was.
    pub fn ordered(&mut self, net: &Net, want: &[Key]) -> Res<usize> {
        let mut have: Vec<Key> = net.phys.iter().map(|(k, _)| *k).collect();
        if have == want {
            return Ok(net.id);
        }
        let size = |keys: &[Key]| keys.iter().map(|k| net.size(*k)).product::<usize>();
        let runs = runs(&have, want);
        let mut id = net.id;
        if runs.len() <= 3 {
            let mut stored = runs.clone();
            stored.sort_by_key(|r| have.iter().position(|k| Some(k) == r.first()));
            let dims: Vec<usize> = stored.iter().map(|r| size(r)).collect();
            let perm: Vec<usize> =
                runs.iter().filter_map(|r| stored.iter().position(|s| s == r)).map(|p| p + 1).collect();
            id = self.b.reshape(id, &dims)?;
            return self.b.push(GraphOp::Transpose { x: id, perm: std::iter::once(0).chain(perm).collect() });
        }
        // More than three groups: each in turn goes to the end, and in the end they stand in order.
        for run in runs {
            let Some(at) = have.iter().position(|k| Some(k) == run.first()) else {
                return bad("an atom that is not there");
            };
            let (pre, post) = (have[..at].to_vec(), have[at + run.len()..].to_vec());
            if post.is_empty() {
                continue;
            }
            id = self.b.reshape(id, &[size(&pre), size(&run), size(&post)])?;
            id = self.b.push(GraphOp::Transpose { x: id, perm: vec![0, 1, 3, 2] })?;
            have = [pre, post, run].concat();
        }
        Ok(id)
    }

    /// The value stored as `[batch, groups…]`, at most three of them, which together are all its atoms.
    pub fn grouped(&mut self, net: &Net, groups: &[&[Key]]) -> Res<usize> {
        let id = self.ordered(net, &groups.concat())?;
        let dims: Vec<usize> = groups.iter().map(|g| g.iter().map(|k| net.size(*k)).product()).collect();
        self.b.reshape(id, &dims)
    }

    /// The atoms not among `keys`, in the order stored.
    pub fn others(net: &Net, keys: &[Key]) -> Vec<Key> {
        net.phys.iter().map(|(k, _)| *k).filter(|k| !keys.contains(k)).collect()
    }

    /// The value as `[batch, rest, last]`, where `last` are atoms, and the value seen so.
    pub fn last(&mut self, net: &Net, last: &[Key]) -> Res<(usize, Net)> {
        let rest = Self::others(net, last);
        let mut seen = net.clone();
        seen.phys = rest.iter().chain(last).map(|k| (*k, net.size(*k))).collect();
        let groups: &[&[Key]] = if rest.is_empty() { &[last] } else { &[&rest, last] };
        seen.id = self.grouped(net, groups)?;
        Ok((seen.id, seen))
    }

    /// The value stored in the order of its view: one atom for each dimension without the batch.
    pub fn canonical(&mut self, net: &Net) -> Res<Net> {
        let order: Vec<Key> = net.view.concat().into_iter().filter(|k| *k != B).collect();
        let id = self.ordered(net, &order)?;
        let (mut dims, mut view) = (Vec::new(), Vec::new());
        for dim in &net.view {
            let mut seen = Vec::new();
            for part in dim.chunk_by(|a, b| *a != B && *b != B) {
                if part == [B] {
                    seen.push(B);
                } else {
                    dims.push(part.iter().map(|k| net.size(*k)).product());
                    seen.push(dims.len() as Key);
                }
            }
            view.push(seen);
        }
        Ok(Net { elements: net.elements, ..Net::new(id, &dims, view) })
    }

    /// Other dimensions of the same product.
    pub fn reshaped(&mut self, net: &Net, to: &[i64]) -> Res<Net> {
        if let Some(seen) = net.regroup(to, self.batch) {
            return Ok(seen);
        }
        let canonical = self.canonical(net)?;
        let flat = canonical.view.concat();
        let (mut dims, mut view) = (Vec::new(), Vec::new());
        for part in flat.chunk_by(|a, b| *a != B && *b != B) {
            if part == [B] {
                view.push(B);
            } else {
                dims.push(part.iter().map(|k| canonical.size(*k)).product());
                view.push(dims.len() as Key);
            }
        }
        let merged = Net { elements: net.elements, ..Net::new(canonical.id, &dims, vec![view]) };
        match merged.regroup(to, self.batch) {
            Some(seen) => Ok(seen),
            None => bad(format!(
                "{} cannot be seen as {}: the batch (dimension 0 of the input) must stay whole",
                self.shown(&net.dims(self.batch)?),
                self.shown(to)
            )),
        }
    }

    /// Dimensions for messages.
    pub fn shown(&self, dims: &[i64]) -> String {
        let one = |d: &i64| match d {
            d if self.free && *d != 0 && d % self.batch == 0 => match d / self.batch {
                1 => "batch".to_owned(),
                n => format!("{n}·batch"),
            },
            d => d.to_string(),
        };
        format!("[{}]", dims.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    /// The row stored as `target`, values repeated along atoms that this one lacks.
    pub fn bring(&mut self, net: &Net, target: &[(Key, usize)]) -> Res<usize> {
        let has = |k: &Key| net.phys.iter().any(|(p, _)| p == k);
        let own: Vec<Key> = target.iter().map(|(k, _)| *k).filter(has).collect();
        let id = self.ordered(net, &own)?;
        self.repeated(id, target, has)
    }

    /// Repeats a flat row along the atoms of `target` that it lacks.
    fn repeated(&mut self, mut id: usize, target: &[(Key, usize)], has: impl Fn(&Key) -> bool) -> Res<usize> {
        let mut done = 1;
        let mut rest: usize = target.iter().filter(|(k, _)| has(k)).map(|(_, n)| n).product();
        let batched = usize::from(self.b.is_batched(id)?);
        for part in target.chunk_by(|a, b| has(&a.0) == has(&b.0)) {
            let n: usize = part.iter().map(|(_, n)| n).product();
            if part.first().is_some_and(|(k, _)| has(k)) {
                done *= n;
                rest /= n;
            } else if n > 1 {
                self.budget.spend(n)?;
                id = self.b.reshape(id, &[done, 1, rest])?;
                id = self.b.push(GraphOp::Gather { x: id, axis: 1 + batched, indices: vec![0; n] })?;
                done *= n;
            }
        }
        Ok(id)
    }

    /// A known tensor as a parameter that can be the right side of arithmetic with `net`, with the number of trailing atoms it covers.
    /// `None` when it is one number.
    pub fn beside(&mut self, host: &Host, net: &Net, kind: ParamKind) -> Res<Option<(usize, usize)>> {
        let host = host.widened(net.rank());
        let steps = strides(&host.stored);
        let mut digits: Vec<(Key, usize, usize)> = Vec::new(); // atom, its size, its step in the host
        for (axis, n) in host.stored.iter().enumerate().filter(|(_, n)| **n > 1) {
            let keys = net.without_batch(axis, "a constant that differs along")?;
            let mut step = steps[axis].saturating_mul(*n);
            for key in &keys {
                step /= net.size(*key);
                digits.push((*key, net.size(*key), step));
            }
            if keys.iter().map(|k| net.size(*k)).product::<usize>() != *n {
                return bad(format!(
                    "a constant of {} beside {}",
                    self.shown(&host.dims),
                    self.shown(&net.dims(self.batch)?)
                ));
            }
        }
        let used = |k: &Key| digits.iter().any(|(d, ..)| d == k);
        let Some(first) = net.phys.iter().position(|(k, _)| used(k)) else { return Ok(None) };
        let suffix = net.phys[first..].to_vec();
        let ordered: Vec<(usize, usize)> =
            suffix.iter().filter_map(|(k, _)| digits.iter().find(|(d, ..)| d == k)).map(|(_, n, s)| (*n, *s)).collect();
        let (dims, moved): (Vec<usize>, Vec<usize>) = ordered.into_iter().unzip();
        self.budget.spend(product(&dims)?)?;
        let Data::F(values) = host.data.take(&walk(&dims, &moved)) else { return bad("a constant that is no number") };
        let kind = if host.trained { kind } else { ParamKind::Constant };
        let param = self.b.param(&host.name, &format!("{moved:?}"), &[product(&dims)?], kind, values.to_vec())?;
        let total: usize = suffix.iter().map(|(_, n)| n).product();
        let id = self.repeated(param, &suffix, used)?;
        Ok(Some((self.b.reshape(id, &[total])?, suffix.len())))
    }

    /// A known tensor as a value of every row.
    pub fn as_net(&mut self, host: &Host) -> Res<Net> {
        let stored = self.rowwise(host)?;
        let Data::F(values) = &stored.1.data else { return bad("a constant that is no number") };
        let n = product(&stored.0)?;
        let kind = if host.trained { ParamKind::Weight } else { ParamKind::Constant };
        let param = self.b.param(&host.name, "row", &[n], kind, values.to_vec())?;
        let id = self.b.push(GraphOp::Expand { x: param, dims: vec![n] })?;
        Ok(Net::new(id, &stored.0, stored.2))
    }

    /// The dimensions of a known tensor without the batch, itself without it, and its view.
    fn rowwise(&mut self, host: &Host) -> Res<(Vec<usize>, Host, Vec<Vec<Key>>)> {
        let (mut dims, mut one, mut view) = (Vec::new(), host.clone(), Vec::new());
        for (axis, d) in host.dims.iter().enumerate() {
            if self.batch != 1 && host.stored[axis] == 1 && *d == self.batch && !view.contains(&vec![B]) {
                one.dims[axis] = 1;
                view.push(vec![B]);
            } else {
                dims.push(usize::try_from(*d).unwrap_or(0));
                view.push(vec![dims.len() as Key]);
            }
        }
        if (self.batch != 1 && !view.contains(&vec![B])) || dims.contains(&0) {
            return bad(format!("a constant of {} where a value of every row is needed", self.shown(&host.dims)));
        }
        let full = one.full(&mut self.budget)?;
        Ok((dims, full, view))
    }
}
