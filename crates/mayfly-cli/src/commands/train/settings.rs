//! What was asked for, and good choices for what was not.
use super::args::{ScheduleName, Task, TrainArgs};
use super::from::Base;
use super::rows::Rows;
use super::weights::class_weights;
use anyhow::{Context, Result, bail};
use mayfly_format::data::{ColumnKind, Encoder, FitOptions, OpenOptions, Split, TargetEncoding, Task as FitTask};
use mayfly_nn::fann::Cascade;
use mayfly_nn::{
    Act, Activation, AdamW, Algorithm, BatchRows, Conv2d, Dense, Dropout, FannAct, Flatten, Loss, Network, NetworkSpec,
    Padding2d, Pool2d, Pooling, Reshape, Schedule, StopAt, TrainConfig,
};

/// Share of the rows held out to stop in time, and to report on where there is no test file.
const VALIDATION: f64 = 0.1;
const TEST: f64 = 0.2;

/// A loss that falls by less than this share is no progress.
const MIN_DELTA: f64 = 1e-3;

/// Weight decay of the default algorithm. On tables of some thousand rows it beat less by far: with it R² on FANN's kin32fm is 0.89, without 0.58.
const WEIGHT_DECAY: f32 = 0.3;

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
    class_weights: Option<String>,
    /// The network to go on with.
    pub(super) base: Option<Base>,
}

impl Settings {
    pub(super) fn choose(args: &TrainArgs) -> Result<Settings> {
        let base = Base::read(args)?;
        let algorithm = algorithm(args)?;
        check_desired_error(args)?;
        let fann = algorithm.as_ref().is_none_or(Algorithm::is_fann);
        let seed = args.seed.or(base.as_ref().and_then(|b| b.seed)).unwrap_or(1);
        let patience = match args.patience {
            Some(0) => None,
            Some(n) => Some(n),
            None => (!fann).then_some(30),
        };
        let hidden_default = if fann { FannAct::SigmoidSymmetric.into_activation() } else { Act::Relu.into() };
        Ok(Settings {
            fit: fit_options(args, seed, patience.is_some())?,
            open: match &base {
                Some(base) => args.files.over(base.encoder.open_options())?,
                None => open_options(args)?,
            },
            seed,
            hidden: hidden(args, fann),
            conv: args.conv.clone().unwrap_or_default(),
            activation: named(args.activation.as_deref())?.unwrap_or(hidden_default),
            output_activation: match &base {
                Some(base) => base.output_activation(),
                None => named(args.output_activation.as_deref())?,
            },
            desired_error: args.desired_error,
            class_weights: args.class_weights.clone(),
            base,
            epochs: args.epochs.unwrap_or(300),
            batch: args.batch.map(|n| if n == 0 { BatchRows::Full } else { BatchRows::Rows(n) }),
            patience,
            threads: args.threads.unwrap_or(0),
            dropout: args.dropout.unwrap_or(0.0),
            schedule: schedule(args, fann)?,
            max_neurons: args.max_neurons.unwrap_or(30),
            algorithm,
        })
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
        Ok(Network::new(spec.with(Dense::new(encoder.target_width(), output)), self.seed)?)
    }

    /// What `--conv` asks for: the rows become images again and go through convolutions.
    fn convolutions(&self, mut spec: NetworkSpec, encoder: &Encoder) -> Result<NetworkSpec> {
        if self.conv.is_empty() {
            return Ok(spec);
        }
        let image = match encoder.input_shape()[..] {
            [height, width] => vec![1, height, width],
            [channels, height, width] => vec![channels, height, width],
            _ => bail!("--conv needs images (IDX, or .npy of rows × height × width); this file has columns"),
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
            TargetEncoding::Numbers { .. } if fann && within(0.0) => FannAct::Sigmoid.into_activation(),
            TargetEncoding::Numbers { .. } if fann && within(-1.0) => FannAct::SigmoidSymmetric.into_activation(),
            TargetEncoding::Numbers { .. } => Activation::IDENTITY,
            TargetEncoding::BinaryColumn { low, .. } if *low < 0.0 => FannAct::SigmoidSymmetric.into_activation(),
            _ if fann => FannAct::Sigmoid.into_activation(),
            TargetEncoding::BinaryColumn { .. } => Act::Sigmoid.into(),
            _ => Activation::Softmax,
        }
    }

    /// How the network grows, if it does; none when its size is fixed.
    pub(super) fn cascade(&self, encoder: &Encoder, range: [f32; 2]) -> Option<Cascade> {
        if self.algorithm.is_some() {
            return None;
        }
        let defaults = Cascade::default();
        // Classes are learnt when every output is on its side; there is no such mark for numbers.
        let learnt = (!encoder.labels().is_empty()).then_some(StopAt::BitFail { limit: 0.35, fails: 0 });
        let stop = self.desired_error.map(StopAt::Mse).or(learnt);
        Some(Cascade {
            max_neurons: self.max_neurons,
            output: self.output_activation.unwrap_or_else(|| self.output_for(encoder, range)),
            stop,
            patience: self.patience.unwrap_or(defaults.patience),
            seed: self.seed,
            ..defaults
        })
    }

    pub(super) fn config(&self, encoder: &Encoder, rows: usize) -> Result<TrainConfig> {
        let algorithm = self.algorithm.clone().context("cascade training has no settings of this kind")?;
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
        Ok(config)
    }

    /// The weights of the classes, if there are some.
    pub(super) fn class_weights(&self, rows: &mut Rows) -> Result<Option<Vec<f32>>> {
        self.class_weights.as_deref().map(|text| class_weights(text, rows)).transpose()
    }

    fn loss_for(&self, encoder: &Encoder) -> Loss {
        match self.output_activation.unwrap_or_else(|| self.output_for(encoder, [0.0; 2])) {
            Activation::Softmax => Loss::CrossEntropy { smoothing: 0.0 },
            Activation::Act(Act::Sigmoid) if !encoder.labels().is_empty() => Loss::BinaryCrossEntropy,
            _ => Loss::Mse,
        }
    }
}

fn check_desired_error(args: &TrainArgs) -> Result<()> {
    match args.desired_error {
        Some(error) if !(error >= 0.0 && error.is_finite()) => bail!("--desired-error {error}: 0 or more is wanted"),
        _ => Ok(()),
    }
}

/// FANN's functions with FANN's default steepness.
trait IntoActivation {
    fn into_activation(self) -> Activation;
}

impl IntoActivation for FannAct {
    fn into_activation(self) -> Activation {
        Activation::fann(self)
    }
}

/// The algorithm with its settings; none for cascade training, which has a network of its own.
fn algorithm(args: &TrainArgs) -> Result<Option<Algorithm>> {
    if args.algorithm.as_deref() == Some("cascade") {
        refuse_for_cascade(args)?;
        return Ok(None);
    }
    if args.max_neurons.is_some() {
        bail!("--max-neurons goes with --algorithm cascade; other networks have the size that --hidden says");
    }
    fixed_algorithm(args).map(Some)
}

/// Options that say how a network of fixed size is trained.
fn refuse_for_cascade(args: &TrainArgs) -> Result<()> {
    let given = [
        ("--hidden", args.hidden.is_some()),
        ("--conv", args.conv.is_some()),
        ("--activation", args.activation.is_some()),
        ("--epochs", args.epochs.is_some()),
        ("--batch", args.batch.is_some()),
        ("--lr", args.lr.is_some()),
        ("--schedule", args.schedule.is_some()),
        ("--weight-decay", args.weight_decay.is_some()),
        ("--dropout", args.dropout.is_some()),
        ("--class-weights", args.class_weights.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => {
            bail!("{name} does not go with --algorithm cascade: the network grows by itself, up to --max-neurons")
        }
        None => Ok(()),
    }
}

fn fixed_algorithm(args: &TrainArgs) -> Result<Algorithm> {
    let algorithm = match args.algorithm.as_deref() {
        None | Some("adamw") => Algorithm::AdamW(AdamW { weight_decay: WEIGHT_DECAY, ..AdamW::default() }),
        Some(name) => Algorithm::by_name(name).context("--algorithm")?,
    };
    let algorithm = match args.lr {
        Some(lr) => algorithm.with_learning_rate(lr).context("--lr")?,
        None => algorithm,
    };
    match (algorithm, args.weight_decay) {
        (algorithm, None) => Ok(algorithm),
        (Algorithm::AdamW(mut o), Some(decay)) => {
            o.weight_decay = decay;
            Ok(Algorithm::AdamW(o))
        }
        (other, Some(_)) => bail!("--weight-decay goes with --algorithm adamw, not {}", other.name()),
    }
}

fn schedule(args: &TrainArgs, fann: bool) -> Result<Schedule> {
    if fann && args.schedule.is_some_and(|s| s != ScheduleName::Constant) {
        bail!("--schedule does not go with FANN's algorithms, which choose their steps by themselves");
    }
    let default = if fann { ScheduleName::Constant } else { ScheduleName::Plateau };
    Ok(match args.schedule.unwrap_or(default) {
        ScheduleName::Constant => Schedule::Constant,
        ScheduleName::Plateau => Schedule::Plateau { factor: 1.0 / 3.0, patience: 8 },
        ScheduleName::Cosine => Schedule::Cosine { warmup: 0.0, floor: 0.0 },
        ScheduleName::OneCycle => Schedule::OneCycle { rise: 0.3, start: 0.04, end: 1e-3 },
    })
}

fn hidden(args: &TrainArgs, fann: bool) -> Vec<usize> {
    match &args.hidden {
        Some(sizes) => sizes.iter().copied().filter(|n| *n > 0).collect(),
        None if fann => vec![32],
        None => vec![64, 32],
    }
}

fn named(name: Option<&str>) -> Result<Option<Activation>> {
    name.map(|n| n.parse::<Activation>().with_context(|| format!("the activation {n:?}"))).transpose()
}

fn open_options(args: &TrainArgs) -> Result<OpenOptions> {
    let mut options = args.files.over(OpenOptions::default())?;
    options.ignore = args.ignore.iter().chain(&args.id).cloned().collect();
    for (column, kind) in kinds(args)? {
        match kind {
            Some(kind) => drop(options.kinds.insert(column, kind)),
            None => options.ignore.push(column),
        }
    }
    Ok(options)
}

/// What `--kinds` says; none for a column that is to be ignored.
fn kinds(args: &TrainArgs) -> Result<Vec<(String, Option<ColumnKind>)>> {
    let kind = |text: &String| {
        let (column, kind) =
            text.rsplit_once('=').with_context(|| format!("--kinds {text:?}: expected COLUMN=KIND"))?;
        let kind = match kind.trim().to_ascii_lowercase().as_str() {
            "number" | "numeric" => Some(ColumnKind::Numeric),
            "category" | "categorical" | "class" => Some(ColumnKind::Categorical),
            "date" | "text" => Some(ColumnKind::Text),
            "ignore" => None,
            other => bail!("--kinds {text:?}: {other:?} is no kind; there are number, category, date and ignore"),
        };
        Ok((column.to_owned(), kind))
    };
    args.kinds.iter().map(kind).collect()
}

fn fit_options(args: &TrainArgs, seed: u64, early_stopping: bool) -> Result<FitOptions> {
    let mut fit = FitOptions::default();
    fit.targets = args.target.clone();
    fit.ignore = args.ignore.clone();
    fit.ignore.extend(kinds(args)?.into_iter().filter(|(_, kind)| kind.is_none()).map(|(column, _)| column));
    fit.identifiers = args.id.clone();
    fit.positive = args.positive.clone();
    fit.task = match args.task.unwrap_or_default() {
        Task::Auto => None,
        Task::Classify => Some(FitTask::Classify),
        Task::Regress => Some(FitTask::Regress),
    };
    fit.missing = args.files.policy()?.unwrap_or_default();
    let validation_fraction = if early_stopping { VALIDATION } else { 0.0 };
    let test_fraction = if args.test.is_some() { 0.0 } else { TEST };
    fit.split = Split { seed, validation_fraction, test_fraction };
    Ok(fit)
}
