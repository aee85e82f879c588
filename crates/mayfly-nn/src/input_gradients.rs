//! What a change of a network's inputs does to its outputs.
use crate::error::{NnError, Result, expect_len};
use crate::network::Network;
use crate::spec::Mode;
use mayfly_graph::{Graph, Plan, PlanOptions, Session, Weights, input_gradient};
use std::fmt;
use std::sync::Arc;

/// Rows that are run at a time: unlike a prediction they keep what every layer gave.
const ROWS: usize = 32;
/// Where the graph has the network's outputs; behind them stand the gradients.
const Y: usize = 0;

/// The gradients of a network's outputs with respect to its inputs, as often as they are asked for: layers as in use (nothing dropped, running statistics),
/// parameters as they were when this was made.
///
/// ```
/// use mayfly_nn::{Activation, Network, NetworkSpec};
/// let spec = NetworkSpec::dense(2, &[], Activation::IDENTITY, 1, Activation::IDENTITY);
/// let network = Network::from_parts(spec, &[3.0, -2.0, 10.0], None)?; // y = 3·a − 2·b + 10
/// let gradients = network.input_gradients()?.run(&[1.0, 1.0], &[], &[1.0])?;
/// assert_eq!((gradients.y, gradients.x), (vec![11.0], vec![3.0, -2.0]));
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
pub struct InputGradients {
    network: Network,
    graph: Graph,
    /// The graph's output with the gradient of each input, the first input first; none for what the outputs do not depend on.
    places: Vec<Option<usize>>,
    weights: Arc<Weights>,
    /// Of whole batches, and of the last rows of what was asked for.
    sessions: Vec<Session>,
}

/// Outputs, and gradients of what they were weighed to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Gradients {
    /// `[rows, outputs]`
    pub y: Vec<f32>,
    /// Of the first input, `[rows, inputs]`.
    pub x: Vec<f32>,
    /// Of the further inputs by name, in the network's order.
    pub extras: Vec<(String, Vec<f32>)>,
}

impl Network {
    /// Its gradients with respect to its inputs.
    ///
    /// # Errors
    /// Inputs that are rows of an embedding's table, or a layer of the user's own without gradient.
    pub fn input_gradients(&self) -> Result<InputGradients> {
        if self.spec().input_ids().is_some() {
            let want = "inputs that name rows of a table have no gradient: a network of numbers is needed";
            return Err(NnError::option("inputs", "numbers of an embedding's rows", want));
        }
        let forward = self.spec().lower(Mode::Inference)?.graph;
        let Some((_, y)) = forward.outputs().first() else {
            return Err(NnError::option("outputs", 0, "a network has at least one"));
        };
        let graph = input_gradient(&forward, *y)?;
        let place = |name: &str| graph.outputs().iter().position(|(output, _)| output.strip_prefix("d_") == Some(name));
        let places = forward.inputs().iter().map(|(name, _)| place(name)).collect();
        let weights = Weights::new(&*Plan::new(&graph, &PlanOptions::batch(1))?, self.params())?;
        Ok(InputGradients { network: self.clone(), graph, places, weights, sessions: Vec::new() })
    }
}

impl InputGradients {
    /// For each row the gradients of `Σ dy·y` over its outputs: of one output with a single 1 in its row of `dy [rows, outputs]`. Further inputs by name, as for
    /// [`Network::predict_named`].
    ///
    /// # Errors
    /// Inputs as [`Network::predict_named`] refuses them, or another number of values in `dy`.
    pub fn run(&mut self, x: &[f32], extras: &[(&str, &[f32])], dy: &[f32]) -> Result<Gradients> {
        let rows = self.network.check_rows(x)?;
        let parts = self.network.in_order(rows, extras)?;
        expect_len("the weights of the outputs", rows * self.network.output_len(), dy.len())?;
        let all: Vec<(&[f32], usize)> = [(x, self.network.input_len())]
            .into_iter()
            .chain(parts.into_iter().zip(self.network.extra_inputs()).map(|(values, (_, len))| (values, *len)))
            .chain([(dy, self.network.output_len())])
            .collect();
        let mut y = Vec::with_capacity(dy.len());
        let places = self.places.clone();
        let mut gradients: Vec<Vec<f32>> = places.iter().map(|_| Vec::new()).collect();
        for start in (0..rows).step_by(ROWS) {
            let batch = (rows - start).min(ROWS);
            let session = self.session(batch)?;
            for (i, (values, len)) in all.iter().enumerate() {
                session.input_mut(i).copy_from_slice(&values[start * len..(start + batch) * len]);
            }
            session.run();
            y.extend_from_slice(session.output(Y));
            for ((gradient, place), (_, len)) in gradients.iter_mut().zip(&places).zip(&all) {
                match place {
                    Some(place) => gradient.extend_from_slice(session.output(*place)),
                    None => gradient.resize(gradient.len() + batch * len, 0.0),
                }
            }
        }
        let mut gradients = gradients.into_iter();
        let x = gradients.next().unwrap_or_default();
        let names = self.network.extra_inputs().iter().map(|(name, _)| name.clone());
        Ok(Gradients { y, x, extras: names.zip(gradients).collect() })
    }

    /// One for so many rows.
    fn session(&mut self, batch: usize) -> Result<&mut Session> {
        let known = self.sessions.iter().position(|session| session.plan().batch() == batch);
        let at = match known {
            Some(at) => at,
            None => {
                self.sessions.retain(|session| session.plan().batch() == ROWS);
                let plan = Plan::new(&self.graph, &PlanOptions::batch(batch))?;
                self.sessions.push(Session::with_weights(plan, self.weights.clone())?);
                self.sessions.len() - 1
            }
        };
        Ok(&mut self.sessions[at])
    }
}

/// Sizes only: values may be secret.
impl fmt::Debug for InputGradients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InputGradients of {:?}", self.network)
    }
}
