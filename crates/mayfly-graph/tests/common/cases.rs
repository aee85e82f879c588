//! The op table's examples: one or more graphs for each forward operation.
use super::leaf;
use mayfly_graph::*;

pub type Build = fn(&mut Graph) -> Result<NodeId, GraphError>;

/// Name of the operation (as [`Op::name`] has it), a label, and the graph.
pub const CASES: &[(&str, &str, Build)] = &[
    ("linear", "bias", |g| {
        let x = leaf(g, "x", &[7]);
        let (w, b) = (g.param("w", &[5, 7])?, g.param("b", &[5])?);
        g.linear(x, w, Some(b))
    }),
    ("linear", "sequence, no bias, relu", |g| {
        let x = leaf(g, "x", &[3, 6]);
        let w = g.param("w", &[17, 6])?;
        let z = g.linear(x, w, None)?;
        g.act(z, Act::Relu)
    }),
    ("linear", "wide, residual", |g| {
        let x = leaf(g, "x", &[40]);
        let (w, b) = (g.param("w", &[40, 40])?, g.param("b", &[40])?);
        let z = g.linear(x, w, Some(b))?;
        let h = g.act(z, Act::Tanh)?;
        g.add(h, x)
    }),
    ("matmul", "batched", |g| {
        let (a, b) = (leaf(g, "a", &[4, 3]), leaf(g, "b", &[3, 5]));
        g.matmul(a, b)
    }),
    ("matmul", "transposed", |g| {
        let (a, b) = (leaf(g, "a", &[4, 3]), leaf(g, "b", &[5, 3]));
        let bt = g.transpose(b, &[0, 2, 1])?;
        g.matmul(a, bt)
    }),
    ("conv2d", "stride, padding, bias", |g| {
        let x = leaf(g, "x", &[3, 7, 6]);
        let (w, b) = (g.param("w", &[4, 3, 3, 2])?, g.param("b", &[4])?);
        g.conv2d(x, w, Some(b), Conv2dSpec { stride: [2, 1], pad: [1, 0, 1, 2], ..Default::default() })
    }),
    ("conv2d", "groups, dilation, relu", |g| {
        let x = leaf(g, "x", &[4, 9, 9]);
        let w = g.param("w", &[6, 2, 3, 3])?;
        let z = g.conv2d(x, w, None, Conv2dSpec { dilation: [2, 3], groups: 2, ..Default::default() })?;
        g.act(z, Act::Relu)
    }),
    ("conv2d", "one dimension", |g| {
        let x = leaf(g, "x", &[3, 1, 20]);
        let w = g.param("w", &[5, 3, 1, 4])?;
        g.conv2d(x, w, None, Conv2dSpec { pad: [0, 3, 0, 0], ..Default::default() })
    }),
    ("pool2d", "max", |g| {
        let x = leaf(g, "x", &[2, 6, 7]);
        g.pool2d(x, Pool2dSpec { kind: PoolKind::Max, kernel: [2, 3], stride: [2, 2], pad: [0, 1, 0, 1] })
    }),
    ("pool2d", "average", |g| {
        let x = leaf(g, "x", &[2, 6, 7]);
        g.pool2d(x, Pool2dSpec { kind: PoolKind::Avg, kernel: [3, 3], stride: [1, 2], pad: [1, 1, 1, 1] })
    }),
    ("unary", "a chain of functions", |g| {
        let x = leaf(g, "x", &[9]);
        [Act::Gelu, Act::Sigmoid, Act::Silu, Act::Tanh, Act::Softplus, Act::Sin, Act::Square, Act::Exp]
            .iter()
            .try_fold(x, |x, a| g.act(x, *a))
    }),
    ("column_acts", "mixed", |g| {
        let x = leaf(g, "x", &[4]);
        g.column_acts(x, &[Act::Tanh, Act::Tanh, Act::Sin, Act::Gelu])
    }),
    ("add", "row broadcast", |g| {
        let (x, b) = (leaf(g, "x", &[3, 4]), g.param("b", &[4])?);
        g.add(x, b)
    }),
    ("sub", "same shape", |g| {
        let (a, b) = (leaf(g, "a", &[5]), leaf(g, "b", &[5]));
        g.binary(Binary::Sub, a, b)
    }),
    ("mul", "scalar", |g| {
        let (x, s) = (leaf(g, "x", &[5]), g.param("s", &[])?);
        g.mul(x, s)
    }),
    ("mul", "a value with itself", |g| {
        let x = leaf(g, "x", &[5]);
        g.mul(x, x)
    }),
    ("div", "positive divisor", |g| {
        let a = leaf(g, "a", &[5]);
        let b = leaf(g, "positive", &[5]);
        let b = g.act(b, Act::Exp)?;
        g.binary(Binary::Div, a, b)
    }),
    ("greater", "the larger part of each pair", |g| {
        let (a, b) = (leaf(g, "a", &[2, 4]), g.param("b", &[4])?);
        let mask = g.binary(Binary::Greater, a, b)?;
        g.mul(a, mask)
    }),
    ("greater_equal", "a value with itself", |g| {
        let a = leaf(g, "a", &[5]);
        let mask = g.binary(Binary::GreaterEqual, a, a)?;
        g.mul(a, mask)
    }),
    ("select", "of two", |g| {
        let (a, b) = (leaf(g, "a", &[3, 2]), leaf(g, "b", &[3, 2]));
        let mask = g.binary(Binary::Greater, a, b)?;
        g.select(mask, a, b)
    }),
    ("select", "of one and a number", |g| {
        let (a, b) = (leaf(g, "a", &[7]), g.param("b", &[])?);
        let mask = g.binary(Binary::Greater, a, b)?;
        g.select(mask, b, a)
    }),
    ("expand", "bias to rows", |g| {
        let (x, b) = (leaf(g, "x", &[2, 3]), g.param("b", &[3])?);
        let b = g.expand(b, g.shape(x)?)?;
        g.mul(b, x)
    }),
    ("reduce", "sum of the middle", |g| {
        let x = leaf(g, "x", &[4, 3]);
        g.reduce(x, ReduceKind::Sum, 1)
    }),
    ("reduce", "mean of the last", |g| {
        let x = leaf(g, "x", &[4, 3]);
        g.reduce(x, ReduceKind::Mean, 2)
    }),
    ("reduce", "maximum", |g| {
        let x = leaf(g, "x", &[5, 3]);
        g.reduce(x, ReduceKind::Max, 1)
    }),
    ("softmax", "", |g| {
        let x = leaf(g, "x", &[7]);
        g.softmax(x)
    }),
    ("log_softmax", "", |g| {
        let x = leaf(g, "x", &[2, 7]);
        g.log_softmax(x)
    }),
    ("layer_norm", "", |g| {
        let x = leaf(g, "x", &[3, 20]);
        let (gamma, beta) = (g.param("gamma", &[20])?, g.param("beta", &[20])?);
        g.layer_norm(x, gamma, beta, 1e-5)
    }),
    ("rms_norm", "", |g| {
        let x = leaf(g, "x", &[20]);
        let gamma = g.param("gamma", &[20])?;
        g.rms_norm(x, gamma, 1e-5)
    }),
    ("batch_norm", "running statistics", |g| {
        let x = leaf(g, "x", &[3, 4]);
        let (gamma, beta) = (g.param("gamma", &[3])?, g.param("beta", &[3])?);
        let stats = g.constant(&[0.4, -0.2, 0.1, 0.5, 2.0, 1.3], &[2, 3])?;
        g.batch_norm(x, gamma, beta, stats, 1e-5)
    }),
    ("batch_norm", "features", |g| {
        let x = leaf(g, "x", &[5]);
        batch_norm(g, x, 5)
    }),
    ("batch_stats", "images", |g| {
        let x = leaf(g, "x", &[3, 4, 2]);
        batch_norm(g, x, 3)
    }),
    ("embed", "", |g| {
        let ids = g.input("ids", Shape::batched(&[4])?)?;
        let table = g.param("table", &[5, 3])?;
        g.embed(ids, table)
    }),
    ("attention", "cross", |g| {
        let (q, k, v) = (leaf(g, "q", &[3, 8]), leaf(g, "k", &[5, 8]), leaf(g, "v", &[5, 8]));
        g.attention(q, k, v, 2, Causal::No)
    }),
    ("attention", "causal", |g| {
        let (q, k, v) = (leaf(g, "q", &[6, 4]), leaf(g, "k", &[6, 4]), leaf(g, "v", &[6, 4]));
        g.attention(q, k, v, 1, Causal::Yes)
    }),
    ("rnn", "tanh", |g| {
        let xw = leaf(g, "xw", &[5, 3]);
        let w = g.param("w_hh", &[3, 3])?;
        g.rnn(xw, w, Act::Tanh)
    }),
    ("lstm", "", |g| {
        let xw = leaf(g, "xw", &[5, 12]);
        let w = g.param("w_hh", &[12, 3])?;
        g.lstm(xw, w)
    }),
    ("lstm", "from a state, last state too", |g| {
        let (xw, start) = (leaf(g, "x", &[3, 20]), leaf(g, "start", &[10]));
        let w = g.param("w", &[20, 5])?;
        let (hidden, last) = g.lstm_from(xw, w, start)?;
        // The last state starts another layer.
        let (again, _) = g.lstm_from(xw, w, last)?;
        g.concat(&[hidden, again], 1)
    }),
    ("lstm", "one step from a state", |g| {
        let (xw, start) = (leaf(g, "x", &[1, 8]), leaf(g, "start", &[4]));
        let w = g.param("w", &[8, 2])?;
        Ok(g.lstm_from(xw, w, start)?.1)
    }),
    ("gru", "from a state", |g| {
        let (xw, start) = (leaf(g, "x", &[3, 9]), leaf(g, "start", &[3]));
        let (w, b) = (g.param("w", &[9, 3])?, g.param("b", &[3])?);
        g.gru_from(xw, w, b, start)
    }),
    ("gru", "", |g| {
        let xw = leaf(g, "xw", &[5, 9]);
        let (w, b) = (g.param("w_hh", &[9, 3])?, g.param("b_hn", &[3])?);
        g.gru(xw, w, b)
    }),
    ("rfft", "even", |g| {
        let x = leaf(g, "x", &[2, 12]);
        g.rfft(x)
    }),
    ("irfft", "odd", |g| {
        let x = leaf(g, "x", &[8]);
        g.irfft(x, 7)
    }),
    ("gather", "some twice, some never", |g| {
        let x = leaf(g, "x", &[2, 5, 3]);
        g.gather(x, 2, &[4, 0, 0, 2])
    }),
    ("gather", "one row repeated", |g| {
        let x = leaf(g, "x", &[1, 4]);
        g.gather(x, 1, &[0; 3])
    }),
    ("gather", "the last dimension reversed", |g| {
        let x = leaf(g, "x", &[6]);
        g.gather(x, 1, &[5, 4, 3, 2, 1, 0])
    }),
    ("concat", "three along the last", |g| {
        let (a, b) = (leaf(g, "a", &[2, 3]), leaf(g, "b", &[2, 4]));
        g.concat(&[a, b, a], 2)
    }),
    ("slice", "middle", |g| {
        let x = leaf(g, "x", &[6, 4]);
        g.slice(x, 1, 2, 3)
    }),
    ("reshape", "", |g| {
        let x = leaf(g, "x", &[6, 4]);
        let y = g.reshape(x, Shape::batched(&[3, 8])?)?;
        g.act(y, Act::Sin)
    }),
    ("transpose", "", |g| {
        let x = leaf(g, "x", &[2, 3, 4]);
        g.transpose(x, &[0, 3, 1, 2])
    }),
    ("dropout", "", |g| {
        let x = leaf(g, "x", &[50]);
        g.dropout(x, 0.3, 7)
    }),
    ("loss_rows", "as a value", |g| {
        let (a, b) = (leaf(g, "a", &[4]), g.input("b", Shape::batched(&[4])?)?);
        let rows = g.loss_rows(Loss::Mse, a, b)?;
        g.reshape(rows, Shape::batched(&[1])?)
    }),
];

fn batch_norm(g: &mut Graph, x: NodeId, c: usize) -> Result<NodeId, GraphError> {
    let (gamma, beta) = (g.param("gamma", &[c])?, g.param("beta", &[c])?);
    let running = g.param_with("running", &[2, c], Role::RunningStat)?;
    g.batch_norm_training(x, gamma, beta, running, 1e-5)
}
