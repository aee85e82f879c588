//! What a training leaves, whatever kind it was.
use super::rows::Rows;
use super::settings::Settings;
use super::watch::Watch;
use crate::support::signals::Signals;
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_nn::fann::{Cascade, CascadeReport};
use mayfly_nn::{Control, FitReport, Loss, Network, Stopped, Trainer};

/// A trained network and how it came about.
pub(super) struct Outcome {
    pub(super) network: Network,
    pub(super) loss: Loss,
    pub(super) epochs: usize,
    /// Why it ended, and which was the best.
    pub(super) ended: String,
    pub(super) curve: Curve,
}

/// Losses over the training.
pub(super) struct Curve {
    /// What the horizontal axis counts.
    pub(super) unit: &'static str,
    pub(super) training: Vec<f64>,
    /// NaN where there was none.
    pub(super) validation: Vec<f64>,
    pub(super) best: usize,
}

/// Trains a network of fixed size; `range` is that of the targets.
pub(super) fn fit(settings: &Settings, rows: &mut Rows, range: [f32; 2], ui: Ui) -> Result<Outcome> {
    let network = settings.network(&rows.encoder, range)?;
    let count = rows.training.rows().map_or_else(|| usize::try_from(rows.encoder.training_rows()), Ok)?;
    let mut config = settings.config(&rows.encoder, count)?;
    config.class_weights = settings.class_weights(rows)?;
    rows.say_plan(Some(network.param_count()), config.algorithm.name(), ui);
    let (loss, epochs) = (config.loss.clone(), config.epochs);
    let mut trainer = Trainer::new(network, config)?;
    let held = if rows.validation.is_empty()? { None } else { Some(rows.validation.data()) };
    let mut watch = Watch::new(ui, epochs, count)?;
    let report = trainer.fit(rows.training.data(), held, &mut watch);
    watch.finish();
    let report = report?;
    Ok(Outcome {
        network: trainer.into_network(),
        loss,
        epochs: report.epochs.len(),
        ended: format!("{} (best: epoch {})", why(report.stopped), report.best_epoch),
        curve: epoch_curve(&report),
    })
}

fn why(stopped: Stopped) -> &'static str {
    match stopped {
        Stopped::Epochs => "all epochs run",
        Stopped::Patience => "no better for a while",
        Stopped::Reached => "aim reached",
        Stopped::Requested => "interrupted; the best network so far is kept",
    }
}

fn epoch_curve(report: &FitReport) -> Curve {
    Curve {
        unit: "epoch",
        training: report.epochs.iter().map(|e| e.train_loss).collect(),
        validation: report.epochs.iter().map(|e| e.validation_loss.unwrap_or(f64::NAN)).collect(),
        best: report.best_epoch as usize,
    }
}

/// Grows a network.
pub(super) fn grow(cascade: &Cascade, rows: &Rows, ui: Ui) -> Result<Outcome> {
    rows.say_plan(None, "cascade", ui);
    let (training, validation) = (rows.training.memory()?, rows.validation.memory()?);
    let held = (!validation.is_empty()).then_some(validation);
    let signals = Signals::listen()?;
    let mut reports: Vec<CascadeReport> = Vec::new();
    let grown = cascade.train(training, held, &mut |report| {
        ui.note(line(report));
        reports.push(report.clone());
        if signals.came() { Control::Stop } else { Control::Continue }
    })?;
    let ended = match reports.last() {
        _ if signals.came() => "interrupted; the best network so far is kept",
        Some(last) if last.neurons == cascade.max_neurons => "as many neurons as allowed",
        Some(last) if last.bit_fail == 0 => "every row learnt",
        _ => "no better for a while",
    };
    let best = grown.best.neurons;
    Ok(Outcome {
        network: grown.network,
        loss: Loss::Fann { error: cascade.error },
        epochs: grown.epochs,
        ended: format!("{ended} (best: {best} hidden neurons)"),
        curve: Curve {
            unit: "hidden neurons",
            training: reports.iter().map(|r| r.mse).collect(),
            validation: reports.iter().map(|r| r.validation_mse.unwrap_or(f64::NAN)).collect(),
            best,
        },
    })
}

fn line(report: &CascadeReport) -> String {
    let installed = report.installed.map(|a| format!(" (+ {a})")).unwrap_or_default();
    let held = report.validation_mse.map(|v| format!(", validation {v:.5}")).unwrap_or_default();
    let (neurons, mse, fails) = (report.neurons, report.mse, report.bit_fail);
    format!("{neurons} hidden neurons{installed}: error {mse:.5}{held}, {fails} outputs off")
}
