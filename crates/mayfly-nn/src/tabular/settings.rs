//! What was asked for, and good choices for what was not.
use super::base::Base;
use super::options::TrainOptions;
use crate::activation::Activation;
use crate::algorithm::{AdamW, Algorithm};
use crate::error::{NnError, Result};
use crate::fann::Cascade;
use crate::layers::{Conv2d, Dense, Dropout, Flatten, Padding2d, Pool2d, Pooling, Reshape};
use crate::loss::Loss;
use crate::network::Network;
use crate::schedule::Schedule;
use crate::spec::NetworkSpec;
use crate::train::{BatchRows, StopAt, TrainConfig};
use mayfly_format::data::{Encoder, FitOptions, OpenOptions, Split, TargetEncoding};
use mayfly_graph::{Act, FannAct};

/// Share of the rows held out to stop in time, and to report on where there is no test file.
const VALIDATION: f64 = 0.1;
const TEST: f64 = 0.2;

/// A loss that falls by less than this share is no progress.
const MIN_DELTA: f64 = 1e-3;

/// Weight decay of the default algorithm. On tables of some thousand rows it beat less by far: with it R² on FANN's kin32fm is 0.89, without 0.58.
const WEIGHT_DECAY: f32 = 0.3;

/// Passes over the rows, unless something ends a training earlier.
const EPOCHS: usize = 300;

/// Epochs without improvement, where a validation set shows it.
const PATIENCE: usize = 30;

/// The name of the algorithm that makes its own network.
const CASCADE: &str = "cascade";

/// The choices of one training.
pub(super) struct Settings {
    pub(super) fit: FitOptions,
    /// How the training file is opened.
    pub(super) open: OpenOptions,
    pub(super) seed: u64,
    /// None for cascade training.
    algorithm: Option<Algorithm>,
    max_neurons: usize,
    hidden: Vec<usize>,
    conv: Vec<usize>,
    activation: Activation,
    output_activation: Option<Activation>,
    epochs: usize,
    batch: Option<BatchRows>,
    patience: Option<usize>,
    threads: usize,
    dropout: f32,
    schedule: Schedule,
    desired_error: Option<f64>,
    /// The network to go on with.
    pub(super) base: Option<Base>,
}

impl TrainOptions {
    /// Refuses options that make no sense or do not go together. No file is read.
    ///
    /// # Errors
    /// The first such option, by its name.
    pub fn check(&self) -> Result<()> {
        Settings::choose(self, None).map(drop)
    }
}

impl Settings {
    /// Chooses; `base` is the network of [`TrainOptions::from`].
    pub(super) fn choose(options: &TrainOptions, base: Option<Base>) -> Result<Settings> {
        refuse_for_base(options)?;
        let algorithm = algorithm(options)?;
        check_desired_error(options)?;
        let fann = algorithm.as_ref().is_none_or(Algorithm::is_fann);
        let seed = options.seed.or(base.as_ref().and_then(|b| b.seed)).unwrap_or(1);
        let patience = match options.patience {
            Some(0) => None,
            Some(n) => Some(n),
            None => (!fann).then_some(PATIENCE),
        };
        let hidden_default = if fann { Activation::fann(FannAct::SigmoidSymmetric) } else { Act::Relu.into() };
        Ok(Settings {
            fit: fit_options(options, seed, patience.is_some()),
            open: match &base {
                Some(base) => options.file.over(base.encoder.open_options()),
                None => open_options(options),
            },
            seed,
            hidden: hidden(options, fann),
            conv: options.conv.clone(),
            activation: options.activation.unwrap_or(hidden_default),
            output_activation: match &base {
                Some(base) => base.output_activation(),
                None => options.output_activation,
            },
            desired_error: options.desired_error,
            base,
            epochs: options.epochs.unwrap_or(EPOCHS),
            batch: options.batch.map(|n| if n == 0 { BatchRows::Full } else { BatchRows::Rows(n) }),
            patience,
            threads: options.threads,
            dropout: options.dropout.unwrap_or(0.0),
            schedule: schedule(options, fann)?,
            max_neurons: options.max_neurons.unwrap_or(30),
            algorithm,
        })
    }

    /// The algorithm's name.
    pub(super) fn algorithm(&self) -> &'static str {
        self.algorithm.as_ref().map_or(CASCADE, Algorithm::name)
    }

    /// Whether FANN would train it so.
    pub(super) fn is_fann(&self) -> bool {
        self.algorithm.as_ref().is_none_or(Algorithm::is_fann)
    }

    /// Whether the output activation depends on the range of the targets, which takes a pass over the rows.
    pub(super) fn needs_target_range(&self, encoder: &Encoder) -> bool {
        self.is_fann() && matches!(encoder.targets(), TargetEncoding::Numbers { .. })
    }

    /// The network for encoded rows: dense layers, and an output that goes with the target.
    pub(super) fn network(&self, encoder: &Encoder, range: [f32; 2]) -> Result<Network> {
        if let Some(base) = &self.base {
            return Ok(base.network.clone());
        }
        let mut spec = self.convolutions(NetworkSpec::new(&[encoder.input_width()]), encoder)?;
        for units in &self.hidden {
            spec = spec.with(Dense::new(*units, self.activation));
            if self.dropout > 0.0 {
                spec = spec.with(Dropout { p: self.dropout });
            }
        }
        let output = self.output_activation.unwrap_or_else(|| self.output_for(encoder, range));
        Network::new(spec.with(Dense::new(encoder.target_width(), output)), self.seed)
    }

    /// The rows become images again and go through convolutions.
    fn convolutions(&self, mut spec: NetworkSpec, encoder: &Encoder) -> Result<NetworkSpec> {
        if self.conv.is_empty() {
            return Ok(spec);
        }
        let image = match encoder.input_shape()[..] {
            [height, width] => vec![1, height, width],
            [channels, height, width] => vec![channels, height, width],
            _ => {
                let what = "needs images (IDX, or .npy of rows × height × width); this file has columns";
                return Err(NnError::misfit("conv", what));
            }
        };
        spec = spec.with(Reshape(image));
        for channels in &self.conv {
            let conv = Conv2d { pad: Padding2d::Same, ..Conv2d::new(*channels, [3, 3], self.activation) };
            spec = spec.with(conv).with(Pool2d::new(Pooling::Max, [2, 2]));
        }
        Ok(spec.with(Flatten {}))
    }

    fn output_for(&self, encoder: &Encoder, range: [f32; 2]) -> Activation {
        let fann = self.is_fann();
        let within = |low: f32| range[0] >= low && range[1] <= 1.0;
        match encoder.targets() {
            // FANN's tanh error function wants outputs that are as bounded as the targets.
            TargetEncoding::Numbers { .. } if fann && within(0.0) => Activation::fann(FannAct::Sigmoid),
            TargetEncoding::Numbers { .. } if fann && within(-1.0) => Activation::fann(FannAct::SigmoidSymmetric),
            TargetEncoding::Numbers { .. } => Activation::IDENTITY,
            TargetEncoding::BinaryColumn { low, .. } if *low < 0.0 => Activation::fann(FannAct::SigmoidSymmetric),
            _ if fann => Activation::fann(FannAct::Sigmoid),
            TargetEncoding::BinaryColumn { .. } => Act::Sigmoid.into(),
            _ => Activation::Softmax,
        }
    }

    /// How a network grows, where that is asked for.
    pub(super) fn cascade(&self, encoder: &Encoder, range: [f32; 2]) -> Cascade {
        let defaults = Cascade::default();
        // Classes are learnt when every output is on its side; there is no such mark for numbers.
        let learnt = (!encoder.labels().is_empty()).then_some(StopAt::BitFail { limit: 0.35, fails: 0 });
        let stop = self.desired_error.map(StopAt::Mse).or(learnt);
        Cascade {
            max_neurons: self.max_neurons,
            output: self.output_activation.unwrap_or_else(|| self.output_for(encoder, range)),
            stop,
            patience: self.patience.unwrap_or(defaults.patience),
            seed: self.seed,
            ..defaults
        }
    }

    /// How a network of fixed size is trained on so many rows; none when it grows.
    pub(super) fn config(&self, encoder: &Encoder, rows: usize) -> Option<TrainConfig> {
        let algorithm = self.algorithm.clone()?;
        let fann = algorithm.is_fann();
        let mut config = TrainConfig::new(algorithm);
        if !fann {
            config.loss = self.loss_for(encoder);
            config.batch = BatchRows::Rows(rows.div_ceil(50).clamp(8, 64));
            config.min_delta = MIN_DELTA;
        }
        config.batch = self.batch.unwrap_or(config.batch);
        config.epochs = self.epochs;
        config.stop = self.desired_error.map(StopAt::Mse);
        config.schedule = self.schedule.clone();
        config.seed = self.seed;
        config.threads = self.threads;
        config.patience = self.patience;
        Some(config)
    }

    fn loss_for(&self, encoder: &Encoder) -> Loss {
        match self.output_activation.unwrap_or_else(|| self.output_for(encoder, [0.0; 2])) {
            Activation::Softmax => Loss::CrossEntropy { smoothing: 0.0 },
            Activation::Act(Act::Sigmoid) if !encoder.labels().is_empty() => Loss::BinaryCrossEntropy,
            _ => Loss::Mse,
        }
    }
}

/// Refuses the first option that was given.
pub(super) fn refuse(given: &[(&'static str, bool)], what: &str) -> Result<()> {
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(NnError::misfit(option, what)),
        None => Ok(()),
    }
}

/// Options that say what a stored network has settled.
fn refuse_for_base(options: &TrainOptions) -> Result<()> {
    if options.from.is_none() {
        return Ok(());
    }
    let given = [
        ("target", !options.target.is_empty()),
        ("ignore", !options.ignore.is_empty()),
        ("task", options.task.is_some()),
        ("id", !options.id.is_empty()),
        ("kinds", !options.kinds.is_empty()),
        ("hidden", options.hidden.is_some()),
        ("conv", !options.conv.is_empty()),
        ("activation", options.activation.is_some()),
        ("output_activation", options.output_activation.is_some()),
        ("dropout", options.dropout.is_some()),
        ("max_neurons", options.max_neurons.is_some()),
    ];
    let because = "does not go with `from`: the stored network has its columns and layers already";
    refuse(&given, because)?;
    refuse(&[("algorithm", options.algorithm.as_deref() == Some(CASCADE))], &format!("{CASCADE} {because}"))
}

/// Options that say how a network of fixed size is trained.
fn refuse_for_cascade(options: &TrainOptions) -> Result<()> {
    let given = [
        ("hidden", options.hidden.is_some()),
        ("conv", !options.conv.is_empty()),
        ("activation", options.activation.is_some()),
        ("epochs", options.epochs.is_some()),
        ("batch", options.batch.is_some()),
        ("lr", options.lr.is_some()),
        ("schedule", options.schedule.is_some()),
        ("weight_decay", options.weight_decay.is_some()),
        ("dropout", options.dropout.is_some()),
        ("class_weights", options.class_weights.is_some()),
    ];
    refuse(&given, "does not go with `algorithm` cascade: the network grows by itself, up to `max_neurons`")
}

fn check_desired_error(options: &TrainOptions) -> Result<()> {
    match options.desired_error {
        Some(error) if !(error >= 0.0 && error.is_finite()) => {
            Err(NnError::misfit("desired_error", format!("cannot be {error}: 0 or more is wanted")))
        }
        _ => Ok(()),
    }
}

/// The algorithm with its settings; none for cascade training, which has a network of its own.
fn algorithm(options: &TrainOptions) -> Result<Option<Algorithm>> {
    if options.algorithm.as_deref() == Some(CASCADE) {
        refuse_for_cascade(options)?;
        return Ok(None);
    }
    let what = "goes with `algorithm` cascade; other networks have the size that `hidden` says";
    refuse(&[("max_neurons", options.max_neurons.is_some())], what)?;
    fixed_algorithm(options).map(Some)
}

fn fixed_algorithm(options: &TrainOptions) -> Result<Algorithm> {
    let algorithm = match options.algorithm.as_deref() {
        None | Some("adamw") => Algorithm::AdamW(AdamW { weight_decay: WEIGHT_DECAY, ..AdamW::default() }),
        Some(name) => named(name)?,
    };
    let algorithm = match options.lr {
        Some(lr) => algorithm
            .with_learning_rate(lr)
            .map_err(|error| NnError::misfit("lr", format!("{lr} cannot be used: {error}")))?,
        None => algorithm,
    };
    match (algorithm, options.weight_decay) {
        (algorithm, None) => Ok(algorithm),
        (Algorithm::AdamW(adamw), Some(weight_decay)) => Ok(Algorithm::AdamW(AdamW { weight_decay, ..adamw })),
        (other, Some(_)) => {
            Err(NnError::misfit("weight_decay", format!("goes with `algorithm` adamw, not {}", other.name())))
        }
    }
}

/// An algorithm by its name; of one that there is not, all names are told.
fn named(name: &str) -> Result<Algorithm> {
    Algorithm::by_name(name).map_err(|error| match error {
        NnError::UnknownName { kind, name, mut known } => {
            known.push(CASCADE.to_owned());
            NnError::UnknownName { kind, name, known }
        }
        other => other,
    })
}

fn schedule(options: &TrainOptions, fann: bool) -> Result<Schedule> {
    match &options.schedule {
        Some(schedule) if fann && *schedule != Schedule::Constant => {
            let what = "does not go with FANN's algorithms, which choose their steps by themselves";
            Err(NnError::misfit("schedule", what))
        }
        Some(schedule) => Ok(schedule.clone()),
        None if fann => Ok(Schedule::Constant),
        None => Schedule::by_name("plateau"),
    }
}

fn hidden(options: &TrainOptions, fann: bool) -> Vec<usize> {
    match &options.hidden {
        Some(sizes) => sizes.iter().copied().filter(|n| *n > 0).collect(),
        None if fann => vec![32],
        None => vec![64, 32],
    }
}

fn open_options(options: &TrainOptions) -> OpenOptions {
    let mut open = options.file.over(OpenOptions::default());
    open.ignore = options.ignore.iter().chain(&options.id).chain(left_out(options)).cloned().collect();
    let kinds = options.kinds.iter().filter_map(|(column, used)| Some((column.clone(), used.kind()?)));
    open.kinds = kinds.collect();
    open
}

/// Columns whose kind says that they are left out.
fn left_out(options: &TrainOptions) -> impl Iterator<Item = &String> {
    options.kinds.iter().filter(|(_, used)| used.kind().is_none()).map(|(column, _)| column)
}

fn fit_options(options: &TrainOptions, seed: u64, early_stopping: bool) -> FitOptions {
    let validation_fraction = if early_stopping { VALIDATION } else { 0.0 };
    let test_fraction = if options.test.is_some() { 0.0 } else { TEST };
    FitOptions {
        targets: options.target.clone(),
        ignore: options.ignore.iter().chain(left_out(options)).cloned().collect(),
        identifiers: options.id.clone(),
        positive: options.positive.clone(),
        task: options.task,
        missing: options.missing,
        split: Split { seed, validation_fraction, test_fraction },
        ..FitOptions::default()
    }
}
