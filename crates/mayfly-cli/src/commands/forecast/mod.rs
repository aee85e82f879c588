//! `mayfly forecast`: series in, forecasts with intervals out. What is decided on the way, the library decides.
pub mod args;
mod auto;
mod cv;
mod explain;
mod explain_weights;
mod explain_words;
mod families;
mod given;
mod heat;
mod import;
mod info;
mod picture;
mod predict;
mod setup;
mod train;
mod update;
mod watch;
mod words;

use crate::support::ui::Ui;
use anyhow::Result;
use args::ForecastCommand;

pub use info::info;

/// Runs one of the commands.
pub fn run(command: ForecastCommand, ui: Ui) -> Result<()> {
    match command {
        ForecastCommand::Train(args) => train::run(&args, ui),
        ForecastCommand::Predict(args) => predict::run(&args, ui),
        ForecastCommand::Auto(args) => auto::run(&args, ui),
        ForecastCommand::Cv(args) => cv::run(&args, ui),
        ForecastCommand::Update(args) => update::run(&args, ui),
        ForecastCommand::Plot(args) => picture::run(&args, ui),
        ForecastCommand::Explain(args) => explain::run(&args, ui),
        ForecastCommand::Import { folder, output } => import::run(&folder, &output, ui),
        ForecastCommand::Models { name } => families::run(name.as_deref(), ui),
    }
}
