//! From a data file to a trained network.
use super::base::Base;
use super::options::TrainOptions;
use super::plan::Plan;
use super::rows::{Origin, Part, Rows, SMALL, is_small};
use super::settings::Settings;
use super::trained::{Course, Growth, Summary, Trained};
use super::weights::{class_counts, class_weights};
use crate::data::InMemory;
use crate::error::{NnError, Result};
use crate::fann::{Cascade, CascadeReport};
use crate::loss::Loss;
use crate::metrics::{Measured, Over, Tally};
use crate::model::Model;
use crate::network::Network;
use crate::train::{Control, EpochReport, Observer, TrainConfig, Trainer, mean_loss};
use mayfly_format::data::{Encoder, FitOptions, Reading, Source, Split, open};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Trains a network on the rows of a data file: what `mayfly train` does, with the same bits.
///
/// ```no_run
/// use mayfly_nn::tabular::{TrainOptions, train};
/// let trained = train("iris.csv", &TrainOptions::default())?;
/// println!("accuracy {:?}", trained.summary.scores.accuracy);
/// trained.save("iris.mayfly")?;
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
///
/// # Errors
/// Options that do not go together or with the data, files that cannot be read, data that makes no sense, and training that diverges.
pub fn train(path: impl AsRef<Path>, options: &TrainOptions) -> Result<Trained> {
    train_with(path, options, &mut ())
}

/// As [`train`], under the eyes of an observer, who may end it.
///
/// # Errors
/// As [`train`].
pub fn train_with(
    path: impl AsRef<Path>,
    options: &TrainOptions,
    observer: &mut dyn TrainingObserver,
) -> Result<Trained> {
    Opened::open(path, options)?.read()?.train(observer)
}

/// Watches a training from a file. A closure `FnMut(&EpochReport) -> Control` is one that hears of epochs; `()` does not look and lets it run.
pub trait TrainingObserver: Observer {
    /// In cascade training: after the outputs were trained, at every size.
    fn grown(&mut self, _report: &CascadeReport) -> Control {
        Control::Continue
    }
}

impl<F: FnMut(&EpochReport) -> Control> TrainingObserver for F {}
impl TrainingObserver for () {}

/// The first step of a training: a data file of which is known what its columns are, and what the options ask for.
pub struct Opened {
    path: PathBuf,
    options: TrainOptions,
    settings: Settings,
    source: Box<dyn Source>,
    encoder: Encoder,
    split: Split,
}

/// The second step: all that a training needs, of which nothing is learnt yet.
pub struct Training {
    settings: Settings,
    rows: Rows,
    way: Way,
}

/// A training taken apart, for whoever trains in a way of their own.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The network, and how it is trained.
    pub plan: Plan,
    /// The rows to learn from.
    pub training: InMemory,
    /// Which rows of the file these are, from 0.
    pub row_numbers: Vec<u64>,
    /// The rows to measure on; perhaps none.
    pub test: InMemory,
}

/// How a network comes about.
enum Way {
    Fit { network: Network, config: Box<TrainConfig> },
    Grow(Box<Cascade>),
}

/// How many rows there are for what, where that was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowCounts {
    /// To learn from.
    pub training: Option<usize>,
    /// To stop in time by.
    pub validation: Option<usize>,
    /// To measure on.
    pub test: Option<usize>,
}

impl Opened {
    /// With fewer rows than this none is held out.
    pub const FEW_ROWS: usize = SMALL;

    /// Opens a data file and finds out what its columns are, which takes one pass.
    ///
    /// # Errors
    /// As [`train`].
    pub fn open(path: impl AsRef<Path>, options: &TrainOptions) -> Result<Opened> {
        options.check()?;
        let path = path.as_ref();
        let base = options.from.as_deref().map(Base::read).transpose()?;
        let settings = Settings::choose(options, base)?;
        let mut source = open(path, &settings.open)?;
        let fit = match is_small(source.as_mut())? {
            true => FitOptions { split: Split { seed: settings.seed, ..Split::default() }, ..settings.fit.clone() },
            false => settings.fit.clone(),
        };
        let encoder = match &settings.base {
            Some(base) => {
                source = open(path, &settings.open)?;
                base.encoder.clone()
            }
            None => Encoder::fit(source.as_mut(), &fit)?,
        };
        Ok(Opened { path: path.to_owned(), options: options.clone(), settings, source, encoder, split: fit.split })
    }

    /// What was decided about the columns.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// How the file is read.
    pub fn reading(&self) -> Reading {
        self.source.reading()
    }

    /// Whether no rows are held out, because there are [so few](Opened::FEW_ROWS).
    pub fn is_small(&self) -> bool {
        self.split != self.settings.fit.split
    }

    /// Reads the rows and makes the network.
    ///
    /// # Errors
    /// As [`train`].
    pub fn read(self) -> Result<Training> {
        let Opened { path, options, settings, source, encoder, split } = self;
        let origin = Origin { path: &path, options: &options, settings: &settings, split };
        let mut rows = Rows::read(source, encoder, origin)?;
        let needs_range = settings.needs_target_range(&rows.encoder);
        let range = if needs_range { rows.training.target_range()? } else { [0.0; 2] };
        let way = Way::choose(&settings, &options, &mut rows, range)?;
        Ok(Training { settings, rows, way })
    }
}

impl Way {
    fn choose(settings: &Settings, options: &TrainOptions, rows: &mut Rows, range: [f32; 2]) -> Result<Way> {
        let Some(mut config) = settings.config(&rows.encoder, rows.an_epoch()) else {
            return Ok(Way::Grow(Box::new(settings.cascade(&rows.encoder, range))));
        };
        let network = settings.network(&rows.encoder, range)?;
        if let Some(wanted) = &options.class_weights {
            let labels = rows.encoder.labels().to_vec();
            config.class_weights = Some(class_weights(wanted, &labels, || class_counts(rows))?);
        }
        Ok(Way::Fit { network, config: Box::new(config) })
    }

    fn loss(&self) -> Loss {
        match self {
            Way::Fit { config, .. } => config.loss.clone(),
            Way::Grow(cascade) => Loss::Fann { error: cascade.error },
        }
    }
}

impl Training {
    /// What the columns are, and so how raw rows become inputs.
    pub fn encoder(&self) -> &Encoder {
        &self.rows.encoder
    }

    /// How many rows there are for what.
    pub fn rows(&self) -> RowCounts {
        let Rows { training, validation, test, .. } = &self.rows;
        RowCounts { training: training.rows(), validation: validation.rows(), test: test.rows() }
    }

    /// How many rows an epoch has; a guess where rows that stay in the file were not counted.
    pub fn epoch_rows(&self) -> usize {
        self.rows.an_epoch()
    }

    /// Whether rows are read from the file in every epoch: because it was asked for, or because they do not fit into memory.
    pub fn is_streamed(&self) -> bool {
        matches!(self.rows.training, Part::File(_))
    }

    /// The algorithm's name.
    pub fn algorithm(&self) -> &'static str {
        self.settings.algorithm()
    }

    /// The network before it has learnt anything; none when it is to grow.
    pub fn network(&self) -> Option<&Network> {
        match &self.way {
            Way::Fit { network, .. } => Some(network),
            Way::Grow(_) => None,
        }
    }

    /// Passes over the rows at most; none when the network is to grow.
    pub fn epochs(&self) -> Option<usize> {
        match &self.way {
            Way::Fit { config, .. } => Some(config.epochs),
            Way::Grow(_) => None,
        }
    }

    /// Takes it apart. Rows that were held out to stop in time are left out: [`TrainOptions::patience`] of 0 holds none out.
    ///
    /// # Errors
    /// A network that is to grow, and rows that stay in the file.
    pub fn into_parts(self) -> Result<Parts> {
        let Training { rows, way, .. } = self;
        let Way::Fit { network, config } = way else {
            return Err(NnError::misfit("algorithm", "cannot be cascade here: a network of fixed size is needed"));
        };
        let (training, test) = (rows.training.into_memory()?, rows.test.into_memory()?);
        let plan = Plan { network, config: *config, encoder: rows.encoder };
        Ok(Parts { plan, training, row_numbers: rows.numbers, test })
    }

    /// Trains, and measures what came of it.
    ///
    /// # Errors
    /// As [`train`].
    pub fn train(self, observer: &mut dyn TrainingObserver) -> Result<Trained> {
        let Training { settings, mut rows, way } = self;
        let start = Instant::now();
        let loss = way.loss();
        let (network, course) = match way {
            Way::Fit { network, config } => fit(network, *config, &mut rows, observer)?,
            Way::Grow(cascade) => grow(&cascade, &rows, observer)?,
        };
        let seconds = start.elapsed().as_secs_f64();
        let parameters = network.param_count();
        let model = Model::new(network);
        let test_loss = match rows.test.is_empty()? {
            true => f64::NAN,
            false => mean_loss(&model.network, &loss, rows.test.data())?,
        };
        let train_loss = mean_loss(&model.network, &loss, rows.training.data())?;
        let measured = measure(&model, &mut rows)?;
        let (scores, epochs, seed) = (measured.scores(), course.epochs(), settings.seed);
        let summary = Summary { scores, train_loss, test_loss, epochs, seconds, parameters, seed };
        Trained::new(model, rows.encoder, measured, summary, course)
    }
}

fn fit(
    network: Network,
    config: TrainConfig,
    rows: &mut Rows,
    observer: &mut dyn TrainingObserver,
) -> Result<(Network, Course)> {
    let mut trainer = Trainer::new(network, config)?;
    let held = if rows.validation.is_empty()? { None } else { Some(rows.validation.data()) };
    let report = trainer.fit(rows.training.data(), held, observer)?;
    Ok((trainer.into_network(), Course::Fitted(report)))
}

fn grow(cascade: &Cascade, rows: &Rows, observer: &mut dyn TrainingObserver) -> Result<(Network, Course)> {
    let (training, validation) = (rows.training.memory()?, rows.validation.memory()?);
    let held = (!validation.is_empty()).then_some(validation);
    let mut reports = Vec::new();
    let grown = cascade.train(training, held, &mut |report| {
        reports.push(report.clone());
        observer.grown(report)
    })?;
    let (network, growth) = Growth::new(grown, reports);
    Ok((network, Course::Grown(growth)))
}

/// Figures on the test rows; without any, on the training rows, and they are called so.
fn measure(model: &Model, rows: &mut Rows) -> Result<Measured> {
    let over = if rows.test.is_empty()? { Over::Training } else { Over::Test };
    let part = if over == Over::Test { &mut rows.test } else { &mut rows.training };
    let mut tally = Tally::new(&rows.encoder);
    part.each(|inputs, targets| {
        tally.add(&model.predict(inputs)?, targets);
        Ok(())
    })?;
    Ok(Measured::new(tally.finish(), &rows.encoder, over))
}
