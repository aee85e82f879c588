//! Where a training leaves its files. All of it is settled before the first epoch: hours of work end in no folder that is not there.
use super::args::TrainArgs;
use crate::commands::model::convert;
use crate::support::exit::Usage;
use crate::support::input::is_dash;
use crate::support::model::{Kind, Loaded};
use crate::support::output::{Extensions, Files, Output, PICTURE};
use crate::support::ui::Ui;
use anyhow::{Context, Result};
use mayfly_nn::tabular::{ModelKind, Predictor};
use mayfly_nn::{Model, Network};
use std::fs::File;
use std::path::{Path, PathBuf};

const MODEL: Extensions = Extensions::Only { what: "a model", are: &["mayfly", "safetensors", "net", "onnx"] };

/// The files of one training.
pub(super) struct Places {
    pub(super) files: Files,
    pub(super) model: Output,
    pub(super) plot: Option<Output>,
    kind: Kind,
}

impl Places {
    /// Looks at every file that the options name.
    pub(super) fn of(args: &TrainArgs) -> Result<Places> {
        let test = args.test.as_deref().map(|path| ("the data of --test", path));
        let config = args.config.as_deref().map(|path| ("the file of --config", path));
        let from = args.from.as_deref().map(|path| ("the model of --from", path));
        let mut files = Files::reading([("the data", &*args.data)].into_iter().chain(test).chain(config).chain(from))?;
        let path = match &args.output {
            Some(path) => path.clone(),
            None => default_model(&args.data)?,
        };
        let model = files.writing("-o", &path, MODEL)?;
        let plot = args.plot.as_deref().map(|path| files.writing("--plot", path, PICTURE)).transpose()?;
        let kind = Kind::of(&path).unwrap_or(Kind::Model(ModelKind::Native)); // of standard output and devices
        Ok(Places { files, model, plot, kind })
    }

    /// Whether the format of `-o` has words for such a network; asked before it learns anything.
    pub(super) fn check_format(&self, network: Network) -> Result<()> {
        let checked = convert::check_format(&Model::new(network), self.kind);
        checked.with_context(|| format!("-o {}: such a network has no place in that format", self.model))
    }

    /// Writes the model. Where that fails in the end, it is kept somewhere else: it may be the work of hours.
    pub(super) fn save(&self, predictor: Predictor, ui: Ui) -> Result<()> {
        let loaded = Loaded::from(predictor);
        let Err(error) = convert::write(&loaded, self.kind, &self.model, "model", ui) else { return Ok(()) };
        let native = self.model.path().with_extension("mayfly");
        let name = native.file_name().map(PathBuf::from).unwrap_or_default();
        let places = [native, name.clone(), std::env::temp_dir().join(name)];
        match places.iter().find(|path| save_new(&loaded.model, path).is_ok()) {
            Some(path) => Err(error.context(format!("the model is kept as {} instead", path.display()))),
            None => Err(error),
        }
    }
}

/// Saves where nothing is yet.
fn save_new(model: &Model, path: &Path) -> Result<()> {
    File::create_new(path)?;
    let saved = model.save(path);
    if saved.is_err() {
        let _ = std::fs::remove_file(path); // the empty one just made
    }
    Ok(saved?)
}

/// The data's name with the extension of a model, in the current folder.
fn default_model(data: &Path) -> Result<PathBuf> {
    if is_dash(data) {
        return Err(Usage("with data from standard input, say where the model goes: -o MODEL".into()).into());
    }
    let plain = if data.extension().is_some_and(|e| e == "gz") { data.with_extension("") } else { data.to_owned() };
    let mut name = plain.file_stem().unwrap_or("model".as_ref()).to_os_string();
    name.push(".mayfly");
    Ok(PathBuf::from(name))
}
