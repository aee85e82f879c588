//! Operators of scikit-learn's models (`ai.onnx.ml`).
use super::super::error::{Res, bad};
use super::host::{Data, Host};
use super::math::Arith;
use super::net::{Elements, Net};
use super::{Cx, Handler, Node, Val};
use crate::activation::Activation;
use crate::layers::{GraphOp, ParamKind, Reduction};
use mayfly_graph::Act;
use std::rc::Rc;

pub const OPS: &[(&str, Handler)] = &[
    ("ai.onnx.ml::ArrayFeatureExtractor", extract),
    ("ai.onnx.ml::LinearClassifier", classifier),
    ("ai.onnx.ml::LinearRegressor", regressor),
    ("ai.onnx.ml::Normalizer", normalizer),
    ("ai.onnx.ml::Scaler", scaler),
    ("ai.onnx.ml::ZipMap", zip_map),
];

fn constant(values: &[f32]) -> Host {
    Host::new(&[values.len()], Data::F(values.into()), "", false)
}

/// `(x − offset) · scale`
fn scaler(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let mut x = n.net(0)?.clone().of(Elements::Float);
    let columns = x.fixed(x.rank().saturating_sub(1), "columns in")?;
    for (name, op) in [("offset", Arith::Sub), ("scale", Arith::Mul)] {
        if let Some(values) = n.proto.floats(name)? {
            if values.len() != 1 && values.len() != columns {
                return bad(format!("{} values of {name} for {columns} columns", values.len()));
            }
            x = cx.with_host(op, &x, &Host { name: format!("scaler.{name}").into(), ..constant(values) }, false)?;
        }
    }
    Ok(vec![Val::Net(x)])
}

fn normalizer(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let x = &n.net(0)?.clone().of(Elements::Float);
    let last = [x.rank().saturating_sub(1)];
    let size = match n.proto.text_or("norm", "MAX")? {
        "L1" => {
            let sizes = cx.act(x, Act::Abs)?;
            cx.reduced(&sizes, &last, Reduction::Sum, true)?
        }
        "L2" => {
            let squares = cx.act(x, Act::Square)?;
            let sum = cx.reduced(&squares, &last, Reduction::Sum, true)?;
            cx.act(&sum, Act::Sqrt)?
        }
        "MAX" => cx.reduced(x, &last, Reduction::Max, true)?,
        other => return bad(format!("norm = {other:?}")),
    };
    // A row of size 0 stays as it is: divided by 1.
    let is_zero = cx.with_number(Arith::Equal, &size, 0.0)?;
    let size = cx.both(Arith::Add, &size, &is_zero)?;
    Ok(vec![Val::Net(cx.both(Arith::Div, x, &size)?)])
}

/// The sums `x · coefficientsᵀ + intercepts` of a linear model with `outputs` rows of coefficients.
fn sums(cx: &mut Cx, n: &Node<'_>, name: &str, outputs: usize) -> Res<Net> {
    let x = &n.net(0)?.clone().of(Elements::Float);
    let axis = x.rank().saturating_sub(1);
    let columns = x.fixed(axis, "columns in")?;
    let coefficients = n.proto.floats("coefficients")?.unwrap_or_default();
    let intercepts = n.proto.floats("intercepts")?.unwrap_or_default();
    if x.rank() != 2 || coefficients.len() != outputs * columns || ![0, outputs].contains(&intercepts.len()) {
        return bad(format!(
            "{} coefficients and {} intercepts for {columns} columns and {outputs} outputs",
            coefficients.len(),
            intercepts.len()
        ));
    }
    let w = cx.b.param(&format!("{name}.weight"), "", &[outputs, columns], ParamKind::Weight, coefficients.to_vec())?;
    let b = match intercepts {
        [] => None,
        some => Some(cx.b.param(&format!("{name}.bias"), "", &[outputs], ParamKind::Bias, some.to_vec())?),
    };
    cx.linear(x, axis, w, b)
}

fn transform(cx: &mut Cx, n: &Node<'_>, x: &Net) -> Res<Net> {
    let f = match n.proto.text_or("post_transform", "NONE")? {
        "NONE" => return Ok(x.clone()),
        "LOGISTIC" => Activation::Act(Act::Sigmoid),
        "SOFTMAX" => Activation::Softmax,
        other => return bad(format!("post_transform = {other:?}; NONE, LOGISTIC and SOFTMAX are imported")),
    };
    Ok(x.at(cx.b.push(GraphOp::Act { x: x.id, f })?))
}

fn regressor(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let targets = usize::try_from(n.proto.int_or("targets", 1)?).unwrap_or(0);
    let y = sums(cx, n, "regressor", targets)?;
    Ok(vec![Val::Net(transform(cx, n, &y)?)])
}

/// Labels given as integers or texts under two names.
fn labels(n: &Node<'_>, ints: &str, texts: &str) -> Res<Vec<String>> {
    if let Some(ints) = n.proto.ints(ints)? {
        return Ok(ints.iter().map(i64::to_string).collect());
    }
    Ok(n.proto.texts(texts)?.unwrap_or_default().into_iter().map(str::to_owned).collect())
}

fn classifier(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let names = labels(n, "classlabels_ints", "classlabels_strings")?;
    let rows = n.proto.floats("intercepts")?.map_or(names.len(), <[f32]>::len).max(1);
    let scores = sums(cx, n, "classifier", rows)?;
    let logistic = n.proto.text_or("post_transform", "NONE")? == "LOGISTIC";
    let y = if rows == names.len() {
        transform(cx, n, &scores)?
    } else if rows == 1 && names.len() == 2 && logistic {
        let yes = transform(cx, n, &scores)?;
        let no = cx.act(&yes, Act::Affine { mul: -1.0, add: 1.0 })?;
        cx.joined(&[no, yes], 1)?
    } else {
        return bad(format!("{rows} rows of coefficients for {} classes", names.len()));
    };
    let names: Rc<[String]> = names.into();
    cx.labels = Some(names.clone());
    Ok(vec![Val::Label(Some(names)), Val::Net(y)])
}

fn zip_map(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let names = labels(n, "classlabels_int64s", "classlabels_strings")?;
    if !names.is_empty() {
        cx.labels = Some(names.into());
    }
    Ok(vec![n.val(0)?.clone()])
}

/// The name of the most likely class: dropped, its names kept.
fn extract(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let (Val::Label(_), classes) = (n.val(1)?, n.host(0)?) else {
        return bad("elements by numbers that are not the classes of a classifier");
    };
    let names: Rc<[String]> = match &classes.data {
        Data::Text(names) => names.clone(),
        Data::I(numbers) => numbers.iter().map(i64::to_string).collect(),
        Data::F(numbers) => numbers.iter().map(f32::to_string).collect(),
    };
    cx.labels = Some(names.clone());
    Ok(vec![Val::Label(Some(names))])
}
