//! A network as plain data, and its lowering to a graph.
use crate::activation::Activation;
use crate::error::{NnError, Result};
use crate::init::ParamInit;
use crate::layers::{Build, Dense, LayerSpec, Purpose};
use crate::loss::Loss;
use crate::lower::{attach_loss, inside, output_span};
use crate::registry::Registry;
use mayfly_graph::{Graph, NodeId, Shape};
use mayfly_kernels::FannSpan;
use serde::{Deserialize, Serialize};

/// A network: the shape of a row and the layers it goes through.
///
/// ```
/// use mayfly_nn::{Act, Activation, Dense, Dropout, NetworkSpec};
/// let spec = NetworkSpec::new(&[4]).with(Dense::new(16, Act::Relu)).with(Dropout { p: 0.1 }).with(Dense::new(3, Activation::Softmax));
/// assert_eq!(spec.output()?, [3]);
/// assert_eq!(spec.param_len()?, 4 * 16 + 16 + 16 * 3 + 3);
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// The shape of one row, at most three dimensions: `[features]`, `[time, features]`, `[channels, length]`, `[channels, height, width]`.
    pub input: Vec<usize>,
    /// Further inputs of a row, for layers that read them by name ([`LayerCx::input`](crate::LayerCx::input)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_inputs: Vec<ExtraInput>,
    /// The layers in order.
    pub layers: Vec<LayerSpec>,
}

/// An input of a network besides the first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraInput {
    /// What layers and data sets call it.
    pub name: String,
    /// The shape of one row.
    pub shape: Vec<usize>,
}

/// Names of inputs that have a meaning of their own in training graphs and data sets.
const RESERVED: [&str; 5] = ["x", "t", "w", "y", crate::data::WEIGHT];

/// What a graph is wanted for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Mode<'a> {
    /// To run: input `x`, output `y`.
    Inference,
    /// To measure: inputs `x`, `t` (targets), `w` (one weight a row); outputs `prediction` and `loss`, layers as in inference.
    Evaluation {
        /// The loss.
        loss: &'a Loss,
    },
    /// To learn: inputs and outputs as for evaluation; dropout drops and batch norm uses the batch's statistics.
    Training {
        /// The loss.
        loss: &'a Loss,
        /// Decides what is dropped.
        seed: u64,
    },
}

/// A network as a graph, with what training needs besides it.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The forward graph; its parameters are the network's, in the same order in every mode.
    pub graph: Graph,
    /// How each parameter starts.
    pub inits: Vec<ParamInit>,
    /// Parameters (by number) that follow a statistic of the batches, with the share of the way that they go in a step.
    pub momenta: Vec<(usize, f32)>,
    /// Each layer's place and output.
    pub taps: Vec<(String, NodeId)>,
    /// The scalar loss, unless the graph is for inference.
    pub loss: Option<NodeId>,
    /// How wide FANN takes the range of the output function to be.
    pub span: FannSpan,
    /// The activation of the outputs that the loss has inside, and the graph's prediction so has not been through.
    pub inside: Option<Activation>,
}

impl NetworkSpec {
    /// A network without layers on rows of the shape `input`.
    pub fn new(input: &[usize]) -> Self {
        NetworkSpec { input: input.to_vec(), extra_inputs: Vec::new(), layers: Vec::new() }
    }

    /// The same network with one more layer.
    #[must_use]
    pub fn with(mut self, layer: impl Into<LayerSpec>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// The same network with one more input of rows of the shape `shape`.
    #[must_use]
    pub fn with_input(mut self, name: impl Into<String>, shape: &[usize]) -> Self {
        self.extra_inputs.push(ExtraInput { name: name.into(), shape: shape.to_vec() });
        self
    }

    /// Dense layers: `inputs → hidden… → outputs`.
    pub fn dense(
        inputs: usize,
        hidden: &[usize],
        activation: Activation,
        outputs: usize,
        output_activation: Activation,
    ) -> Self {
        let spec =
            hidden.iter().fold(NetworkSpec::new(&[inputs]), |spec, units| spec.with(Dense::new(*units, activation)));
        spec.with(Dense::new(outputs, output_activation))
    }

    /// The network from JSON, as model files have it; layers of the user's own are looked up in `registry`.
    ///
    /// # Errors
    /// Text that is no network, or a layer that is not in the registry.
    pub fn from_json(json: &str, registry: &Registry) -> Result<Self> {
        let mut spec: NetworkSpec = serde_json::from_str(json)
            .map_err(|source| NnError::Json { what: "the description of the network", source })?;
        spec.bind(registry)?;
        Ok(spec)
    }

    /// Finds the code of layers of the user's own in a description that was read by other means than [`NetworkSpec::from_json`].
    ///
    /// # Errors
    /// A layer that is not in the registry.
    pub fn bind(&mut self, registry: &Registry) -> Result<()> {
        self.layers.iter_mut().try_for_each(|layer| layer.bind(registry))
    }

    /// The network as JSON.
    ///
    /// # Errors
    /// A layer of the user's own whose settings are no JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|source| NnError::Json { what: "the description of the network", source })
    }

    /// The graph for one use.
    ///
    /// # Errors
    /// Layers that do not fit together, or a loss that does not fit the outputs.
    pub fn lower(&self, mode: Mode<'_>) -> Result<Lowered> {
        let purpose = match mode {
            Mode::Training { seed, .. } => Purpose::Learn { seed },
            Mode::Inference | Mode::Evaluation { .. } => Purpose::Run,
        };
        let mut build = Build::new(purpose);
        let x = build.graph.input("x", Shape::batched(&self.input)?)?;
        self.add_extra_inputs(&mut build)?;
        let y = build.layers(&self.layers, x)?;
        let loss = match mode {
            Mode::Inference => {
                build.graph.output("y", y)?;
                None
            }
            Mode::Evaluation { loss } | Mode::Training { loss, .. } => Some(attach_loss(&mut build, y, loss)?),
        };
        let span = output_span(build.last_act, y);
        let inside = match mode {
            Mode::Inference => None,
            Mode::Evaluation { loss } | Mode::Training { loss, .. } => inside(&build, y, loss)?,
        };
        let Build { graph, inits, momenta, taps, .. } = build;
        Ok(Lowered { graph, inits, momenta, taps, loss, span, inside })
    }

    fn add_extra_inputs(&self, build: &mut Build) -> Result<()> {
        for ExtraInput { name, shape } in &self.extra_inputs {
            let is_taken = RESERVED.contains(&name.as_str()) || build.extras.iter().any(|(other, _)| other == name);
            if is_taken || name.is_empty() {
                return Err(NnError::option("name of an input", format!("{name:?}"), "it is taken; choose another"));
            }
            let id = build.graph.input(name, Shape::batched(shape)?)?;
            build.extras.push((name.clone(), id));
        }
        Ok(())
    }

    /// The shape of a row of outputs.
    ///
    /// # Errors
    /// Layers that do not fit together.
    pub fn output(&self) -> Result<Vec<usize>> {
        let graph = self.lower(Mode::Inference)?.graph;
        let shapes = graph.outputs().iter().map(|(_, id)| graph.shape(*id)).collect::<Result<Vec<_>, _>>()?;
        Ok(shapes.first().and_then(|s| s.dims().get(1..)).unwrap_or_default().to_vec())
    }

    /// Length of the flat parameter array.
    ///
    /// # Errors
    /// Layers that do not fit together.
    pub fn param_len(&self) -> Result<usize> {
        Ok(self.lower(Mode::Inference)?.graph.param_len())
    }

    /// The rows of the embedding table that the inputs are numbers of, when the first layer is one.
    pub(crate) fn input_ids(&self) -> Option<usize> {
        match self.layers.first() {
            Some(LayerSpec::Embedding(e)) => Some(e.rows),
            Some(LayerSpec::GraphSpec(g)) => g.input_ids(),
            _ => None,
        }
    }
}

impl LayerSpec {
    /// Finds the code of layers of the user's own, this one and those inside it.
    ///
    /// # Errors
    /// A layer that is not in the registry.
    pub fn bind(&mut self, registry: &Registry) -> Result<()> {
        match self {
            LayerSpec::Custom(custom) => custom.bind(registry),
            LayerSpec::Residual(residual) => residual.0.iter_mut().try_for_each(|layer| layer.bind(registry)),
            _ => Ok(()),
        }
    }
}
