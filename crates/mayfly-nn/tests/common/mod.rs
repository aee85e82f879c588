//! What this crate's tests share: one example of every layer, seeded values, data files.
#![allow(dead_code)]
use mayfly_base::Rng;
use mayfly_nn::*;

/// Uniform in −1..1.
pub fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..n).map(|_| rng.between(-1.0, 1.0)).collect()
}

fn mlp(layer: impl Into<LayerSpec>) -> NetworkSpec {
    NetworkSpec::new(&[5]).with(Dense::new(4, Act::Tanh)).with(layer).with(Dense::new(3, Activation::IDENTITY))
}

fn sequence(layer: impl Into<LayerSpec>) -> NetworkSpec {
    NetworkSpec::new(&[4, 3]).with(layer).with(Flatten {}).with(Dense::new(2, Activation::IDENTITY))
}

fn image(layer: impl Into<LayerSpec>) -> NetworkSpec {
    NetworkSpec::new(&[2, 5, 6]).with(layer).with(Flatten {}).with(Dense::new(2, Activation::IDENTITY))
}

/// Networks that together have every kind of layer, in every form that changes what is computed.
pub fn networks() -> Vec<(&'static str, NetworkSpec)> {
    let conv1d = Conv1d { stride: 2, pad: Padding1d::Same, dilation: 1, groups: 1, ..Conv1d::new(4, 3, Act::Tanh) };
    let causal =
        Conv1d { pad: Padding1d::Causal, dilation: 2, groups: 2, bias: false, ..Conv1d::new(4, 2, Act::Sigmoid) };
    let conv2d = Conv2d { stride: [2, 1], pad: Padding2d::Same, groups: 2, ..Conv2d::new(4, [3, 2], Act::Tanh) };
    let padded = Conv2d {
        pad: Padding2d::Zeros([1, 0, 2, 1]),
        dilation: [2, 1],
        ..Conv2d::new(3, [2, 3], Activation::IDENTITY)
    };
    let columns = [Act::Tanh, Act::Sigmoid, Act::Softplus, Act::Gelu].map(Activation::Act).to_vec();
    let inner = vec![Dense::new(6, Act::Gelu).into(), Dense::new(4, Activation::IDENTITY).into()];
    let channels = NetworkSpec::new(&[4, 7]);
    vec![
        ("dense", NetworkSpec::dense(5, &[6, 4], Act::Tanh.into(), 3, Activation::IDENTITY)),
        (
            "dense without bias",
            NetworkSpec::new(&[5])
                .with(Dense::new(4, Act::Elu { alpha: 1.0 }).without_bias())
                .with(Dense::new(2, Activation::Softmax)),
        ),
        ("dense on sequences", sequence(Dense::new(4, Act::Mish))),
        (
            "shortcut",
            NetworkSpec::new(&[5])
                .with(Dense::new(3, Act::Tanh).reading_all())
                .with(Dense::new(2, Act::Sin).reading_all())
                .with(Dense::new(2, Activation::IDENTITY).reading_all()),
        ),
        ("column_activations", mlp(ColumnActivations(columns))),
        ("activation", mlp(Activation::LogSoftmax)),
        ("conv1d same", channels.clone().with(conv1d).with(GlobalAvgPool {})),
        ("conv1d causal", channels.clone().with(causal).with(Flatten {}).with(Dense::new(2, Activation::IDENTITY))),
        ("conv2d same", image(conv2d)),
        ("conv2d padded", image(padded)),
        (
            "pool1d max",
            channels.clone().with(Pool1d::new(Pooling::Max, 2)).with(Conv1d::new(2, 2, Act::Tanh)).with(Flatten {}),
        ),
        (
            "pool1d avg",
            channels
                .with(Conv1d::new(3, 2, Act::Tanh))
                .with(Pool1d { stride: Some(1), pad: [1, 0], ..Pool1d::new(Pooling::Avg, 3) })
                .with(Flatten {}),
        ),
        ("pool2d max", image(Conv2d::new(3, [2, 2], Act::Tanh)).with(Dense::new(2, Activation::IDENTITY))),
        (
            "pool2d",
            NetworkSpec::new(&[2, 5, 6])
                .with(Conv2d::new(3, [2, 2], Act::Tanh))
                .with(Pool2d::new(Pooling::Max, [2, 2]))
                .with(Flatten {}),
        ),
        (
            "pool2d avg",
            NetworkSpec::new(&[2, 5, 6])
                .with(Conv2d::new(3, [2, 2], Act::Tanh))
                .with(Pool2d { pad: [1, 0, 0, 1], ..Pool2d::new(Pooling::Avg, [2, 3]) })
                .with(Flatten {}),
        ),
        (
            "reshape",
            NetworkSpec::new(&[6])
                .with(Dense::new(6, Act::Tanh))
                .with(Reshape(vec![2, 3]))
                .with(SwapAxes {})
                .with(Dense::new(2, Activation::IDENTITY))
                .with(Flatten {}),
        ),
        ("rnn", sequence(Rnn::new(3))),
        (
            "rnn last",
            NetworkSpec::new(&[4, 3])
                .with(Rnn { steps: Steps::Last, ..Rnn::new(4) })
                .with(Dense::new(2, Activation::IDENTITY)),
        ),
        ("lstm", sequence(Lstm::new(3))),
        ("lstm last", NetworkSpec::new(&[4, 3]).with(Lstm::new(4)).with(Lstm::new(3).last())),
        ("gru", sequence(Gru::new(3))),
        ("gru last", NetworkSpec::new(&[4, 3]).with(Gru::new(3).last())),
        (
            "embedding",
            NetworkSpec::new(&[4])
                .with(Embedding { rows: 7, width: 3 })
                .with(PositionalEmbedding {})
                .with(Flatten {})
                .with(Dense::new(2, Activation::IDENTITY)),
        ),
        ("layer_norm", mlp(LayerNorm::default())),
        ("rms_norm", mlp(RmsNorm::default())),
        ("batch_norm", mlp(BatchNorm::default())),
        (
            "batch_norm on images",
            NetworkSpec::new(&[2, 4, 3])
                .with(Conv2d::new(3, [2, 2], Act::Tanh))
                .with(BatchNorm::default())
                .with(Flatten {}),
        ),
        ("dropout", mlp(Dropout { p: 0.4 })),
        ("residual", mlp(Residual(inner))),
        ("attention", sequence(Attention { heads: 3, causal: true, bias: false })),
        (
            "transformer_block",
            NetworkSpec::new(&[3, 4])
                .with(TransformerBlock { causal: true, dropout: 0.2, ..TransformerBlock::new(2, 6) })
                .with(Flatten {}),
        ),
        (
            "transformer_block, norm last",
            NetworkSpec::new(&[3, 4])
                .with(TransformerBlock { norm: NormPlace::Last, ..TransformerBlock::new(2, 6) })
                .with(Flatten {}),
        ),
        ("custom", mlp(Custom::activation(Cube))),
    ]
}

/// An activation of the user's own: x³/4 + x.
#[derive(Debug)]
pub struct Cube;

impl CustomActivation for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }
    fn forward(&self, y: &mut [f32], x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = 0.25 * x * x * x + x);
    }
    fn backward(&self, dx: &mut [f32], dy: &[f32], x: &[f32], _: &[f32]) {
        dx.iter_mut().zip(dy).zip(x).for_each(|((dx, dy), x)| *dx = dy * (0.75 * x * x + 1.0));
    }
}

/// Inputs for a network: whole numbers for embeddings.
pub fn inputs(spec: &NetworkSpec, rows: usize, seed: u64) -> Vec<f32> {
    let n = rows * spec.input.iter().product::<usize>();
    match spec.layers.first() {
        Some(LayerSpec::Embedding(e)) => {
            let mut rng = Rng::new(seed);
            (0..n).map(|_| rng.below(e.rows as u64) as f32).collect()
        }
        _ => values(n, seed),
    }
}

/// Rows of a FANN file of the test data, if that is here.
pub fn fann_data(file: &str) -> Option<InMemory> {
    let text = std::fs::read_to_string(mayfly_format::testdata::find(&format!("fann/{file}"))?).unwrap();
    let mut numbers = text.split_ascii_whitespace().map(|v| v.parse::<f32>().unwrap());
    let [rows, inputs, targets] = std::array::from_fn(|_| numbers.next().unwrap() as usize);
    let (mut x, mut t) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        x.extend(numbers.by_ref().take(inputs));
        t.extend(numbers.by_ref().take(targets));
    }
    Some(InMemory::new(inputs, targets, x, t).unwrap())
}

/// Keeps going.
pub fn quiet(_: &EpochReport) -> Control {
    Control::Continue
}

/// Rows that do not say how many they are, nor that they lie in memory.
pub struct Unknown(pub InMemory);

impl Dataset for Unknown {
    fn input_len(&self) -> usize {
        self.0.input_len()
    }
    fn target_len(&self) -> usize {
        self.0.target_len()
    }
    fn rows(&self) -> Option<usize> {
        None
    }
    fn start(&mut self, order: Order) -> Result<()> {
        self.0.start(order)
    }
    fn next(&mut self, x: &mut [f32], t: &mut [f32]) -> Result<usize> {
        self.0.next(x, t)
    }
}
