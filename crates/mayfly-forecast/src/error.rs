//! What can go wrong between a table of series and a forecast.
use crate::names::nearest;
use mayfly_format::FormatError;
use mayfly_graph::GraphError;
use mayfly_nn::NnError;

/// The result of everything in this crate that can fail.
pub type Result<T, E = ForecastError> = std::result::Result<T, E>;

/// Everything this crate refuses, with the numbers that prove it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForecastError {
    /// A file could not be read or written.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A network could not be made, trained or run.
    #[error(transparent)]
    Nn(#[from] NnError),
    /// A training ended without a model.
    #[error("{model}: {source}")]
    Training {
        /// The model.
        model: String,
        /// Why.
        source: NnError,
    },
    /// An operation does not fit.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A setting that makes no sense.
    #[error("{option} is {got}; {want}")]
    Option {
        /// The setting.
        option: String,
        /// Its value.
        got: String,
        /// What would be right.
        want: String,
    },
    /// A name that means nothing.
    #[error("no {kind} is called {name:?}; {near}")]
    UnknownName {
        /// family, setting, loss, scaler …
        kind: &'static str,
        /// The name.
        name: String,
        /// The nearest name, and all there are.
        near: String,
    },
    /// A file without a column that is needed.
    #[error("{file} has no column {column:?} for the {role}; it has {}{}", some(known), another(option))]
    NoColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// What it would be: series, time, values.
        role: &'static str,
        /// The columns there are.
        known: Vec<String>,
        /// The option that names it; empty where none does, as the models were trained with it.
        option: &'static str,
    },
    /// A cell that is no time or no value.
    #[error("{file}, {at}: {what}")]
    Cell {
        /// The file.
        file: String,
        /// Line or row, and column.
        at: String,
        /// What is there, and what would be right.
        what: String,
    },
    /// Rows of one series with the same time.
    #[error("series {id:?} has {count} rows at {ds}; say what to do with --duplicates sum, mean or last")]
    Duplicate {
        /// The series.
        id: String,
        /// The time.
        ds: String,
        /// How many rows.
        count: usize,
    },
    /// Times or values that are missing.
    #[error(
        "series {id:?} has no value at {ds}; {missing} values are missing in {series} series: say what to do with --fill mask, linear, forward or zero"
    )]
    Gap {
        /// The first series with a gap.
        id: String,
        /// Its first missing time.
        ds: String,
        /// How many are missing.
        missing: u64,
        /// In how many series.
        series: usize,
    },
    /// Exogenous columns without a value.
    #[error("series {id:?} has no row at {ds}, where {columns} must be known")]
    NoExogenous {
        /// The series.
        id: String,
        /// The time.
        ds: String,
        /// The columns.
        columns: String,
    },
    /// A future of which the exogenous columns are not known.
    #[error(
        "series {id:?} has no row at {ds} for {columns}; {h} steps behind the last value are needed{}, {series} series lack some: give them with --futr FILE",
        whole_horizons(*h, *horizon)
    )]
    NoFuture {
        /// The first such series.
        id: String,
        /// Its first missing time.
        ds: String,
        /// The columns.
        columns: String,
        /// Steps that are needed.
        h: usize,
        /// Steps that the models forecast at a time.
        horizon: usize,
        /// How many series lack some.
        series: usize,
    },
    /// A time that the frequency never reaches.
    #[error("series {id:?}: {ds} is not on the grid of frequency {freq}, which goes {before}, {after}")]
    OffGrid {
        /// The series.
        id: String,
        /// The time.
        ds: String,
        /// The frequency.
        freq: String,
        /// The last time of the grid before it.
        before: String,
        /// The first after it.
        after: String,
    },
    /// Times from which no frequency follows, or two that differ.
    #[error("{what}")]
    Frequency {
        /// What was found, and what to do.
        what: String,
    },
    /// Series that are too short for what is asked.
    #[error(
        "series {id:?} has {len} values, {want} are needed {why}; {count} series are too short: leave them out with --skip-short"
    )]
    Short {
        /// The first of them.
        id: String,
        /// Its values.
        len: usize,
        /// Values needed.
        want: usize,
        /// For what.
        why: String,
        /// How many series are.
        count: usize,
    },
    /// Series that do not end together, for a model that forecasts all of them at once.
    #[error(
        "series {id:?} ends at {ds}, others at {last}: {series} series end earlier, and a multivariate model needs all of them up to one time; take what is missing for unknown with --align, leave these series out, or take a model that forecasts one series at a time"
    )]
    Apart {
        /// The first that ends early.
        id: String,
        /// When it does.
        ds: String,
        /// When others do.
        last: String,
        /// How many end early.
        series: usize,
    },
    /// A search without a result.
    #[error("no trial of {model} came to a result: {why}")]
    NoTrial {
        /// The model.
        model: String,
        /// Why the first failed.
        why: String,
    },
    /// A file of a forecaster whose parts do not belong together.
    #[error("{file}: {what}")]
    BadFile {
        /// The file.
        file: String,
        /// What is missing or does not fit.
        what: String,
    },
    /// Settings or figures that are no JSON.
    #[error("{what}: {source}")]
    Json {
        /// What was being read or written.
        what: String,
        /// The position and the reason.
        source: serde_json::Error,
    },
}

/// The first of many.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// How a column is named instead, if it can be.
fn another(option: &str) -> String {
    if option.is_empty() { String::new() } else { format!(": name another with {option}") }
}

/// Why more steps are needed than were asked for.
fn whole_horizons(h: usize, horizon: usize) -> String {
    if h > horizon { format!(" (models forecast {horizon} at a time)") } else { String::new() }
}

impl ForecastError {
    pub(crate) fn option(option: impl Into<String>, got: impl ToString, want: impl Into<String>) -> Self {
        Self::Option { option: option.into(), got: got.to_string(), want: want.into() }
    }

    pub(crate) fn unknown(kind: &'static str, name: &str, known: &[&str]) -> Self {
        Self::UnknownName { kind, name: name.to_owned(), near: nearest(name, known) }
    }
}
