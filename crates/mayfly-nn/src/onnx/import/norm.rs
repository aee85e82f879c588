//! Softmax, norms and reductions.
use super::super::error::{Res, bad};
use super::net::{Elements, Key, Net};
use super::{Cx, Handler, Node, Val};
use crate::activation::Activation;
use crate::layers::{GraphOp, ParamKind, Reduction};
use mayfly_graph::Act;

pub const OPS: &[(&str, Handler)] = &[
    ("ArgMax", arg_max),
    ("BatchNormalization", batch_norm),
    ("LayerNormalization", layer_norm),
    ("LogSoftmax", |cx, n| softmax(cx, n, Activation::LogSoftmax)),
    ("ReduceL2", |cx, n| {
        let x = cx.act(n.net(0)?, Act::Square)?;
        let y = reduce(cx, n, &x, Reduction::Sum)?;
        Ok(vec![Val::Net(cx.act(&y, Act::Sqrt)?)])
    }),
    ("ReduceMax", |cx, n| Ok(vec![Val::Net(reduce(cx, n, n.net(0)?, Reduction::Max)?)])),
    ("ReduceMean", |cx, n| Ok(vec![Val::Net(reduce(cx, n, n.net(0)?, Reduction::Mean)?)])),
    ("ReduceMin", |cx, n| {
        let x = cx.act(n.net(0)?, Act::Neg)?;
        let y = reduce(cx, n, &x, Reduction::Max)?;
        Ok(vec![Val::Net(cx.act(&y, Act::Neg)?)])
    }),
    ("ReduceSum", |cx, n| Ok(vec![Val::Net(reduce(cx, n, n.net(0)?, Reduction::Sum)?)])),
    ("Softmax", |cx, n| softmax(cx, n, Activation::Softmax)),
];

/// The class of the largest output: dropped, since the outputs say it.
fn arg_max(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let x = n.net(0)?;
    let axis = n.axis(n.proto.int_or("axis", 0)?, x.rank())?;
    x.without_batch(axis, "the largest element of")?;
    let _ = cx;
    Ok(vec![Val::Label(None)])
}

fn softmax(cx: &mut Cx, n: &Node<'_>, f: Activation) -> Res<Vec<Val>> {
    let x = n.net(0)?;
    let rank = x.rank();
    let (default, to_end) = if cx.opset < 13 { (1, true) } else { (-1, false) };
    let axis = n.axis(n.proto.int_or("axis", default)?, rank)?;
    let axes = if to_end { axis..rank } else { axis..axis + 1 };
    let mut keys: Vec<Key> = Vec::new();
    for axis in axes {
        keys.extend(x.without_batch(axis, "a softmax over")?);
    }
    let (id, seen) = cx.last(x, &keys)?;
    Ok(vec![Val::Net(seen.at(cx.b.push(GraphOp::Act { x: id, f })?))])
}

fn layer_norm(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let x = n.net(0)?;
    let axis = n.axis(n.proto.int_or("axis", -1)?, x.rank())?;
    let mut keys: Vec<Key> = Vec::new();
    for axis in axis..x.rank() {
        keys.extend(x.without_batch(axis, "a norm over")?);
    }
    let len: usize = keys.iter().map(|k| x.size(*k)).product();
    let gamma = n.host(1)?.full(&mut cx.budget)?;
    let scale = cx.vector(&gamma, "", ParamKind::Gain, 1.0)?;
    let shift = match n.maybe_host(2)? {
        Some(beta) => cx.vector(beta, "", ParamKind::Bias, 1.0)?,
        None => {
            cx.budget.spend(len)?;
            cx.b.param("", "", &[len], ParamKind::Constant, vec![0.0; len])?
        }
    };
    let (id, seen) = cx.last(x, &keys)?;
    let eps = n.proto.float_or("epsilon", 1e-5)?;
    Ok(vec![Val::Net(seen.at(cx.b.push(GraphOp::LayerNorm { x: id, gamma: scale, beta: shift, eps })?))])
}

fn batch_norm(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let x = n.net(0)?;
    if x.rank() < 2 || x.view[0] != cx.lead() {
        return bad(format!("over {}", cx.shown(&x.dims(cx.batch)?)));
    }
    if n.proto.int_or("training_mode", 0)? != 0 || n.proto.int_or("spatial", 1)? != 1 {
        return bad("training_mode and spatial = 0 are not imported; export the model for inference");
    }
    let gamma = cx.vector(n.host(1)?, "", ParamKind::Gain, 1.0)?;
    let beta = cx.vector(n.host(2)?, "", ParamKind::Bias, 1.0)?;
    let (mean, var) = (n.host(3)?.full(&mut cx.budget)?, n.host(4)?.full(&mut cx.budget)?);
    let channels = mean.stored.iter().product();
    let stats = [mean.floats()?, var.floats()?].concat();
    let name =
        mean.name.strip_suffix("running_mean").map_or_else(|| mean.name.to_string(), |front| format!("{front}running"));
    // Named anew for each norm: statistics are never shared.
    let stats = cx.b.param(&name, &format!("norm {}", cx.b.ops.len()), &[2, channels], ParamKind::Statistics, stats)?;
    let (channel, rest): (Vec<Key>, Vec<Key>) = (x.view[1].clone(), x.view[2..].concat());
    let mut id = cx.ordered(x, &[channel.as_slice(), &rest].concat())?;
    if cx.b.row(id)?.first() != Some(&channels) {
        let groups: &[&[Key]] = if rest.is_empty() { &[&channel] } else { &[&channel, &rest] };
        id = cx.grouped(x, groups)?;
    }
    let eps = n.proto.float_or("epsilon", 1e-5)?;
    let id = cx.b.push(GraphOp::BatchNorm { x: id, gamma, beta, stats, eps })?;
    let mut seen = x.at(id);
    seen.phys = channel.iter().chain(&rest).map(|k| (*k, x.size(*k))).collect();
    Ok(vec![Val::Net(seen)])
}

fn reduce(cx: &mut Cx, n: &Node<'_>, x: &Net, reduction: Reduction) -> Res<Net> {
    let axes = n.ints(1, "axes")?.unwrap_or_default();
    let keep = n.proto.int_or("keepdims", 1)? != 0;
    if axes.is_empty() && n.proto.int_or("noop_with_empty_axes", 0)? != 0 {
        return Ok(x.clone());
    }
    let axes = if axes.is_empty() {
        (0..x.rank()).collect()
    } else {
        axes.iter().map(|a| n.axis(*a, x.rank())).collect::<Res<Vec<_>>>()?
    };
    if (1..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
        return bad(format!("axes = {axes:?}, in which a dimension comes twice"));
    }
    if x.elements != Elements::Float && reduction == Reduction::Mean {
        return bad("the mean of whole numbers, which would be a whole number; cast them to float before");
    }
    cx.reduced(x, &axes, reduction, keep)
}
