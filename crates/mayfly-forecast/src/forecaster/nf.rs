//! Models that NeuralForecast (3.3 or later) saved: a folder with settings as JSON and weights as safetensors.
use super::fit::{Forecaster, MOST, State};
use super::fitted::Fitted;
use super::model::Model;
use super::network::Networks;
use super::nf_columns::columns;
use super::nf_modes::drawn_modes;
use crate::calendar::{Freq, Stamp};
use crate::error::{ForecastError, Result};
use crate::families::{PLACE, torch_parameter};
use crate::frame::{About, Exogenous, Fill, FrameOptions, LocalScales, SeriesFrame};
use crate::losses::{Distribution, DistributionLoss, ForecastLoss, Mixture, Spread};
use mayfly_format::model_file::{ReadOptions, Tensor, TensorData, TensorFile};
use mayfly_nn::ParamInfo;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The form of the folder that is read.
const FORMAT: &str = "2";
/// Families whose forecasts need what NeuralForecast does not save, and what that is.
const NOT_WHOLE: [(&str, &str); 3] = [
    ("TimesNet", "its periods are those of whatever is forecast together, and no mean of the training is saved"),
    ("StemGNN", "its graph is that of whatever is forecast together, and no mean of the training is saved"),
    ("TimeLLM", "neither the heads of its language model nor its tokeniser are saved"),
];
/// Tensors that NeuralForecast's modules have and do not use, or that follow from the settings.
const UNUSED: [&str; 20] = [
    "backcast_basis",
    "forecast_basis",
    "position_embedding",
    ".grid",
    "cell.hidden_size",
    "cell.input_size",
    "sdp_attn.scale",
    "attention._mask",
    "W_pos",
    "weight1",
    "backcast_short_cut",
    "weight_ir",
    "lin_c",
    "out_cross_layer",
    "layer_norm",
    "cross_layer",
    "normalize_layers",
    "temporal_embedding",
    "num_batches_tracked",
    "__hparams__",
];
/// Arguments that do not change what a trained model forecasts.
const OF_TRAINING: [&str; 26] = [
    "h",
    "loss",
    "valid_loss",
    "valid_batch_size",
    "inference_windows_batch_size",
    "n_series",
    "n_samples",
    "h_train",
    "val_monitor",
    "futr_exog_list",
    "hist_exog_list",
    "stat_exog_list",
    "cat_exog_list",
    "cat_emb_dim",
    "categorical_cardinalities",
    "exclude_insample_y",
    "drop_last_loader",
    "alias",
    "optimizer_kwargs",
    "lr_scheduler_kwargs",
    "dataloader_kwargs",
    "accelerator",
    "logger",
    "enable_checkpointing",
    "enable_progress_bar",
    "enable_model_summary",
];

/// What a folder says besides its models.
pub(super) struct Folder {
    path: PathBuf,
    pub(super) config: Map<String, Value>,
    /// The tensors of the files that were read so far: every column asks for some.
    files: RefCell<BTreeMap<String, Vec<Tensor>>>,
}

/// One model's file.
struct Saved {
    alias: String,
    file: String,
    class: String,
    settings: Map<String, Value>,
    tensors: BTreeMap<String, Vec<f32>>,
    /// Further names of tensors that several modules share.
    shared: BTreeSet<String>,
}

impl Saved {
    /// How much each step of the horizon counted, which the loss refers to.
    fn horizon_weight(&self) -> Option<&[f32]> {
        let key = self.settings.get("loss")?.pointer("/args/horizon_weight/key")?.as_str()?;
        self.tensors.get(key).map(Vec::as_slice)
    }
}

impl Forecaster {
    /// The models of a folder that `NeuralForecast.save` of version 3.3 or later wrote, with the ends of their series where it has them; and notes for a person.
    ///
    /// # Errors
    /// A folder of another version (pickles are not read: they can run code), families or losses that are not here, tensors that do not fit.
    pub fn import_neuralforecast(folder: impl AsRef<Path>) -> Result<(Forecaster, Vec<String>)> {
        let folder = Folder::read(folder.as_ref())?;
        let models = folder.models()?;
        let Some(first) = models.first() else { return Err(folder.bad("no model is in it")) };
        let exogenous = folder.exogenous(first)?;
        let h = number(&first.settings, "h").unwrap_or(0);
        if !(1..=MOST).contains(&h) {
            return Err(folder.bad(format!("a horizon of {h}: it must be between 1 and {MOST}")));
        }
        let (mut notes, mut fitted) = (Vec::new(), Vec::new());
        let (frame, local) = folder.frame(&exogenous)?;
        for saved in &models {
            if number(&saved.settings, "h") != Some(h) || folder.exogenous(saved)? != exogenous {
                return Err(
                    folder.bad(format!("{} has another horizon or other columns than {}", saved.file, first.file))
                );
            }
            fitted.push(folder.restore(saved, h, &exogenous, &frame, &mut notes)?);
        }
        let most = fitted.iter().map(|fitted| fitted.input_size).max().unwrap_or(1);
        let season = frame.freq().season();
        let about = About { exogenous, ..frame.about.clone() };
        let tails = if folder.has_series() { Some(frame.last(most + 1)) } else { None };
        if tails.is_none() {
            notes.push("the folder has no series: predict needs data".to_owned());
        }
        let forecaster = Forecaster {
            models: fitted.iter().map(|fitted| fitted.model.clone()).collect(),
            season: Some(season),
            local: local.as_ref().map(|scales| scales.scaler),
            state: Some(State { about, season, fitted, local, tails }),
            ..Forecaster::new(h)
        };
        Ok((forecaster, notes))
    }
}

fn number(map: &Map<String, Value>, name: &str) -> Option<usize> {
    map.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
}

impl Folder {
    fn read(path: &Path) -> Result<Folder> {
        let folder = Folder { path: path.to_owned(), config: Map::new(), files: RefCell::default() };
        if !path.join("configuration.json").is_file() {
            let old = ["configuration.pkl", "dataset.pkl"].iter().any(|name| path.join(name).exists());
            return Err(folder.bad(match old {
                true => "it was saved as pickles, which can run code: load it with NeuralForecast 3.3 or later and save it again",
                false => "there is no configuration.json: a folder that NeuralForecast.save wrote is needed",
            }));
        }
        let all = folder.json("configuration.json")?;
        if all.get("nf_format").and_then(Value::as_str) != Some(FORMAT) {
            let found = all.get("nf_format").unwrap_or(&Value::Null);
            return Err(folder.bad(format!("it has the format {found}; this program reads {FORMAT:?}")));
        }
        let config = all.get("configuration").and_then(Value::as_object).cloned().unwrap_or_default();
        Ok(Folder { config, ..folder })
    }

    pub(super) fn bad(&self, what: impl Into<String>) -> ForecastError {
        ForecastError::BadFile { file: self.path.display().to_string(), what: what.into() }
    }

    pub(super) fn json(&self, name: &str) -> Result<Map<String, Value>> {
        let path = self.path.join(name);
        let text = std::fs::read_to_string(&path).map_err(|error| self.bad(format!("{name}: {error}")))?;
        let what = path.display().to_string();
        serde_json::from_str(&text).map_err(|source| ForecastError::Json { what, source })
    }

    /// A tensor that `value` refers to, of the file beside.
    pub(super) fn tensor(&self, file: &str, value: &Value) -> Result<TensorData> {
        let key = value.get("key").and_then(Value::as_str).unwrap_or_default();
        let mut files = self.files.borrow_mut();
        if !files.contains_key(file) {
            let read = TensorFile::read(self.path.join(file), &ReadOptions::default())?;
            files.insert(file.to_owned(), read.tensors);
        }
        let found = files.get(file).and_then(|tensors| tensors.iter().find(|tensor| tensor.name == key));
        found.map(|tensor| tensor.data.clone()).ok_or_else(|| self.bad(format!("{file} has no tensor {key:?}")))
    }

    /// The models, in the order of their files' names.
    fn models(&self) -> Result<Vec<Saved>> {
        let entries = std::fs::read_dir(&self.path).map_err(|error| self.bad(error.to_string()))?;
        let mut files: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".safetensors"))
            .filter(|name| !["configuration.safetensors", "dataset.safetensors"].contains(&name.as_str()))
            .collect();
        let alias = |file: &str| file.rsplit_once('_').map_or(file, |(alias, _)| alias).to_owned();
        files.sort();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut models = Vec::with_capacity(files.len());
        for file in files {
            let read = TensorFile::read(self.path.join(&file), &ReadOptions::default())?;
            let fact = |name: &str| read.metadata.get(name).cloned();
            let (Some(class), Some(settings)) = (fact("model_class"), fact("hyper_parameters")) else {
                return Err(self.bad(format!("{file} does not say what model it is")));
            };
            let settings: Map<String, Value> = serde_json::from_str(&settings)
                .map_err(|source| ForecastError::Json { what: format!("{file}: its settings"), source })?;
            let tensors = read.tensors.into_iter().filter_map(|tensor| match tensor.data {
                TensorData::F32(values) => Some((tensor.name, values)),
                TensorData::C64(values) => Some((tensor.name, values.iter().flat_map(|v| [v.re, v.im]).collect())),
                _ => None, // counters
            });
            let mut tensors: BTreeMap<String, Vec<f32>> = tensors.collect();
            let aliases: BTreeMap<String, Vec<String>> =
                fact("shared").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            for (kept, others) in &aliases {
                if let Some(values) = tensors.get(kept).cloned() {
                    tensors.extend(others.iter().map(|other| (other.clone(), values.clone())));
                }
            }
            let shared = aliases.into_iter().flat_map(|(kept, others)| [vec![kept], others].concat()).collect();
            let count = seen.entry(alias(&file)).or_default();
            *count += 1;
            let alias = if *count > 1 { format!("{}{count}", alias(&file)) } else { alias(&file) };
            models.push(Saved { alias, class, settings, tensors, shared, file });
        }
        Ok(models)
    }

    fn exogenous(&self, saved: &Saved) -> Result<Exogenous> {
        columns(&self.config, &saved.settings).map_err(|what| self.bad(format!("{}: {what}", saved.file)))
    }

    fn has_series(&self) -> bool {
        self.path.join("dataset.safetensors").is_file() && self.config.contains_key("ds")
    }

    /// The series that the models were trained on; where they were not saved, one in their place that says what frequency they have.
    fn frame(&self, exogenous: &Exogenous) -> Result<(SeriesFrame, Option<LocalScales>)> {
        let freq: Freq = match self.config.get("freq") {
            Some(Value::String(freq)) => freq.parse()?,
            Some(Value::Number(n)) => n.to_string().parse()?,
            other => {
                let what = format!(
                    "its frequency is {}: an alias such as MS or a whole number is read",
                    other.unwrap_or(&Value::Null)
                );
                return Err(self.bad(what));
            }
        };
        let options = FrameOptions { freq: Some(freq), fill: Fill::Mask, ..FrameOptions::default() };
        let (mut frame, scales) = match self.has_series() {
            true => self.series(exogenous, &options)?,
            false => (self.in_their_place(freq, &options)?, BTreeMap::new()),
        };
        let columns = &mut frame.about.columns;
        for (to, name) in
            [(&mut columns.id, "id_col"), (&mut columns.time, "time_col"), (&mut columns.target, "target_col")]
        {
            if let Some(text) = self.config.get(name).and_then(Value::as_str) {
                text.clone_into(to);
            }
        }
        let local = self.local_scaler()?.map(|scaler| LocalScales { scaler, of: scales });
        Ok((frame, local))
    }

    /// A series of two values that says what frequency and what form of times there are; the first day that fits is taken.
    fn in_their_place(&self, freq: Freq, options: &FrameOptions) -> Result<SeriesFrame> {
        const DAY: i64 = 86_400;
        let first = Stamp::parse(if matches!(freq, Freq::Integer(_)) { "0" } else { "2000-01-01" });
        let Some((start, form)) = first else { return Err(self.bad("it has no times")) };
        let days = (0..=2 * 366).map(|day| Stamp(start.0 + day * DAY));
        let tried = days.map(|day| {
            let ds = [form.write(day), form.write(freq.add(day, 1))];
            SeriesFrame::from_columns(&["none".to_owned(), "none".to_owned()], &ds, &[0.0, 0.0], options)
        });
        tried.reduce(|before, next| before.or(next)).unwrap_or_else(|| Err(self.bad("it has no times")))
    }

    fn restore(
        &self,
        saved: &Saved,
        h: usize,
        exogenous: &Exogenous,
        frame: &SeriesFrame,
        notes: &mut Vec<String>,
    ) -> Result<Fitted> {
        let (model, input_size) = self.model(saved, h, notes)?;
        let model = model.for_columns(exogenous);
        if let (Some(_), ForecastLoss::Distribution(DistributionLoss { distribution, .. })) =
            (self.local_scaler()?, &model.loss)
            && distribution.domain().is_some()
        {
            let what = format!(
                "its {} was one of scaled series (local_scaler_type), which is not what it is here",
                distribution.name()
            );
            return Err(self.bad_file(saved, what));
        }
        let multivariate = model.family.takes.multivariate;
        if multivariate && !self.has_series() {
            return Err(self.bad_file(saved, "it forecasts its series together, and they were not saved"));
        }
        let series = if multivariate { frame.ids.clone() } else { Vec::new() };
        let shape = model.shape(input_size, h, exogenous, series.len());
        let params = self.parameters(saved, &Networks::spec(&model, shape).layout()?)?;
        let networks = Networks::new(&model, shape, &params)?;
        Ok(Fitted { series, ..Fitted::new(model, input_size, h, exogenous.clone(), networks) })
    }

    fn bad_file(&self, saved: &Saved, what: impl std::fmt::Display) -> ForecastError {
        self.bad(format!("{}: {what}", saved.file))
    }

    /// The model with its settings, and the values of the past that it sees.
    fn model(&self, saved: &Saved, h: usize, notes: &mut Vec<String>) -> Result<(Model, usize)> {
        let bad = |what: String| self.bad_file(saved, what);
        if let Some((class, why)) = NOT_WHOLE.iter().find(|(class, _)| *class == saved.class) {
            return Err(bad(format!("{class} cannot be taken over: {why}; train it here")));
        }
        let base = Model::new(&saved.class)?.alias(&saved.alias);
        let known = base.config();
        let (mut settings, mut unused) = (Map::new(), Vec::new());
        for (name, value) in saved.settings.iter().filter(|(_, value)| !value.is_null()) {
            match name.as_str() {
                "input_size" | "inference_input_size" => {}
                "exclude_insample_y" if *value == Value::Bool(true) => {
                    return Err(bad("exclude_insample_y is not here".into()));
                }
                "training_data_availability_threshold" if value.is_number() => {
                    settings.insert(name.clone(), Value::from(vec![value.clone(); 2]));
                }
                name if OF_TRAINING.contains(&name) => {}
                name if known.get(name).is_some() => drop(settings.insert(name.to_owned(), value.clone())),
                name => unused.push(name),
            }
        }
        if !unused.is_empty() {
            notes.push(format!("{}: {} mean nothing here", saved.alias, unused.join(", ")));
        }
        let Some(loss) = saved.settings.get("loss").and_then(loss_of) else {
            let found = saved.settings.get("loss").and_then(|loss| loss.get("cls")).unwrap_or(&Value::Null);
            return Err(bad(format!("the loss {found} with its settings is not here")));
        };
        loss.check()?;
        if let Some(weights) = saved.horizon_weight() {
            settings.insert("horizon_weight".into(), Value::from(weights.to_vec()));
        }
        let input_size = number(&saved.settings, "input_size").filter(|n| *n > 0).unwrap_or(3 * h);
        if input_size > MOST {
            return Err(bad(format!("an input of {input_size} values: at most {MOST} are read")));
        }
        if saved.class == "FEDformer" && settings.get("mode_select").is_none_or(|how| how == "random") {
            let most = settings.get("modes").or(known.get("modes")).and_then(Value::as_u64).unwrap_or(0);
            let seed = saved.settings.get("random_seed").and_then(Value::as_u64).unwrap_or(1);
            settings.insert(
                "modes_index".into(),
                serde_json::json!(drawn_modes(seed as u32, [input_size, input_size / 2 + h], most as usize)),
            );
        }
        let mut model = base.with_all(&settings)?.input_size(input_size).loss(loss);
        if let Err(error) = model.check_horizon(h) {
            notes.push(format!("{}: {error}; its steps count alike when it is trained on", saved.alias));
            model = model.with("horizon_weight", Value::Null)?;
        }
        Ok((model, input_size))
    }

    /// The parameters of a network in its order; every tensor of the file has a place.
    fn parameters(&self, saved: &Saved, layout: &[ParamInfo]) -> Result<Vec<f32>> {
        let mut left: BTreeSet<&str> = saved.tensors.keys().map(String::as_str).collect();
        let mut params = Vec::new();
        for info in layout {
            let name = info.name.strip_prefix(PLACE).unwrap_or(&info.name);
            let values = torch_parameter(name, &mut |name| {
                left.remove(name);
                saved.tensors.get(name).cloned()
            });
            match values {
                Some(values) if values.len() == info.range().len() => params.extend(values),
                Some(values) => {
                    let (got, want) = (values.len(), info.range().len());
                    return Err(self.bad_file(saved, format!("{name:?} has {got} values, {want} are needed")));
                }
                None => return Err(self.bad_file(saved, format!("there is no tensor {name:?}"))),
            }
        }
        let has_no_place = |name: &&str| {
            let is_of_loss = name.starts_with("loss.") || name.starts_with("valid_loss.");
            !saved.shared.contains(*name) && !is_of_loss && !UNUSED.iter().any(|part| name.contains(part))
        };
        match left.into_iter().find(has_no_place) {
            Some(name) => Err(self.bad_file(saved, format!("the tensor {name:?} has no place in {}", saved.class))),
            None => Ok(params),
        }
    }
}

/// Whether shares of quantiles are drawn evenly and told by as many cosines as here.
fn is_plain_share(float: &dyn Fn(&str, f64) -> Option<f64>) -> bool {
    let wanted = [("cos_embedding_dim", 64.0), ("concentration0", 1.0), ("concentration1", 1.0)];
    wanted.iter().all(|(name, value)| float(name, *value) == Some(*value))
}

/// A loss by NeuralForecast's class and arguments.
fn loss_of(value: &Value) -> Option<ForecastLoss> {
    let args = value.get("args").and_then(Value::as_object)?;
    let get = |name: &str| args.get(name).filter(|value| !value.is_null());
    let float = |name: &str, default: f64| get(name).map_or(Some(default), Value::as_f64);
    let short = |name: &str, default: f64| float(name, default).map(|v| v as f32);
    let flag = |name: &str| get(name).and_then(Value::as_bool).unwrap_or(false);
    let floats = |name: &str| -> Option<Vec<f64>> { get(name)?.as_array()?.iter().map(Value::as_f64).collect() };
    let level = || Some(Spread::level(&floats("level")?));
    // Quantiles that are outputs have the order in which they were given.
    let outputs = || if get("quantiles").is_some() { None } else { level() };
    let columns = || floats("quantiles").map_or_else(level, |quantiles| Some(Spread::Quantiles(quantiles)));
    let mixture = |default: usize| Mixture {
        n_components: get("n_components").and_then(Value::as_u64).map_or(default, |n| n as usize),
        weighted: flag("weighted"),
        horizon_correlation: flag("horizon_correlation"),
        batch_correlation: flag("batch_correlation"),
    };
    let distribution = match value.get("cls")?.as_str()? {
        "MAE" => return Some(ForecastLoss::Mae),
        "MSE" => return Some(ForecastLoss::Mse),
        "RMSE" => return Some(ForecastLoss::Rmse),
        "MAPE" => return Some(ForecastLoss::Mape),
        "SMAPE" => return Some(ForecastLoss::Smape),
        "MASE" => return Some(ForecastLoss::Mase { seasonality: get("seasonality")?.as_u64()? as usize }),
        "FreDF" => return Some(ForecastLoss::FreDf { alpha: short("alpha", 0.5)? }),
        "HuberLoss" => return Some(ForecastLoss::Huber { delta: short("delta", 1.0)? }),
        "TukeyLoss" => return Some(ForecastLoss::Tukey { c: short("c", 4.685)?, normalize: flag("normalize") }),
        "QuantileLoss" => return Some(ForecastLoss::Quantile { q: short("q", 0.5)? }),
        "HuberQLoss" => {
            return Some(ForecastLoss::HuberQuantile { q: short("q", 0.5)?, delta: short("delta", 1.0)? });
        }
        "MQLoss" => return Some(ForecastLoss::MultiQuantile(outputs()?)),
        "HuberMQLoss" => {
            return Some(ForecastLoss::HuberMultiQuantile { spread: outputs()?, delta: short("delta", 1.0)? });
        }
        "IQLoss" | "HuberIQLoss" if !is_plain_share(&float) => return None,
        "IQLoss" => return Some(ForecastLoss::ImplicitQuantile(Spread::default())),
        "HuberIQLoss" => {
            let (spread, delta) = (Spread::default(), short("delta", 1.0)?);
            return Some(ForecastLoss::HuberImplicitQuantile { spread, delta });
        }
        "PMM" => Distribution::PoissonMixture(mixture(10)),
        "GMM" => Distribution::NormalMixture(mixture(1)),
        "NBMM" => Distribution::NegativeBinomialMixture(mixture(1)),
        "DistributionLoss" => match get("distribution")?.as_str()? {
            "Tweedie" => Distribution::Tweedie { rho: float("rho", 1.5)? },
            "ISQF" => Distribution::Isqf { num_pieces: float("num_pieces", 5.0)? as usize },
            name => Distribution::by_name(name, None)?,
        },
        _ => return None,
    };
    let spread = if matches!(distribution, Distribution::Isqf { .. }) { outputs()? } else { columns()? };
    Some(ForecastLoss::Distribution(DistributionLoss { distribution, spread, return_params: flag("return_params") }))
}
