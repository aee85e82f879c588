//! Convolution and pooling, channels first.
use super::super::error::{Res, bad};
use super::net::{Key, Net};
use super::{Cx, Handler, Node, Val};
use crate::layers::{GraphOp, ParamKind, Pooling, Reduction};

pub const OPS: &[(&str, Handler)] = &[
    ("AveragePool", |cx, n| cx.pool(n, Pooling::Avg)),
    ("Conv", conv),
    ("GlobalAveragePool", |cx, n| cx.global(n, Reduction::Mean)),
    ("GlobalMaxPool", |cx, n| cx.global(n, Reduction::Max)),
    ("MaxPool", |cx, n| cx.pool(n, Pooling::Max)),
];

/// How a window moves, in two dimensions; a sequence is an image of height 1.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Top, left, bottom, right.
    pad: [usize; 4],
}

fn sizes(n: &Node<'_>, name: &str, rank: usize, default: usize) -> Res<[usize; 2]> {
    let values = match n.proto.ints(name)? {
        Some(v) => v.iter().map(|v| usize::try_from(*v).unwrap_or(0)).collect(),
        None => vec![default; rank],
    };
    match values.as_slice() {
        [w] if rank == 1 && *w > 0 => Ok([1, *w]),
        [h, w] if rank == 2 && *h > 0 && *w > 0 => Ok([*h, *w]),
        _ => bad(format!("{name} = {values:?} for {rank} dimensions")),
    }
}

/// Zeros before and after along one dimension, for `auto_pad`.
fn same(size: usize, kernel: usize, stride: usize, dilation: usize, upper: bool) -> Res<[usize; 2]> {
    let reach = (kernel - 1).checked_mul(dilation).and_then(|r| r.checked_add(1));
    let total = reach
        .and_then(|r| size.div_ceil(stride).checked_sub(1)?.checked_mul(stride)?.checked_add(r))
        .map(|t| t.saturating_sub(size));
    let Some(total) = total else { return bad("a window that overflows") };
    let (small, large) = (total / 2, total - total / 2);
    Ok(if upper { [small, large] } else { [large, small] })
}

fn window(n: &Node<'_>, kernel: [usize; 2], image: [usize; 2], rank: usize) -> Res<Window> {
    let (stride, dilation) = (sizes(n, "strides", rank, 1)?, sizes(n, "dilations", rank, 1)?);
    let pad = match n.proto.text_or("auto_pad", "NOTSET")? {
        "VALID" => [0; 4],
        kind @ ("SAME_UPPER" | "SAME_LOWER") => {
            let along = |i: usize| same(image[i], kernel[i], stride[i], dilation[i], kind == "SAME_UPPER");
            let ([top, bottom], [left, right]) = (along(0)?, along(1)?);
            [top, left, bottom, right]
        }
        "NOTSET" => {
            let pads = n.proto.ints("pads")?.map_or_else(|| vec![0; 2 * rank], <[i64]>::to_vec);
            let pads = pads.iter().map(|p| usize::try_from(*p)).collect::<Result<Vec<_>, _>>();
            match pads.as_deref() {
                Ok([left, right]) if rank == 1 => [0, *left, 0, *right],
                Ok([top, left, bottom, right]) if rank == 2 => [*top, *left, *bottom, *right],
                _ => return bad("pads that are negative or not two for each dimension"),
            }
        }
        other => return bad(format!("auto_pad = {other:?}")),
    };
    Ok(Window { kernel, stride, dilation, pad })
}

impl Cx {
    /// The value as `[batch, channels, height, width]`, with the number of its spatial dimensions.
    fn image(&mut self, x: &Net) -> Res<(usize, [usize; 3], usize)> {
        let rank = x.rank().saturating_sub(2);
        if !(1..=2).contains(&rank) || x.view[0] != self.lead() {
            return bad(format!(
                "over {}; [batch, channels, length] and [batch, channels, height, width] are imported",
                self.shown(&x.dims(self.batch)?)
            ));
        }
        let size = |i: usize| x.fixed(i, "a window over");
        let dims = if rank == 1 { [size(1)?, 1, size(2)?] } else { [size(1)?, size(2)?, size(3)?] };
        let keys = x.view[1..].concat();
        let id = self.ordered(x, &keys)?;
        Ok((self.b.reshape(id, &dims)?, dims, rank))
    }

    /// What a window gave, seen with as many dimensions as its input.
    fn seen(&self, id: usize, rank: usize) -> Res<Net> {
        let row = self.b.row(id)?;
        let mut net = Net::plain(id, &row);
        net.view[0] = self.lead();
        if rank == 2 {
            return Ok(net);
        }
        Ok(Net { view: [0, 1, 3].map(|i| net.view[i].clone()).to_vec(), ..net })
    }

    fn pool(&mut self, n: &Node<'_>, pooling: Pooling) -> Res<Vec<Val>> {
        let (id, [channels, height, width], rank) = self.image(n.net(0)?)?;
        let kernel = sizes(n, "kernel_shape", rank, 0)?;
        let w = window(n, kernel, [height, width], rank)?;
        if w.dilation != [1, 1] {
            return bad(format!("dilations = {:?}; windows without gaps are imported", w.dilation));
        }
        let fits = |i: usize, size: usize| {
            (size.saturating_add(w.pad[i]).saturating_add(w.pad[i + 2]))
                .saturating_sub(kernel[i])
                .is_multiple_of(w.stride[i])
        };
        if n.proto.int_or("ceil_mode", 0)? != 0 && !(fits(0, height) && fits(1, width)) {
            return bad("ceil_mode = 1 with windows that reach over the edge");
        }
        let counts_zeros = pooling == Pooling::Avg && w.pad != [0; 4] && n.proto.int_or("count_include_pad", 0)? != 0;
        let id = if counts_zeros {
            // Zeros that count are those of a convolution of each channel with the same weights.
            let n = kernel[0].saturating_mul(kernel[1]);
            let total = n.saturating_mul(channels);
            self.budget.spend(total)?;
            let weight = self.b.param(
                "",
                "",
                &[channels, 1, kernel[0], kernel[1]],
                ParamKind::Constant,
                vec![1.0 / n as f32; total],
            )?;
            self.b.push(GraphOp::Conv {
                x: id,
                w: weight,
                b: None,
                stride: w.stride,
                pad: w.pad,
                dilation: [1, 1],
                groups: channels,
            })?
        } else {
            self.b.push(GraphOp::Pool { x: id, pooling, kernel, stride: w.stride, pad: w.pad })?
        };
        Ok(vec![Val::Net(self.seen(id, rank)?)])
    }

    fn global(&mut self, n: &Node<'_>, reduction: Reduction) -> Res<Vec<Val>> {
        let x = n.net(0)?;
        if x.rank() < 3 {
            return bad(format!("over {} dimensions", x.rank()));
        }
        let axes: Vec<usize> = (2..x.rank()).collect();
        Ok(vec![Val::Net(self.reduced(x, &axes, reduction, true)?)])
    }

    /// Dimensions reduced to one number each, or away.
    pub fn reduced(&mut self, x: &Net, axes: &[usize], reduction: Reduction, keep: bool) -> Res<Net> {
        let mut gone: Vec<Key> = Vec::new();
        for axis in axes {
            gone.extend(x.without_batch(*axis, "a reduction of")?);
        }
        let mut seen = x.clone();
        if !gone.is_empty() {
            let rest = Self::others(x, &gone);
            let id = self.grouped(x, &[&rest, &gone])?;
            let id = self.b.push(GraphOp::Reduce { x: id, reduction, axis: 2 })?;
            seen = seen.at(id);
            seen.phys = rest.iter().map(|k| (*k, x.size(*k))).collect();
        }
        let mut view = Vec::new();
        for (axis, dim) in seen.view.into_iter().enumerate() {
            match axes.contains(&axis) {
                true if keep => view.push(Vec::new()),
                true => {}
                false => view.push(dim),
            }
        }
        seen.view = view;
        Ok(seen)
    }
}

fn conv(cx: &mut Cx, n: &Node<'_>) -> Res<Vec<Val>> {
    let weight = n.host(1)?.full(&mut cx.budget)?;
    let (id, [_, height, width], rank) = cx.image(n.net(0)?)?;
    let kernel = match weight.stored.as_slice() {
        [_, _, w] if rank == 1 => [1, *w],
        [_, _, h, w] if rank == 2 => [*h, *w],
        dims => return bad(format!("weights of {dims:?} over {rank} spatial dimensions")),
    };
    if kernel.contains(&0) || (n.proto.ints("kernel_shape")?.is_some() && sizes(n, "kernel_shape", rank, 1)? != kernel)
    {
        return bad(format!("a kernel of {kernel:?}, which kernel_shape contradicts"));
    }
    let w = window(n, kernel, [height, width], rank)?;
    let groups = usize::try_from(n.proto.int_or("group", 1)?).unwrap_or(0);
    let kind = if weight.trained { ParamKind::Weight } else { ParamKind::Constant };
    let param = cx.b.param(&weight.name, "kernel", &weight.stored, kind, weight.floats()?.to_vec())?;
    let param = cx.b.reshape(param, &[weight.stored[0], weight.stored[1], w.kernel[0], w.kernel[1]])?;
    let b = n.maybe_host(2)?.map(|b| cx.vector(b, "", ParamKind::Bias, 1.0)).transpose()?;
    let id =
        cx.b.push(GraphOp::Conv { x: id, w: param, b, stride: w.stride, pad: w.pad, dilation: w.dilation, groups })?;
    Ok(vec![Val::Net(cx.seen(id, rank)?)])
}
