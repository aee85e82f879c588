//! A network: its description and its parameters.
use crate::error::{NnError, Result, expect_len};
use crate::init::{Init, NetSize, Part};
use crate::layers::LayerSpec;
use crate::spec::{Lowered, Mode, NetworkSpec};
use mayfly_base::Rng;
use mayfly_graph::{ParamInfo, Precision, Role, Session};
use mayfly_kernels::{self as k, Buffer};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Rows that [`Network::predict`] runs at a time.
pub(crate) const PREDICT_ROWS: usize = 256;

/// A network with its parameters, which are overwritten with zeros when it is dropped.
///
/// ```
/// use mayfly_nn::{Act, Activation, Network, NetworkSpec};
/// let spec = NetworkSpec::dense(2, &[8], Act::Tanh.into(), 1, Activation::IDENTITY);
/// let network = Network::new(spec, 1)?;
/// let outputs = network.predict(&[0.0, 0.0, 0.5, -0.5])?; // two rows
/// assert_eq!(outputs.len(), 2);
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
#[derive(Clone)]
pub struct Network {
    spec: NetworkSpec,
    layout: Arc<[ParamInfo]>,
    params: Buffer<f32>,
    mask: Option<Mask>,
    output: Vec<usize>,
    /// Name and values a row of each further input.
    extras: Vec<(String, usize)>,
}

/// Which connections of a sparse network exist: 1 or 0 for each parameter. Absent ones are zero and stay zero in training.
#[derive(Clone, PartialEq, Debug)]
pub struct Mask(Arc<[f32]>);

impl Mask {
    /// A mask from one flag for each parameter, in the order of the flat array.
    pub fn new(exists: impl IntoIterator<Item = bool>) -> Self {
        Mask(exists.into_iter().map(|e| if e { 1.0 } else { 0.0 }).collect())
    }

    /// 1 where a connection exists, 0 elsewhere.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Sets values of absent connections to zero, whatever they were.
    pub fn apply(&self, values: &mut [f32]) {
        for (v, m) in values.iter_mut().zip(self.0.iter()) {
            *v = if *m == 0.0 { 0.0 } else { *v };
        }
    }
}

impl Network {
    /// A network with the initial weights that its layers choose, drawn from `seed`.
    ///
    /// # Errors
    /// Layers that do not fit together.
    pub fn new(spec: NetworkSpec, seed: u64) -> Result<Self> {
        Self::initialised(spec, None, seed)
    }

    /// A network whose weights all start by one scheme; FANN's schemes set the biases too.
    ///
    /// # Errors
    /// Layers that do not fit together.
    pub fn with_init(spec: NetworkSpec, init: &Init, seed: u64) -> Result<Self> {
        Self::initialised(spec, Some(init), seed)
    }

    fn initialised(spec: NetworkSpec, init: Option<&Init>, seed: u64) -> Result<Self> {
        let lowered = spec.lower(Mode::Inference)?;
        let mut params = Buffer::zeroed(lowered.graph.param_len());
        fill(&mut params, &lowered, init, seed);
        Self::assemble(spec, &lowered, params, None)
    }

    /// A network from its parts. With a mask, parameters of absent connections are set to zero.
    ///
    /// # Errors
    /// Layers that do not fit together, or arrays that do not have one value for each parameter.
    pub fn from_parts(spec: NetworkSpec, params: &[f32], mask: Option<Mask>) -> Result<Self> {
        let lowered = spec.lower(Mode::Inference)?;
        expect_len("the parameter array", lowered.graph.param_len(), params.len())?;
        if let Some(mask) = &mask {
            expect_len("the mask", params.len(), mask.0.len())?;
        }
        Self::assemble(spec, &lowered, Buffer::from(params), mask)
    }

    fn assemble(spec: NetworkSpec, lowered: &Lowered, mut params: Buffer<f32>, mask: Option<Mask>) -> Result<Self> {
        let graph = &lowered.graph;
        let y = graph.outputs().first().map(|(_, id)| graph.shape(*id)).transpose()?;
        let output = y.and_then(|s| s.dims().get(1..).map(<[usize]>::to_vec)).unwrap_or_default();
        if let Some(mask) = &mask {
            mask.apply(&mut params);
        }
        let extras = spec.extra_inputs.iter().map(|extra| (extra.name.clone(), extra.shape.iter().product())).collect();
        Ok(Network { spec, layout: Arc::from(graph.params()), params, mask, output, extras })
    }

    /// The description.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Values in a row of inputs.
    pub fn input_len(&self) -> usize {
        self.spec.input.iter().product()
    }

    /// The inputs besides the first: name and values a row, in the order in which sessions take them.
    pub fn extra_inputs(&self) -> &[(String, usize)] {
        &self.extras
    }

    /// Ranges of the parameters that follow statistics of the batches (batch norm's mean and variance): no optimiser may move them, and where trainings are
    /// merged they are averaged apart.
    pub fn running(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.layout.iter().filter(|info| info.role == Role::RunningStat).map(ParamInfo::range)
    }

    /// Values in a row of outputs.
    pub fn output_len(&self) -> usize {
        self.output.iter().product()
    }

    /// The shape of a row of outputs.
    pub fn output_shape(&self) -> &[usize] {
        &self.output
    }

    /// All parameters, one after another in the order of [`Network::layout`].
    pub fn params(&self) -> &[f32] {
        &self.params
    }

    /// All parameters, to be changed. Those of absent connections (see [`Network::mask`]) must stay zero.
    pub fn params_mut(&mut self) -> &mut [f32] {
        &mut self.params
    }

    /// Name, shape and range of each parameter.
    pub fn layout(&self) -> &[ParamInfo] {
        &self.layout
    }

    /// Each parameter with its values.
    pub fn named_params(&self) -> impl Iterator<Item = (&ParamInfo, &[f32])> {
        self.layout.iter().map(|info| (info, &self.params[info.range()]))
    }

    /// The values of the parameter of this name.
    pub fn param(&self, name: &str) -> Option<&[f32]> {
        self.named_params().find(|(info, _)| info.name == name).map(|(_, values)| values)
    }

    /// Which connections exist, in a sparse network.
    pub fn mask(&self) -> Option<&Mask> {
        self.mask.as_ref()
    }

    /// Sets parameters of absent connections to zero.
    pub(crate) fn apply_mask(&mut self) {
        if let Some(mask) = &self.mask {
            mask.apply(&mut self.params);
        }
    }

    /// How many parameters there are, absent connections not counted.
    pub fn param_count(&self) -> usize {
        match &self.mask {
            Some(mask) => mask.0.iter().filter(|m| **m != 0.0).count(),
            None => self.params.len(),
        }
    }

    /// A session that runs `batch` rows at a time with the parameters as they are now. It allocates nothing when it runs.
    /// Sessions that are to share one copy of the weights come from [`Network::shared`].
    ///
    /// # Errors
    /// A batch of no rows, or one that needs too much memory.
    pub fn session(&self, batch: usize, precision: Precision) -> Result<Session> {
        self.shared(precision)?.session(batch)
    }

    /// The outputs for rows of inputs, one after another: `x [rows, inputs] → [rows, outputs]`. For one row at a time, over and over, keep a [`Network::session`].
    ///
    /// # Errors
    /// Values that do not make up whole rows.
    pub fn predict(&self, x: &[f32]) -> Result<Vec<f32>> {
        self.predict_with(x, Precision::F32)
    }

    /// As [`Network::predict`], with weights of the given precision.
    ///
    /// # Errors
    /// Values that do not make up whole rows.
    pub fn predict_with(&self, x: &[f32], precision: Precision) -> Result<Vec<f32>> {
        if let Some((name, want)) = self.extras.first() {
            return Err(NnError::InputShape { name: name.clone(), want: *want, got: 0 });
        }
        let rows = self.check_rows(x)?;
        let mut y = Vec::with_capacity(rows * self.output_len());
        let step = rows.clamp(1, PREDICT_ROWS);
        let whole = rows - rows % step;
        let (head, tail) = x.split_at(whole * self.input_len());
        let shared = self.shared(precision)?;
        for (part, batch) in [(head, step), (tail, rows - whole)] {
            if part.is_empty() {
                continue;
            }
            let mut session = shared.session(batch)?;
            for rows in part.chunks_exact(batch * self.input_len()) {
                y.extend_from_slice(session.infer(rows)?);
            }
        }
        Ok(y)
    }

    /// The further inputs in the network's order, each with as many rows as there are.
    pub(crate) fn in_order<'a>(&self, rows: usize, extras: &[(&str, &'a [f32])]) -> Result<Vec<&'a [f32]>> {
        if let Some((name, values)) =
            extras.iter().find(|(name, _)| !self.extras.iter().any(|(known, _)| known == name))
        {
            return Err(NnError::InputShape { name: (*name).to_owned(), want: 0, got: values.len() / rows.max(1) });
        }
        let find = |(name, len): &(String, usize)| {
            let values = extras.iter().find(|(given, _)| given == name).map_or(&[][..], |(_, values)| *values);
            match values.len() == rows * len {
                true => Ok(values),
                false => Err(NnError::InputShape { name: name.clone(), want: *len, got: values.len() / rows.max(1) }),
            }
        };
        self.extras.iter().map(find).collect()
    }

    /// How many rows `x` holds; checks embedding numbers too.
    pub(crate) fn check_rows(&self, x: &[f32]) -> Result<usize> {
        let n = self.input_len();
        if !x.len().is_multiple_of(n) {
            return Err(NnError::Length {
                what: format!("inputs (rows of {n})"),
                want: x.len().next_multiple_of(n),
                got: x.len(),
            });
        }
        check_ids(&self.spec, x)?;
        Ok(x.len() / n)
    }
}

/// Refuses inputs that name rows that an embedding does not have.
pub(crate) fn check_ids(spec: &NetworkSpec, x: &[f32]) -> Result<()> {
    let Some(rows) = spec.input_ids() else { return Ok(()) };
    let n = spec.input.iter().product::<usize>().max(1);
    let refused = |at: usize| NnError::EmbeddingId {
        row: at / n,
        column: at % n,
        value: x.get(at).copied().unwrap_or(f32::NAN),
        rows,
    };
    k::check_ids(x, rows).map_err(refused)
}

impl NetworkSpec {
    /// Where the parameters of such a network are, without drawing any.
    ///
    /// # Errors
    /// Layers that do not fit together.
    pub fn layout(&self) -> Result<Vec<ParamInfo>> {
        Ok(self.lower(Mode::Inference)?.graph.params().to_vec())
    }

    /// Refuses rows of inputs that name rows that an embedding does not have: sessions read another row instead.
    ///
    /// # Errors
    /// The first such value.
    pub fn check_ids(&self, x: &[f32]) -> Result<()> {
        check_ids(self, x)
    }
}

/// Draws every parameter from its own stream of the seed.
fn fill(params: &mut [f32], lowered: &Lowered, init: Option<&Init>, seed: u64) {
    let size = net_size(lowered);
    for (i, (info, start)) in lowered.graph.params().iter().zip(&lowered.inits).enumerate() {
        let mut rng = Rng::stream(seed, i as u64);
        let rows = info.shape.dims().first().copied().unwrap_or(1);
        start.fill(&start.resolve(init), &mut params[info.range()], rows, size, &mut rng);
    }
}

fn net_size(lowered: &Lowered) -> NetSize {
    let units = |i: usize| lowered.graph.params()[i].shape.dims().first().copied().unwrap_or(0);
    let weights: Vec<usize> = (0..lowered.inits.len()).filter(|i| lowered.inits[*i].part == Part::Weight).collect();
    let hidden = weights.split_last().map_or(0, |(_, hidden)| hidden.iter().map(|i| units(*i)).sum());
    let inputs =
        lowered.graph.inputs().first().and_then(|(_, x)| lowered.graph.shape(*x).ok()).map_or(1, |s| s.row_len());
    NetSize { inputs, hidden }
}

/// Layers and sizes; values may be secret.
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = self.spec.layers.iter().map(LayerSpec::kind).collect();
        write!(
            f,
            "Network {:?} -> {:?} through {kinds:?}, {} parameters",
            self.spec.input,
            self.output,
            self.params.len()
        )
    }
}
