//! `mayfly forecast explain`.
use super::args::ExplainArgs;
use super::explain_weights;
use super::explain_words::{json, text};
use super::given::Given;
use super::heat;
use super::picture::name_of;
use super::words::as_flags;
use crate::support::exit::Usage;
use crate::support::input::Input;
use crate::support::output::{Files, Output, PICTURE, TABLE};
use crate::support::ui::{Ui, counted};
use anyhow::Result;
use mayfly_forecast::{ExplainMethod, ExplainOptions, Forecaster};

/// Explains, and says, writes and draws what came of it.
pub(super) fn run(args: &ExplainArgs, ui: Ui) -> Result<()> {
    let data = args.data.as_deref().map(|path| ("the data", path));
    let futr = args.futr.as_deref().map(|path| ("the table of --futr", path));
    let statics = args.statics.as_deref().map(|path| ("the table of --static", path));
    let tables = data.into_iter().chain(futr).chain(statics);
    let mut files = Files::reading([("the model", &*args.model)].into_iter().chain(tables))?;
    let output = args.output.as_deref().map(|path| files.writing("-o", path, TABLE)).transpose()?;
    let plot = args.plot.as_deref().map(|path| files.writing("--plot", path, PICTURE)).transpose()?;
    files.refuse_json(ui)?;
    check_options(args)?;
    let given = Given { data: args.data.as_deref(), futr: args.futr.as_deref(), statics: args.statics.as_deref() };
    if args.method == explain_weights::METHOD {
        return weights(args, &given, &files, output.as_ref(), ui);
    }
    let defaults = ExplainOptions::default();
    let options = ExplainOptions {
        method: ExplainMethod::by_name(&args.method).map_err(as_flags)?,
        models: args.models.clone(),
        series: args.ids.clone(),
        steps: args.steps.clone(),
        points: args.points,
        draws: args.draws.unwrap_or(defaults.draws),
        seed: args.seed.unwrap_or(defaults.seed),
    };
    let forecaster = Forecaster::load(&*Input::open(&args.model)?).map_err(as_flags)?;
    let frame = given.frame(&forecaster, &args.series, ui)?;
    let explanations = forecaster.explain(frame.as_ref(), &options).map_err(as_flags)?;
    if let Some(output) = &output {
        output.write(|out| Ok(explanations.write(out)?))?;
        ui.note(format!("{} written to {output}", counted(explanations.rows(), "row")));
    }
    if let Some(plot) = &plot {
        let picture = heat::draw(&explanations, &name_of(&args.model));
        plot.write(|out| Ok(out.write_all(picture.as_bytes())?))?;
        ui.note(format!("explanations drawn in {plot}"));
    }
    files.result(ui, &text(&explanations), &json(&explanations))
}

/// Refuses options that are of another method.
fn check_options(args: &ExplainArgs) -> Result<()> {
    let plain = args.method.to_lowercase().replace('-', "_");
    let given = [
        ("--points", args.points.is_some(), "integrated_gradients"),
        ("--draws", args.draws.is_some(), "permutation"),
        ("--seed", args.seed.is_some(), "permutation"),
        ("--steps", !args.steps.is_empty() && plain == explain_weights::METHOD, "the methods that explain forecasts"),
    ];
    match given.into_iter().find(|(_, given, of)| *given && plain != *of) {
        Some((name, _, of)) => {
            Err(Usage(format!("{name} is of {of}, and the method is {}: drop one of them", args.method)).into())
        }
        None => Ok(()),
    }
}

/// What networks say themselves.
fn weights(args: &ExplainArgs, given: &Given<'_>, files: &Files, output: Option<&Output>, ui: Ui) -> Result<()> {
    if args.plot.is_some() {
        return Err(Usage("--plot: weights are not drawn; -o writes them as a table".into()).into());
    }
    let forecaster = Forecaster::load(&*Input::open(&args.model)?).map_err(as_flags)?;
    let frame = given.frame(&forecaster, &args.series, ui)?;
    let weights = forecaster.input_weights(frame.as_ref(), &args.models, &args.ids).map_err(as_flags)?;
    if let Some(output) = output {
        output.write(|out| Ok(weights.write(out)?))?;
        ui.note(format!("{} written to {output}", counted(weights.rows(), "row")));
    }
    files.result(ui, &explain_weights::text(&weights), &explain_weights::json(&weights))
}
