//! Cascade2: networks that grow, one neuron at a time.
//!
//! A network begins with its inputs and outputs alone. Its output weights are trained until they stagnate; then a pool of candidate neurons, each
//! connected to everything there is, is trained to say what the outputs still lack; the best one is installed for good with its weights frozen, and
//! the outputs are trained again. After Fahlman and Lebiere, "The Cascade-Correlation Learning Architecture" (1990), in the form of FANN 2.2
//! (Nissen, "Large Scale Reinforcement Learning using Q-SARSA(λ) and Cascading Neural Networks", 2007): candidates differ in their
//! function and steepness, learn their output weights as well, and compete by the squared error they would leave.
mod candidates;
mod features;
mod outputs;

use crate::activation::Activation;
use crate::algorithm::{Algorithm, Rprop};
use crate::data::InMemory;
use crate::error::{Divergence, NnError, Result};
use crate::layers::Dense;
use crate::loss::FannError;
use crate::network::Network;
use crate::spec::NetworkSpec;
use crate::train::{Control, StopAt, Stopped};
use candidates::Pool;
use features::Features;
use mayfly_base::Rng;
use mayfly_graph::{Act, FannAct};
use outputs::Outputs;
use serde::Serialize;

/// Settings of cascade training; the defaults are FANN's.
#[derive(Clone, PartialEq, Debug)]
pub struct Cascade {
    /// Neurons that are installed at most.
    pub max_neurons: usize,
    /// How outputs and candidates are trained: RPROP, Quickprop or SARPROP.
    pub algorithm: Algorithm,
    /// FANN's error function.
    pub error: FannError,
    /// The activation of the outputs.
    pub output: Activation,
    /// Training ends when this is reached.
    pub stop: Option<StopAt>,
    /// With validation rows: training ends after this many neurons without a lower error on them.
    pub patience: usize,
    /// Decides how candidates start.
    pub seed: u64,
    /// What candidates may be; each is tried with each steepness.
    pub functions: Vec<FannAct>,
    /// Steepnesses that candidates may have.
    pub steepnesses: Vec<f32>,
    /// Candidates of each kind.
    pub groups: usize,
    /// When training the outputs ends.
    pub outputs: Stagnation,
    /// When training the candidates ends.
    pub candidates: Stagnation,
    /// A candidate whose score reaches this many times the error is good enough.
    pub candidate_limit: f32,
    /// Factor on a candidate's output weights when it is installed.
    pub weight_multiplier: f32,
}

/// When a part of cascade training ends: after `epochs` without a relative change of `change`, but within `min_epochs..=max_epochs`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stagnation {
    /// Relative change that counts as progress.
    pub change: f32,
    /// Epochs without progress.
    pub epochs: usize,
    /// Fewest epochs.
    pub min_epochs: usize,
    /// Most epochs.
    pub max_epochs: usize,
}

impl Default for Stagnation {
    fn default() -> Self {
        Stagnation { change: 0.01, epochs: 12, min_epochs: 50, max_epochs: 150 }
    }
}

impl Default for Cascade {
    fn default() -> Self {
        use FannAct::*;
        Cascade {
            max_neurons: 30,
            algorithm: Algorithm::Rprop(Rprop::default()),
            error: FannError::Tanh,
            output: Activation::fann(SigmoidSymmetric),
            stop: None,
            patience: 5,
            seed: 1,
            functions: vec![
                Sigmoid,
                SigmoidSymmetric,
                Gaussian,
                GaussianSymmetric,
                Elliot,
                ElliotSymmetric,
                SinSymmetric,
                CosSymmetric,
                Sin,
                Cos,
            ],
            steepnesses: vec![0.25, 0.5, 0.75, 1.0],
            groups: 2,
            outputs: Stagnation::default(),
            candidates: Stagnation::default(),
            candidate_limit: 1000.0,
            weight_multiplier: 0.4,
        }
    }
}

/// How things stand after the outputs were trained.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CascadeReport {
    /// Neurons installed so far.
    pub neurons: usize,
    /// Epochs so far, of outputs and of candidates.
    pub epochs: usize,
    /// FANN's mean square error of the training rows.
    pub mse: f64,
    /// Training outputs that are off by the limit or more.
    pub bit_fail: usize,
    /// FANN's mean square error of the validation rows.
    pub validation_mse: Option<f64>,
    /// The function of the neuron installed last.
    pub installed: Option<Activation>,
    /// Whether this is the best network so far: by the validation rows, or without such by the training rows.
    pub is_best: bool,
}

/// What cascade training leaves.
#[derive(Clone, Debug)]
pub struct Cascaded {
    /// The best network.
    pub network: Network,
    /// The report it was reported with.
    pub best: CascadeReport,
    /// Epochs over all.
    pub epochs: usize,
    /// Why it ended; [`Stopped::Epochs`] stands for as many neurons as allowed.
    pub stopped: Stopped,
}

/// A hidden neuron: its function, and its weights from inputs, bias and earlier neurons.
#[derive(Clone)]
struct Neuron {
    act: Act,
    weights: Vec<f32>,
}

impl Cascade {
    /// Grows a network on the rows of `train`, and hears the observer after every neuron.
    ///
    /// # Errors
    /// Settings out of range, data without rows, rows of different shape, and numbers that are not finite.
    pub fn train(
        &self,
        train: &InMemory,
        validation: Option<&InMemory>,
        observer: &mut dyn FnMut(&CascadeReport) -> Control,
    ) -> Result<Cascaded> {
        self.check()?;
        let mut growth = Growth::new(self, train, validation)?;
        loop {
            let report = growth.outputs_trained()?;
            let ended = self.ended(&growth, &report);
            let asked = (observer(&report) == Control::Stop).then_some(Stopped::Requested);
            if let Some(stopped) = asked.or(ended) {
                return growth.finish(stopped);
            }
            growth.install()?;
        }
    }

    /// Why a network does not grow any more, if so.
    fn ended(&self, growth: &Growth<'_>, report: &CascadeReport) -> Option<Stopped> {
        if self.stop.is_some_and(|stop| reached(stop, report)) {
            Some(Stopped::Reached)
        } else if growth.neurons.len() >= self.max_neurons {
            Some(Stopped::Epochs)
        } else if growth.since_best > self.patience && growth.validation.is_some() {
            Some(Stopped::Patience)
        } else {
            None
        }
    }

    fn check(&self) -> Result<()> {
        self.algorithm.check()?;
        let batch = matches!(self.algorithm, Algorithm::Rprop(_) | Algorithm::Quickprop(_) | Algorithm::Sarprop(_));
        if !batch {
            return Err(NnError::option(
                "algorithm",
                format!("{:?}", self.algorithm),
                "cascade training takes rprop, quickprop or sarprop",
            ));
        }
        self.output_act()?;
        if self.functions.is_empty() || self.steepnesses.is_empty() || self.groups == 0 {
            return Err(NnError::option("candidates", "none", "at least one function, steepness and group is needed"));
        }
        let bad = self.steepnesses.iter().find(|s| !(s.is_finite() && **s > 0.0));
        if let Some(bad) = bad {
            return Err(NnError::option("steepness", bad, "it must be a positive number"));
        }
        Ok(())
    }

    /// The function of the outputs and how wide FANN takes its range to be.
    fn output_act(&self) -> Result<Act> {
        match self.output {
            Activation::Act(act @ (Act::Fann(..) | Act::Identity | Act::Tanh | Act::Sigmoid)) => Ok(act),
            other => Err(NnError::option(
                "output activation",
                other,
                "cascade training takes FANN's functions, identity, tanh and sigmoid",
            )),
        }
    }
}

fn reached(stop: StopAt, report: &CascadeReport) -> bool {
    match stop {
        StopAt::Mse(mse) => report.mse <= mse,
        StopAt::BitFail { fails, .. } => report.bit_fail <= fails,
    }
}

/// A network on its way.
struct Growth<'a> {
    config: &'a Cascade,
    sizes: [usize; 2],
    features: Features,
    outputs: Outputs,
    validation: Option<(Features, Outputs)>,
    neurons: Vec<Neuron>,
    rng: Rng,
    epochs: usize,
    best: Option<(CascadeReport, Vec<f32>)>,
    since_best: usize,
}

impl<'a> Growth<'a> {
    fn new(config: &'a Cascade, train: &InMemory, validation: Option<&InMemory>) -> Result<Self> {
        let sizes = check_data("training", train, None)?;
        if let Some(data) = validation {
            check_data("validation", data, Some(sizes))?;
        }
        let room = |data: &InMemory| Features::new(data.inputs(), sizes[0], config.max_neurons);
        let outputs = |data: &InMemory| Outputs::new(config, data.targets(), sizes[1]);
        let mut rng = Rng::new(config.seed);
        let mut trained = outputs(train)?;
        trained.start(sizes[0] + 1, &mut rng);
        Ok(Growth {
            config,
            sizes,
            features: room(train),
            outputs: trained,
            validation: validation.map(|data| Ok::<_, NnError>((room(data), outputs(data)?))).transpose()?,
            neurons: Vec::new(),
            rng,
            epochs: 0,
            best: None,
            since_best: 0,
        })
    }

    /// Trains the outputs and says how things stand.
    fn outputs_trained(&mut self) -> Result<CascadeReport> {
        self.epochs += self.outputs.train(self.config, &self.features)?;
        let measure = self.outputs.measure;
        let validation_mse = self.validation.as_mut().map(|(features, outputs)| {
            outputs.take_weights(&self.outputs);
            outputs.forward(features);
            outputs.mse()
        });
        let mse = self.outputs.mse();
        let deciding = |report: &CascadeReport| report.validation_mse.unwrap_or(report.mse);
        let mut report = CascadeReport {
            neurons: self.neurons.len(),
            epochs: self.epochs,
            mse,
            bit_fail: measure.bit_fail,
            validation_mse,
            installed: self.neurons.last().map(|n| Activation::Act(n.act)),
            is_best: false,
        };
        if !mse.is_finite() {
            let cause = Divergence::Loss { value: mse as f32 };
            return Err(NnError::Diverged { epoch: self.epochs as u64, step: self.epochs as u64, cause });
        }
        // An error of the validation rows that is not finite is never the best; until one is finite, the newest network is kept.
        let (error, so_far) = (deciding(&report), self.best.as_ref().map(|(best, _)| deciding(best)));
        let open = so_far.is_none_or(|best| !best.is_finite());
        report.is_best = error.is_finite() && (open || so_far.is_some_and(|best| error < best));
        self.since_best = if report.is_best { 0 } else { self.since_best + 1 };
        if report.is_best || open {
            self.best = Some((report.clone(), self.outputs.weights().to_vec()));
        }
        Ok(report)
    }

    /// Trains candidates and installs the best.
    fn install(&mut self) -> Result<()> {
        let mut pool = Pool::new(self.config, &self.features, &self.outputs, &mut self.rng)?;
        self.epochs += pool.train(self.config, &self.features, &self.outputs)?;
        let (neuron, to_outputs) = pool.best();
        self.features.push(&neuron);
        if let Some((features, _)) = &mut self.validation {
            features.push(&neuron);
        }
        self.outputs.grow(&to_outputs, self.config.weight_multiplier);
        self.neurons.push(neuron);
        Ok(())
    }

    fn finish(self, stopped: Stopped) -> Result<Cascaded> {
        let Some((best, weights)) = self.best else { return Err(NnError::NoRows { what: "training" }) };
        let [inputs, outputs] = self.sizes;
        let mut spec = NetworkSpec::new(&[inputs]);
        let mut params = Vec::new();
        for neuron in &self.neurons[..best.neurons] {
            spec = spec.with(Dense::new(1, neuron.act).reading_all());
            flatten(&mut params, &neuron.weights, neuron.weights.len(), inputs);
        }
        spec = spec.with(Dense::new(outputs, self.config.output).reading_all());
        flatten(&mut params, &weights, inputs + 1 + best.neurons, inputs);
        Ok(Cascaded { network: Network::from_parts(spec, &params, None)?, best, epochs: self.epochs, stopped })
    }
}

/// Rows of weights with the bias at `bias` become a matrix without it, then the biases.
fn flatten(params: &mut Vec<f32>, rows: &[f32], width: usize, bias: usize) {
    for row in rows.chunks_exact(width) {
        params.extend(row.iter().enumerate().filter(|(i, _)| *i != bias).map(|(_, w)| w));
    }
    params.extend(rows.chunks_exact(width).map(|row| row[bias]));
}

/// Inputs and targets of a row, after checking that there are rows and that all values are numbers.
fn check_data(what: &'static str, data: &InMemory, want: Option<[usize; 2]>) -> Result<[usize; 2]> {
    if data.is_empty() {
        return Err(NnError::NoRows { what });
    }
    let sizes = [data.inputs().len() / data.len(), data.targets().len() / data.len()];
    if let Some(want) = want {
        for (i, kind) in ["inputs", "targets"].into_iter().enumerate() {
            if want[i] != sizes[i] {
                return Err(NnError::DataShape { what: kind, want: want[i], got: sizes[i] });
            }
        }
    }
    let odd = |values: &[f32], width: usize| {
        values.iter().position(|v| !v.is_finite()).map(|at| (at / width, at % width, values[at]))
    };
    let input = odd(data.inputs(), sizes[0]).map(|(row, column, value)| Divergence::Input { row, column, value });
    let cause = input.or_else(|| {
        odd(data.targets(), sizes[1]).map(|(row, column, value)| Divergence::Target { row, column, value })
    });
    match cause {
        Some(cause) => Err(NnError::Diverged { epoch: 0, step: 0, cause }),
        None => Ok(sizes),
    }
}
