//! Arithmetic, activations, choices.
use super::super::error::{Res, bad};
use super::host::{Data, Host};
use super::net::{B, Elements, Key, Net};
use super::{Cx, Handler, Node, Val};
use crate::activation::Activation;
use crate::layers::{GraphOp, ParamKind};
use mayfly_graph::Act;

pub const OPS: &[(&str, Handler)] = &[
    ("Abs", |cx, n| cx.unary(n, Act::Abs)),
    ("Add", |cx, n| cx.arithmetic(n, Arith::Add)),
    ("And", |cx, n| cx.arithmetic(n, Arith::Mul)),
    ("Cast", Cx::cast),
    ("Ceil", |cx, n| stepped(cx, n, Step::Ceil)),
    ("Celu", celu),
    ("Clip", clip),
    ("Cos", |cx, n| cx.unary(n, Act::Cos)),
    ("Div", |cx, n| cx.arithmetic(n, Arith::Div)),
    ("Elu", |cx, n| cx.unary(n, Act::Elu { alpha: n.proto.float_or("alpha", 1.0)? })),
    ("Equal", |cx, n| cx.arithmetic(n, Arith::Equal)),
    ("Erf", |cx, n| cx.unary(n, Act::Erf)),
    ("Exp", |cx, n| cx.unary(n, Act::Exp)),
    ("Floor", |cx, n| stepped(cx, n, Step::Floor)),
    ("Gelu", gelu),
    ("Greater", |cx, n| cx.arithmetic(n, Arith::Greater)),
    ("GreaterOrEqual", |cx, n| cx.arithmetic(n, Arith::GreaterEqual)),
    ("HardSigmoid", hard_sigmoid),
    ("HardSwish", |cx, n| cx.unary(n, Act::HardSwish)),
    ("LeakyRelu", |cx, n| cx.unary(n, Act::LeakyRelu { slope: n.proto.float_or("alpha", 0.01)? })),
    ("Less", |cx, n| cx.arithmetic(n, Arith::Less)),
    ("LessOrEqual", |cx, n| cx.arithmetic(n, Arith::LessEqual)),
    ("Log", |cx, n| cx.unary(n, Act::Log)),
    ("Max", |cx, n| cx.fold(n, Arith::Max)),
    ("Min", |cx, n| cx.fold(n, Arith::Min)),
    ("Mish", |cx, n| cx.unary(n, Act::Mish)),
    ("Mod", |cx, n| cx.arithmetic(n, Arith::Mod)),
    ("Mul", |cx, n| cx.arithmetic(n, Arith::Mul)),
    ("Neg", |cx, n| cx.unary(n, Act::Neg)),
    ("Not", |cx, n| cx.unary(n, Act::Affine { mul: -1.0, add: 1.0 })),
    ("PRelu", prelu),
    ("Pow", pow),
    ("Reciprocal", |cx, n| cx.unary(n, Act::Reciprocal)),
    ("Relu", |cx, n| cx.unary(n, Act::Relu)),
    ("Selu", selu),
    ("Sigmoid", |cx, n| cx.unary(n, Act::Sigmoid)),
    ("Sign", |cx, n| stepped(cx, n, Step::Sign)),
    ("Sin", |cx, n| cx.unary(n, Act::Sin)),
    ("Softplus", |cx, n| cx.unary(n, Act::Softplus)),
    ("Softsign", softsign),
    ("Sqrt", |cx, n| cx.unary(n, Act::Sqrt)),
    ("Sub", |cx, n| cx.arithmetic(n, Arith::Sub)),
    ("Sum", |cx, n| cx.fold(n, Arith::Add)),
    ("Tanh", |cx, n| cx.unary(n, Act::Tanh)),
    ("Where", choose),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Max,
    Min,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Equal,
}

impl Arith {
    fn apply(self, a: f32, b: f32) -> f32 {
        let truth = |b: bool| if b { 1.0 } else { 0.0 };
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Mod => a % b,
            Self::Max => a.max(b),
            Self::Min => a.min(b),
            Self::Greater => truth(a > b),
            Self::GreaterEqual => truth(a >= b),
            Self::Less => truth(a < b),
            Self::LessEqual => truth(a <= b),
            Self::Equal => truth(a == b),
        }
    }

    fn compares(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterEqual | Self::Less | Self::LessEqual | Self::Equal)
    }

    /// The operation on values, and whether its sides are exchanged.
    fn op(self, a: usize, b: usize) -> Option<GraphOp> {
        Some(match self {
            Self::Add => GraphOp::Add { a, b },
            Self::Sub => GraphOp::Sub { a, b },
            Self::Mul => GraphOp::Mul { a, b },
            Self::Div => GraphOp::Div { a, b },
            Self::Greater => GraphOp::Greater { a, b },
            Self::GreaterEqual => GraphOp::GreaterEqual { a, b },
            _ => return None,
        })
    }
}

impl Cx {
    /// Integer arithmetic on shapes; `None` for what depends on how large the batch is.
    fn integer(&self, op: Arith, a: i64, b: i64) -> Option<i64> {
        let symbolic = |v: i64| self.free && v != 0 && v % self.batch == 0;
        let any = symbolic(a) || symbolic(b);
        let both = (symbolic(a) || a == 0) && (symbolic(b) || b == 0);
        match op {
            Arith::Add if !any || both => a.checked_add(b),
            Arith::Sub if !any || both => a.checked_sub(b),
            Arith::Mul => a.checked_mul(b),
            Arith::Div if !any || a.checked_rem(b) == Some(0) => a.checked_div(b),
            Arith::Mod if !any || a.checked_rem(b) == Some(0) => {
                a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r })
            }
            Arith::Max if !any => Some(a.max(b)),
            Arith::Min if !any => Some(a.min(b)),
            Arith::Equal if !any || a == b || a.min(b) <= 0 => Some((a == b).into()),
            Arith::Greater if !any || a.min(b) <= 0 => Some((a > b).into()),
            Arith::GreaterEqual if !any || a.min(b) <= 0 => Some((a >= b).into()),
            Arith::Less if !any || a.min(b) <= 0 => Some((a < b).into()),
            Arith::LessEqual if !any || a.min(b) <= 0 => Some((a <= b).into()),
            _ => None,
        }
    }

    /// A known integer tensor as numbers; those that depend on the batch cannot be.
    fn as_float(&self, host: &Host) -> Res<Host> {
        let Data::I(ints) = &host.data else { return Ok(host.clone()) };
        if self.free && ints.iter().any(|v| *v != 0 && v % self.batch == 0) {
            return bad("the number of rows enters the computation; rows must be independent");
        }
        let data = Data::F(ints.iter().map(|v| *v as f32).collect());
        Ok(Host { data, ..host.clone() })
    }

    pub fn host_arith(&mut self, op: Arith, a: &Host, b: &Host) -> Res<Host> {
        if let (Data::I(_), Data::I(_)) = (&a.data, &b.data) {
            let mut budget = std::mem::replace(&mut self.budget, super::Budget(0));
            let f = |x, y| match self.integer(op, x, y) {
                Some(v) => Ok(v),
                None => bad(format!(
                    "{op:?} of {} and {}, which depends on the number of rows or overflows",
                    self.shown(&[x]),
                    self.shown(&[y])
                )),
            };
            let result = a.zip_ints(b, f, &mut budget);
            self.budget = budget;
            return result;
        }
        let (a, b) = (self.as_float(a)?, self.as_float(b)?);
        let y = a.zip(&b, |x, y| op.apply(x, y), &mut self.budget)?;
        if !op.compares() {
            return Ok(y);
        }
        let data = Data::I(y.floats()?.iter().map(|v| *v as i64).collect());
        Ok(Host { data, ..y })
    }

    fn arithmetic(&mut self, n: &Node<'_>, op: Arith) -> Res<Vec<Val>> {
        let shared = |(name, v): (&String, &Option<Val>)| {
            matches!(v, Some(Val::Net(_))) && self.uses.get(name).is_some_and(|u| *u > 1)
        };
        let alone = !n.proto.input.iter().zip(&n.inputs).any(shared);
        let y = self.arith(op, n.val(0)?, n.val(1)?, alone)?;
        Ok(vec![y])
    }

    fn fold(&mut self, n: &Node<'_>, op: Arith) -> Res<Vec<Val>> {
        let mut y = n.val(0)?.clone();
        for i in 1..n.inputs.len() {
            y = self.arith(op, &y, n.val(i)?, false)?;
        }
        Ok(vec![y])
    }

    /// `a ∘ b`; with `alone` the operands are read by nobody else.
    pub fn arith(&mut self, op: Arith, a: &Val, b: &Val, alone: bool) -> Res<Val> {
        let elements = match (op.compares(), a, b) {
            (true, ..) => Elements::Bool,
            (_, Val::Net(x), _) | (_, _, Val::Net(x)) => x.elements,
            _ => Elements::Float,
        };
        let mut y = match (a, b) {
            (Val::Host(a), Val::Host(b)) => return Ok(Val::Host(self.host_arith(op, a, b)?)),
            (Val::Net(a), Val::Net(b)) => self.both(op, a, b)?,
            (Val::Net(a), Val::Host(b)) => self.with_host(op, a, b, alone)?,
            (Val::Host(a), Val::Net(b)) => self.host_first(op, a, b, alone)?,
            _ => return bad("arithmetic with class labels"),
        };
        y.elements = elements;
        // Whole numbers divide to whole numbers.
        Ok(Val::Net(if op == Arith::Div && elements == Elements::Int {
            self.act(&y, Act::Trunc)?.of(elements)
        } else {
            y
        }))
    }

    pub fn act(&mut self, x: &Net, act: Act) -> Res<Net> {
        let id = self.b.push(GraphOp::Act { x: x.id, f: Activation::Act(act) })?;
        Ok(Net { elements: Elements::Float, ..x.at(id) })
    }

    fn host_first(&mut self, op: Arith, a: &Host, b: &Net, alone: bool) -> Res<Net> {
        match op {
            Arith::Add | Arith::Mul | Arith::Max | Arith::Min | Arith::Equal => self.with_host(op, b, a, alone),
            Arith::Sub => {
                let minus = self.act(b, Act::Neg)?;
                self.with_host(Arith::Add, &minus, a, false)
            }
            Arith::Div if b.elements == Elements::Int => {
                let a = self.constant_like(b, &self.as_float(a)?)?;
                self.both(op, &a, b)
            }
            Arith::Div => {
                let inverse = self.act(b, Act::Reciprocal)?;
                self.with_host(Arith::Mul, &inverse, a, false)
            }
            Arith::Greater => self.with_host(Arith::Less, b, a, false),
            Arith::GreaterEqual => self.with_host(Arith::LessEqual, b, a, false),
            Arith::Less => self.with_host(Arith::Greater, b, a, false),
            Arith::LessEqual => self.with_host(Arith::GreaterEqual, b, a, false),
            Arith::Mod => bad("the remainder of values that depend on the input"),
        }
    }

    /// `x ∘ c` with a known `c`.
    pub fn with_host(&mut self, op: Arith, x: &Net, c: &Host, alone: bool) -> Res<Net> {
        let c = self.as_float(c)?;
        let x = self.expanded(x, &c.dims, &c.stored)?;
        if let Some(c) = c.scalar() {
            return self.with_number(op, &x, c);
        }
        if op == Arith::Add
            && alone
            && let Some(y) = self.bias(&x, &c)?
        {
            return Ok(y);
        }
        match op {
            Arith::Less | Arith::LessEqual => {
                let minus = self.act(&x, Act::Neg)?;
                let c = c.map(|v| -v)?;
                let op = if op == Arith::Less { Arith::Greater } else { Arith::GreaterEqual };
                return self.beside_host(op, &minus, &c);
            }
            Arith::Max | Arith::Min | Arith::Equal | Arith::Mod => {
                let c = self.constant_like(&x, &c)?;
                return self.both(op, &x, &c);
            }
            _ => {}
        }
        self.beside_host(op, &x, &c)
    }

    fn constant_like(&mut self, x: &Net, c: &Host) -> Res<Net> {
        let zero = self.act(x, Act::Affine { mul: 0.0, add: 0.0 })?;
        self.beside_host(Arith::Add, &zero, c)
    }

    fn beside_host(&mut self, op: Arith, x: &Net, c: &Host) -> Res<Net> {
        let kind = if matches!(op, Arith::Mul | Arith::Div) { ParamKind::Gain } else { ParamKind::Bias };
        let Some((c, trailing)) = self.beside(c, x, kind)? else {
            return bad("a constant of one number in several dimensions");
        };
        let total: usize = x.phys.iter().rev().take(trailing).map(|(_, n)| n).product();
        let dims = if total == x.row_len() { vec![total] } else { vec![x.row_len() / total, total] };
        let a = self.b.reshape(x.id, &dims)?;
        match op.op(a, c) {
            Some(op) => Ok(x.at(self.b.push(op)?)),
            None => bad(format!("{op:?} of a value and a constant tensor")),
        }
    }

    pub fn with_number(&mut self, op: Arith, x: &Net, c: f32) -> Res<Net> {
        let scale = |mul, add| Act::Affine { mul, add };
        let act = match op {
            Arith::Add if c == 0.0 => Act::Identity,
            Arith::Mul | Arith::Div if c == 1.0 => Act::Identity,
            Arith::Add => scale(1.0, c),
            Arith::Sub => scale(1.0, -c),
            Arith::Mul => scale(c, 0.0),
            Arith::Div if x.elements == Elements::Int && c != 0.0 => {
                let number = self.b.param("", "", &[], ParamKind::Constant, vec![c])?;
                return Ok(x.at(self.b.push(GraphOp::Div { a: x.id, b: number })?));
            }
            Arith::Div => scale(1.0 / c, 0.0),
            Arith::Max => Act::Clamp { lo: c, hi: f32::MAX },
            Arith::Min => Act::Clamp { lo: f32::MIN, hi: c },
            _ => return self.compared(op, x, c),
        };
        if ![c, 1.0 / if op == Arith::Div { c } else { 1.0 }].iter().all(|v| v.is_finite()) {
            return bad(format!("{op:?} with {c}"));
        }
        if act == Act::Identity { Ok(x.clone()) } else { self.act(x, act) }
    }

    fn compared(&mut self, op: Arith, x: &Net, c: f32) -> Res<Net> {
        let number = self.b.param(
            "",
            "",
            &[],
            ParamKind::Constant,
            vec![if matches!(op, Arith::Less | Arith::LessEqual) { -c } else { c }],
        )?;
        let a = if matches!(op, Arith::Less | Arith::LessEqual) { self.act(x, Act::Neg)?.id } else { x.id };
        let id = match op {
            Arith::Greater | Arith::Less => self.b.push(GraphOp::Greater { a, b: number })?,
            Arith::GreaterEqual | Arith::LessEqual => self.b.push(GraphOp::GreaterEqual { a, b: number })?,
            Arith::Equal => {
                let above = self.b.push(GraphOp::GreaterEqual { a, b: number })?;
                let beyond = self.b.push(GraphOp::Greater { a, b: number })?;
                self.b.push(GraphOp::Sub { a: above, b: beyond })?
            }
            _ => return bad(format!("{op:?} of a value and a number")),
        };
        Ok(x.at(id))
    }

    /// Arithmetic of two values that depend on the input.
    pub fn both(&mut self, op: Arith, a: &Net, b: &Net) -> Res<Net> {
        let (a, b, seen) = self.aligned(a, b)?;
        let id = match op {
            Arith::Less => self.b.push(GraphOp::Greater { a: b, b: a })?,
            Arith::LessEqual => self.b.push(GraphOp::GreaterEqual { a: b, b: a })?,
            Arith::Max | Arith::Min => {
                let c = self.b.push(GraphOp::Greater { a, b })?;
                let (yes, no) = if op == Arith::Max { (a, b) } else { (b, a) };
                self.b.push(GraphOp::Select { c, a: yes, b: no })?
            }
            Arith::Equal => {
                let up = self.b.push(GraphOp::GreaterEqual { a, b })?;
                let down = self.b.push(GraphOp::GreaterEqual { a: b, b: a })?;
                self.b.push(GraphOp::Mul { a: up, b: down })?
            }
            _ => match op.op(a, b) {
                Some(op) => self.b.push(op)?,
                None => return bad(format!("{op:?} of values that depend on the input")),
            },
        };
        Ok(seen.at(id))
    }

    /// Both values stored alike, repeated where one is smaller, and how they are seen.
    pub fn aligned(&mut self, a: &Net, b: &Net) -> Res<(usize, usize, Net)> {
        let rank = a.rank().max(b.rank());
        let wide = |x: &Net| {
            let mut x = x.clone();
            while x.view.len() < rank {
                x.view.insert(0, Vec::new());
            }
            x
        };
        let (mut a, mut b) = (wide(a), wide(b).renamed(a.next_key()));
        if !unify(&mut a, &mut b) {
            (a, b) = (self.canonical(&a)?, self.canonical(&b)?);
            b = b.renamed(a.next_key());
            if !unify(&mut a, &mut b) {
                return bad(format!(
                    "shapes {} and {}",
                    self.shown(&a.dims(self.batch)?),
                    self.shown(&b.dims(self.batch)?)
                ));
            }
        }
        let lacks = |x: &Net, y: &Net| {
            y.phys.iter().filter(|(k, _)| !x.phys.iter().any(|(p, _)| p == k)).copied().collect::<Vec<_>>()
        };
        let mut seen = if lacks(&a, &b).is_empty() || !lacks(&b, &a).is_empty() { a.clone() } else { b.clone() };
        seen.phys.extend(lacks(&seen, &b));
        for (dim, other) in seen.view.iter_mut().zip(a.view.iter().zip(&b.view)) {
            *dim = if other.0.is_empty() { other.1.clone() } else { other.0.clone() };
        }
        seen.reserve(b.next_key().max(a.next_key()));
        let (x, y) = (self.bring(&a, &seen.phys)?, self.bring(&b, &seen.phys)?);
        let row = self.b.row(x)?;
        let y = self.b.reshape(y, &row)?;
        Ok((x, y, seen.at(x)))
    }

    fn unary(&mut self, n: &Node<'_>, act: Act) -> Res<Vec<Val>> {
        match n.val(0)? {
            Val::Host(host) => {
                let data = match &host.data {
                    Data::I(v) if act == Act::Neg => match v.iter().map(|v| v.checked_neg()).collect::<Option<_>>() {
                        Some(negated) => Data::I(negated),
                        None => return bad("the negative of the least integer"),
                    },
                    Data::I(v) if matches!(act, Act::Affine { .. }) => {
                        Data::I(v.iter().map(|v| (*v == 0).into()).collect())
                    }
                    _ => {
                        return Ok(vec![Val::Host(
                            self.as_float(host)?.map(|x| mayfly_kernels::reference::act(act, x.into()) as f32)?,
                        )]);
                    }
                };
                Ok(vec![Val::Host(Host { data, ..host.clone() })])
            }
            Val::Net(x) => Ok(vec![Val::Net(self.act(x, act)?.of(x.elements))]),
            _ => bad("a function of class labels"),
        }
    }

    fn cast(&mut self, n: &Node<'_>) -> Res<Vec<Val>> {
        let to = n.proto.int_or("to", 1)?;
        Ok(vec![match n.val(0)? {
            Val::Label(labels) => Val::Label(labels.clone()),
            Val::Host(host) => Val::Host(match (to, &host.data) {
                (1 | 10 | 11 | 16, _) => self.as_float(host)?,
                (2..=7 | 12 | 13, Data::F(v)) => Host { data: whole(to, v.iter().map(|v| *v as i64))?, ..host.clone() },
                (9, Data::F(v)) => {
                    Host { data: Data::I(v.iter().map(|v| (*v != 0.0).into()).collect()), ..host.clone() }
                }
                (9, Data::I(v)) => Host { data: Data::I(v.iter().map(|v| (*v != 0).into()).collect()), ..host.clone() },
                (2..=7 | 12 | 13, Data::I(v)) => Host { data: whole(to, v.iter().copied())?, ..host.clone() },
                _ => return bad(format!("to the element type {to}")),
            }),
            Val::Net(x) => Val::Net(match (to, x.elements) {
                (1 | 11, _) => x.clone().of(Elements::Float),
                (9, Elements::Bool) | (6 | 7, Elements::Int) => x.clone(),
                (9, _) => {
                    let is_zero = self.with_number(Arith::Equal, x, 0.0)?;
                    self.act(&is_zero, Act::Affine { mul: -1.0, add: 1.0 })?.of(Elements::Bool)
                }
                (6 | 7, Elements::Bool) => x.clone().of(Elements::Int),
                // Looking up rows cuts numbers off by itself.
                (6 | 7, Elements::Float) if self.indices.contains(n.output()) => x.clone().of(Elements::Int),
                (6 | 7, Elements::Float) => self.act(x, Act::Trunc)?.of(Elements::Int),
                _ => {
                    return bad(format!(
                        "of values that depend on the input to the element type {to}; float, double, int32, int64 and bool are imported"
                    ));
                }
            }),
            Val::Absent(why) => return bad(*why),
        }])
    }
}

/// Integers of an element type; what does not fit it would wrap around there.
fn whole(to: i64, values: impl Iterator<Item = i64>) -> Res<Data> {
    let range = match to {
        2 => 0..=255,
        3 => -128..=127,
        4 => 0..=65_535,
        5 => -32_768..=32_767,
        6 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        12 => 0..=i64::from(u32::MAX),
        13 => 0..=i64::MAX,
        _ => i64::MIN..=i64::MAX,
    };
    let fits = |v: i64| if range.contains(&v) { Ok(v) } else { bad(format!("{v} does not fit the element type {to}")) };
    Ok(Data::I(values.map(fits).collect::<Res<Vec<_>>>()?.into()))
}

/// Makes the atoms of both sides the same, dimension by dimension; a side without atoms repeats.
pub fn unify(a: &mut Net, b: &mut Net) -> bool {
    for axis in 0..a.rank() {
        let mut i = 0;
        while !a.view[axis].is_empty() && !b.view[axis].is_empty() {
            let (Some(&ka), Some(&kb)) = (a.view[axis].get(i), b.view[axis].get(i)) else {
                if a.view[axis].len() != b.view[axis].len() {
                    return false;
                }
                break;
            };
            if !meet(a, b, ka, kb) {
                return false;
            }
            i += 1;
        }
    }
    (0..a.rank()).all(|i| a.has_batch(i) == b.has_batch(i))
}

/// Makes one atom of each side the same.
fn meet(a: &mut Net, b: &mut Net, ka: Key, kb: Key) -> bool {
    if ka == B || kb == B {
        return ka == kb;
    }
    let (na, nb) = (a.size(ka), b.size(kb));
    if na > nb && na % nb == 0 {
        a.reserve(b.next_key());
        a.split(ka, nb);
    } else if nb > na && nb % na == 0 {
        b.reserve(a.next_key());
        b.split(kb, na);
    } else if na != nb {
        return false;
    }
    a.reserve(b.next_key());
    b.rename(kb, ka);
    true
}

/// `x / (1 + |x|)`. FANN's symmetric Elliot function is the same up to 150, where FANN cuts off.
fn softsign(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let x = match n.val(0)? {
        Val::Host(host) => return Ok(vec![Val::Host(cx.as_float(host)?.map(|v| v / (1.0 + v.abs()))?)]),
        _ => n.net(0)?.clone(),
    };
    let size = cx.act(&x, Act::Abs)?;
    let size = cx.with_number(Arith::Add, &size, 1.0)?;
    Ok(vec![Val::Net(cx.both(Arith::Div, &x, &size)?)])
}

#[derive(Clone, Copy)]
enum Step {
    Floor,
    Ceil,
    Sign,
}

/// What jumps, from numbers cut towards zero and comparisons.
fn stepped(cx: &mut Cx, n: &Node<'_>, step: Step) -> Res<Vec<Val>> {
    let x = match n.val(0)? {
        Val::Host(host) => {
            let f: fn(f32) -> f32 = match step {
                Step::Floor => f32::floor,
                Step::Ceil => f32::ceil,
                Step::Sign => |v: f32| f32::from(i8::from(v > 0.0) - i8::from(v < 0.0)),
            };
            return Ok(vec![Val::Host(cx.as_float(host)?.map(f)?)]);
        }
        _ => n.net(0)?.clone(),
    };
    let y = match step {
        Step::Sign => {
            let (above, below) = (cx.with_number(Arith::Greater, &x, 0.0)?, cx.with_number(Arith::Less, &x, 0.0)?);
            cx.both(Arith::Sub, &above, &below)?
        }
        Step::Floor | Step::Ceil => {
            let cut = cx.act(&x, Act::Trunc)?;
            let (op, low, high) = match step {
                Step::Floor => (Arith::Sub, &x, &cut),
                _ => (Arith::Add, &cut, &x),
            };
            let over = cx.both(Arith::Less, low, high)?;
            cx.both(op, &cut, &over)?
        }
    };
    Ok(vec![Val::Net(y.of(x.elements))])
}

fn selu(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let (alpha, gamma) = (n.proto.float_or("alpha", 1.673_263_2)?, n.proto.float_or("gamma", 1.050_701)?);
    if (alpha - 1.673_263_2).abs() < 1e-6 && (gamma - 1.050_701).abs() < 1e-6 {
        return cx.unary(n, Act::Selu);
    }
    let y = cx.act(n.net(0)?, Act::Elu { alpha })?;
    Ok(vec![Val::Net(cx.act(&y, Act::Affine { mul: gamma, add: 0.0 })?)])
}

fn celu(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let alpha = n.proto.float_or("alpha", 1.0)?;
    let x = cx.with_number(Arith::Div, n.net(0)?, alpha)?;
    let y = cx.act(&x, Act::Elu { alpha: 1.0 })?;
    Ok(vec![Val::Net(cx.with_number(Arith::Mul, &y, alpha)?)])
}

fn gelu(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    match n.proto.text_or("approximate", "none")? {
        "none" => cx.unary(n, Act::Gelu),
        "tanh" => cx.unary(n, Act::GeluTanh),
        other => bad(format!("approximate = {other:?}")),
    }
}

fn hard_sigmoid(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let (mul, add) = (n.proto.float_or("alpha", 0.2)?, n.proto.float_or("beta", 0.5)?);
    let y = cx.act(n.net(0)?, Act::Affine { mul, add })?;
    Ok(vec![Val::Net(cx.act(&y, Act::Clamp { lo: 0.0, hi: 1.0 })?)])
}

fn clip(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let bound = |i: usize, name: &str, default: f32| match n.maybe_host(i)? {
        Some(host) => host.scalar().map_or_else(|| bad("bounds are one number each"), Ok),
        None => Ok(n.proto.float_or(name, default)?),
    };
    let (lo, hi) = (bound(1, "min", f32::MIN)?.max(f32::MIN), bound(2, "max", f32::MAX)?.min(f32::MAX));
    cx.unary(n, Act::Clamp { lo, hi })
}

/// `relu(x) − slope · relu(−x)`
fn prelu(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let (x, slope) = (n.net(0)?, n.host(1)?);
    let up = cx.act(x, Act::Relu)?;
    let minus = cx.act(x, Act::Neg)?;
    let down = cx.act(&minus, Act::Relu)?;
    let down = cx.with_host(Arith::Mul, &down, slope, false)?;
    Ok(vec![Val::Net(cx.both(Arith::Sub, &up, &down)?)])
}

fn pow(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let exponent = cx.as_float(n.host(1)?)?;
    let Some(p) = exponent.scalar() else { return bad("an exponent that is not one number") };
    if let Val::Host(base) = n.val(0)? {
        let base = cx.as_float(base)?;
        return Ok(vec![Val::Host(base.map(|x| libm::powf(x, p))?)]);
    }
    let x = n.net(0)?;
    if x.elements == Elements::Int && ![1.0, 2.0, 3.0].contains(&p) {
        return bad(format!("whole numbers to the power of {p}"));
    }
    let y = if p == 2.0 {
        cx.act(x, Act::Square)?
    } else if p == 0.5 {
        cx.act(x, Act::Sqrt)?
    } else if p == -1.0 {
        cx.act(x, Act::Reciprocal)?
    } else if p == 1.0 {
        x.clone()
    } else if p == 3.0 {
        let square = cx.act(x, Act::Square)?;
        cx.both(Arith::Mul, x, &square)?
    } else {
        return bad(format!("the exponent {p}; -1, 0.5, 1, 2 and 3 are imported"));
    };
    Ok(vec![Val::Net(y.of(x.elements))])
}

fn choose(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let c = match (n.val(0)?, n.val(1)?, n.val(2)?) {
        (Val::Host(c), Val::Host(a), Val::Host(b)) => return Ok(vec![Val::Host(choose_host(cx, c, a, b)?)]),
        (Val::Net(c), ..) => c.clone(),
        (Val::Host(c), Val::Net(x), _) | (Val::Host(c), _, Val::Net(x)) => {
            let zero = cx.act(x, Act::Affine { mul: 0.0, add: 0.0 })?;
            cx.with_host(Arith::Add, &zero, c, false)?
        }
        _ => return bad("a choice between class labels"),
    };
    let mut wide = c.clone();
    let mut sides = Vec::new();
    for i in [1, 2] {
        let side = cx.side(&c, n.val(i)?)?;
        if let Side::Net(x) = &side {
            wide = cx.aligned(&wide, x)?.2;
        }
        sides.push(side);
    }
    let mut put = |side: &Side| match side {
        Side::Number(id) => Ok(*id),
        Side::Net(x) => cx.aligned(&wide, x).map(|(_, id, _)| id),
    };
    let ids = [put(&Side::Net(c))?, put(&sides[0])?, put(&sides[1])?];
    let id = cx.b.push(GraphOp::Select { c: ids[0], a: ids[1], b: ids[2] })?;
    let elements = match (n.val(1)?, n.val(2)?) {
        (Val::Net(x), _) | (_, Val::Net(x)) => x.elements,
        (Val::Host(Host { data: Data::I(_), .. }), _) => Elements::Int,
        _ => Elements::Float,
    };
    Ok(vec![Val::Net(wide.at(id).of(elements))])
}

/// What a Where takes: one number, or a value of every row.
enum Side {
    Number(usize),
    Net(Net),
}

impl Cx {
    fn side(&mut self, like: &Net, v: &Val) -> Res<Side> {
        let host = match v {
            Val::Net(x) => return Ok(Side::Net(x.clone())),
            Val::Host(host) => self.as_float(host)?,
            _ => return bad("a choice between class labels"),
        };
        if let Some(number) = host.scalar() {
            return Ok(Side::Number(self.b.param("", "", &[], ParamKind::Constant, vec![number])?));
        }
        let zero = self.act(like, Act::Affine { mul: 0.0, add: 0.0 })?;
        Ok(Side::Net(self.with_host(Arith::Add, &zero, &host, false)?))
    }
}

fn choose_host(cx: &mut Cx, c: &Host, a: &Host, b: &Host) -> Res<Host> {
    let (dims, stored, at) = c.pair(a, &mut cx.budget)?;
    let conditions = c.ints()?;
    // Where the condition holds, and where it does not, as indices into both, carried through the second pairing as positions.
    let first: Vec<i64> = at.iter().map(|(i, j)| if conditions.get(*i) == Some(&0) { -1 } else { *j as i64 }).collect();
    let place = Host { dims, stored, data: Data::I(first.into()), ..c.clone() };
    let (dims, stored, at) = place.pair(b, &mut cx.budget)?;
    let places = place.ints()?;
    let from = |i: usize, j: usize| match places.get(i) {
        Some(p) if *p >= 0 => (a, *p as usize),
        _ => (b, j),
    };
    let data = match (&a.data, &b.data) {
        (Data::F(_), Data::F(_)) => Data::F(
            at.iter()
                .filter_map(|(i, j)| {
                    let (h, k) = from(*i, *j);
                    h.floats().ok()?.get(k).copied()
                })
                .collect(),
        ),
        (Data::I(_), Data::I(_)) => Data::I(
            at.iter()
                .filter_map(|(i, j)| {
                    let (h, k) = from(*i, *j);
                    h.ints().ok()?.get(k).copied()
                })
                .collect(),
        ),
        _ => return bad("a choice between numbers and integers"),
    };
    Ok(Host { dims, stored, data, trained: false, ..a.clone() })
}
