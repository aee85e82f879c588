//! What a person is told of a training, before and after.
use crate::support::data::reading_line;
use crate::support::metrics::over;
use crate::support::plot::{Chart, Line};
use crate::support::ui::{Ui, grouped};
use mayfly_nn::tabular::{Course, Growth, Opened, TrainOptions, Trained, Training};
use mayfly_nn::{FitReport, NnError, Stopped};
use std::path::Path;

/// An error of the library, with the options that it names as they are written on the command line: `max_neurons` becomes --max-neurons.
pub fn as_flags(error: NnError) -> anyhow::Error {
    match error {
        NnError::Misfit { .. } => anyhow::Error::msg(flags(&error.to_string())),
        other => other.into(),
    }
}

fn flags(text: &str) -> String {
    let is_option = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let mut parts = text.split('`');
    let mut out = parts.next().unwrap_or_default().to_owned();
    // Every second part stands between backticks.
    while let Some(inside) = parts.next() {
        out += &if is_option(inside) { format!("--{}", inside.replace('_', "-")) } else { format!("`{inside}`") };
        out += parts.next().unwrap_or_default();
    }
    out
}

/// How the file is read, and what its columns are.
pub fn say_decisions(opened: &Opened, options: &TrainOptions, ui: Ui) {
    // A stored network has decided, and nothing was found out.
    if options.from.is_none() {
        let reading = opened.reading();
        let lines = reading_line(&reading).into_iter().chain(opened.encoder().decisions());
        lines.chain(reading.remarks).for_each(|line| ui.note(line));
    }
    if opened.is_small() {
        ui.note(format!("fewer than {} rows: all of them are trained on, none is held out", Opened::FEW_ROWS));
    }
}

/// What is about to be trained; a network that grows has no number of parameters yet.
pub(super) fn say_plan(training: &Training, options: &TrainOptions, ui: Ui) {
    if training.is_streamed() && !options.stream {
        ui.note("the rows do not fit into memory: they are read from the file in every epoch");
    }
    let encoder = training.encoder();
    let task = match encoder.labels() {
        [] => "numbers".to_string(),
        labels => format!("{} classes", labels.len()),
    };
    let parameters = training.network().map(|n| format!("{} parameters; ", grouped(n.param_count())));
    let inputs = match encoder.input_width() {
        1 => "1 input".to_owned(),
        n => format!("{n} inputs"),
    };
    ui.note(format!(
        "{} rows to train on{}; {inputs}, {task}; {}{}",
        training.rows().training.map(grouped).unwrap_or_default(),
        held_out(training),
        parameters.unwrap_or_default(),
        training.algorithm()
    ));
}

fn held_out(training: &Training) -> String {
    let rows = training.rows();
    let count = |rows: Option<usize>| rows.map(grouped).unwrap_or_default();
    match (rows.validation, rows.test) {
        _ if training.is_streamed() => ", read from the file in every epoch".to_string(),
        (Some(0), Some(0)) => ", none held out: figures are over the training rows".to_string(),
        (Some(0), test) => format!(", {} for testing", count(test)),
        (Some(n), Some(0)) => {
            format!(", {} held out for validation, none to test: figures are over the training rows", grouped(n))
        }
        (n, test) => format!(", {} held out for validation, {} for testing", count(n), count(test)),
    }
}

/// Why a training ended, and which network was the best.
pub(super) fn ended(course: &Course) -> String {
    match course {
        Course::Fitted(report) => {
            let why = match report.stopped {
                Stopped::Epochs => "all epochs run",
                Stopped::Patience => "no better for a while",
                Stopped::Reached => "aim reached",
                Stopped::Requested => INTERRUPTED,
            };
            format!("{why} (best: epoch {})", report.best_epoch)
        }
        Course::Grown(growth) => {
            let why = match growth.stopped {
                Stopped::Epochs => "as many neurons as allowed",
                Stopped::Patience => "no better for a while",
                Stopped::Reached if growth.reports.last().is_some_and(|last| last.bit_fail == 0) => "every row learnt",
                Stopped::Reached => "aim reached",
                Stopped::Requested => INTERRUPTED,
            };
            format!("{why} (best: {} hidden neurons)", growth.best.neurons)
        }
    }
}

const INTERRUPTED: &str = "interrupted; the best network so far is kept";

/// The losses over a training; NaN where there was none.
struct Curve {
    /// What the horizontal axis counts.
    unit: &'static str,
    training: Vec<f64>,
    validation: Vec<f64>,
    best: usize,
}

impl Curve {
    fn of_epochs(report: &FitReport) -> Curve {
        Curve {
            unit: "epoch",
            training: report.epochs.iter().map(|e| e.train_loss).collect(),
            validation: report.epochs.iter().map(|e| e.validation_loss.unwrap_or(f64::NAN)).collect(),
            best: report.best_epoch as usize,
        }
    }

    fn of_sizes(growth: &Growth) -> Curve {
        Curve {
            unit: "hidden neurons",
            training: growth.reports.iter().map(|r| r.mse).collect(),
            validation: growth.reports.iter().map(|r| r.validation_mse.unwrap_or(f64::NAN)).collect(),
            best: growth.best.neurons,
        }
    }
}

/// The curve of a training on `data`, ready to be drawn.
pub(super) fn chart(trained: &Trained, headline: &str, data: &Path) -> Chart {
    let Curve { unit, training, validation, best } = match &trained.course {
        Course::Fitted(report) => Curve::of_epochs(report),
        Course::Grown(growth) => Curve::of_sizes(growth),
    };
    let mut lines = vec![Line { label: "training".into(), values: training }];
    if validation.iter().any(|v| !v.is_nan()) {
        lines.push(Line { label: "validation".into(), values: validation });
    }
    let name = data.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Chart {
        title: format!("Training on {name}"),
        subtitle: format!("{}: {headline}", over(trained.measured.over)),
        x_label: unit.into(),
        y_label: "loss".into(),
        lines,
        mark: (best > 0).then(|| (best as f64, format!("best: {unit} {best}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::flags;

    #[test]
    fn options_are_named_as_they_are_written() {
        let text = "`max_neurons` goes with `algorithm` cascade, not with `a b` or `open";
        assert_eq!(flags(text), "--max-neurons goes with --algorithm cascade, not with `a b` or --open");
        assert_eq!(flags("nothing"), "nothing");
    }
}
