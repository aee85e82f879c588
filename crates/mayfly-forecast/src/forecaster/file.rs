//! Forecasters in files: safetensors with what they are in the metadata.
use super::conformal::{Conformal, Residuals};
use super::ensemble::Ensemble;
use super::fit::{Forecaster, MOST, State};
use super::fitted::Fitted;
use super::model::Model;
use super::network::Networks;
use crate::calendar::Stamp;
use crate::error::{ForecastError, Result};
use crate::families::{Build, PLACE, Pretrained};
use crate::frame::{About, Beside, Exogenous, LocalScaler, LocalScales, SeriesFrame, SeriesScales};
use crate::losses::{ForecastLoss, check_level};
use crate::metrics::Scores;
use mayfly_format::FormatError;
use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The metadata keys of a forecaster and of the ends of its series.
const KEY: &str = "forecast";
const TAILS: &str = "tails";
/// What the entry `spec` of every model file says in one of these.
const SPEC: &str = r#"{"forecast":1}"#;
/// The tensor with what a model's language model needs besides parameters.
const ENCLOSED: &str = "llm.tokenizer";
/// The tensor with what whole series are scaled by.
const SCALES: &str = "scales";
/// Times in a file lie within ±2⁵³.
const LARGEST: i64 = 1 << 53;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    h: usize,
    season: usize,
    about: About,
    models: Vec<SavedModel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intervals: Option<SavedIntervals>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ensemble: Option<Ensemble>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scales: Option<SavedScales>,
}

/// What whole series are scaled by; shifts and scales are in a tensor, `scales`, `[series, 1 + columns of hist and futr, 2]`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedScales {
    scaler: LocalScaler,
    ids: Vec<String>,
    /// Values that each follows from, where no model learnt from the series; else 0.
    values: Vec<usize>,
}

/// How the intervals of point forecasts are made; the errors are in tensors, `<alias>/errors`, `[series, windows, h]`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedIntervals {
    conformal: Conformal,
    level: Vec<f64>,
    ids: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedModel {
    family: String,
    alias: String,
    input_size: usize,
    /// Of a multivariate family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    series: Vec<String>,
    /// Of a local model: its series, in the order of the first dimension of its tensors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    local: Vec<String>,
    config: Map<String, Value>,
    seconds: f64,
    steps: usize,
    windows: usize,
    scores: Option<Scores>,
    /// In a weighted ensemble.
    #[serde(default = "one")]
    weight: f64,
}

fn one() -> f64 {
    1.0
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTails {
    ids: Vec<String>,
    starts: Vec<Stamp>,
    lens: Vec<usize>,
}

impl Forecaster {
    /// Writes the trained models and the ends of their series; an existing file is replaced when the new one is complete.
    ///
    /// # Errors
    /// Nothing was trained, and what the operating system refuses.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(self.to_file()?.write(path, NanPolicy::Refuse)?)
    }

    /// The bytes that [`Forecaster::save`] writes.
    ///
    /// # Errors
    /// Nothing was trained.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(self.to_file()?.to_bytes(NanPolicy::Refuse)?)
    }

    /// Forgets the ends of the series: files then hold no values of theirs, and forecasts need series.
    pub fn forget_series(&mut self) {
        if let Some(state) = &mut self.state {
            state.tails = None;
        }
    }

    fn to_file(&self) -> Result<ModelFile> {
        let Some(state) = &self.state else {
            return Err(ForecastError::option("forecaster", "not trained", "fit it first"));
        };
        let json = |what: &str| {
            let what = what.to_owned();
            move |source| ForecastError::Json { what, source }
        };
        let models = state.fitted.iter().map(SavedModel::of).collect();
        let intervals = state.fitted.iter().find_map(|fitted| fitted.residuals.as_ref());
        let intervals = intervals.zip(self.conformal).map(|(residuals, conformal)| SavedIntervals {
            conformal,
            level: residuals.level.clone(),
            ids: residuals.of.keys().cloned().collect(),
        });
        let (season, about) = (state.season, state.about.clone());
        let saved = Saved {
            version: 1,
            h: self.h,
            season,
            about,
            models,
            intervals,
            ensemble: self.ensemble.filter(|_| state.fitted.len() > 1),
            scales: state.local.as_ref().map(SavedScales::new),
        };
        let mut other = BTreeMap::new();
        other.insert(KEY.to_owned(), serde_json::to_string(&saved).map_err(json("the description of the forecaster"))?);
        let mut tensors: Vec<Tensor> = state.fitted.iter().flat_map(tensors).collect();
        tensors.extend(state.fitted.iter().filter_map(enclosed));
        tensors.extend(state.fitted.iter().filter_map(errors));
        tensors.extend(state.local.as_ref().map(scales));
        if let Some(tails) = &state.tails {
            let lens = tails.iter().map(|series| series.y.len()).collect();
            let saved = SavedTails { ids: tails.ids.clone(), starts: tails.starts.clone(), lens };
            other.insert(TAILS.to_owned(), serde_json::to_string(&saved).map_err(json("the ends of the series"))?);
            let tensor = |name: &str, data: TensorData| Tensor {
                name: format!("{TAILS}.{name}"),
                shape: vec![data.len()],
                data,
            };
            tensors.push(tensor("y", TensorData::F32(tails.y.clone())));
            let known = tails.known.as_ref().map(|known| known.iter().map(|k| u8::from(*k)).collect());
            tensors.extend(known.map(|known| tensor("known", TensorData::U8(known))));
            let beside = [("hist", &tails.beside.hist), ("futr", &tails.beside.futr), ("stat", &tails.beside.stat)];
            let there = beside.into_iter().filter(|(_, values)| !values.is_empty());
            tensors.extend(there.map(|(name, values)| tensor(name, TensorData::F32(values.clone()))));
        }
        Ok(ModelFile { spec: SPEC.to_owned(), other, tensors, ..ModelFile::default() })
    }

    /// Reads a file that [`Forecaster::save`] wrote.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, is no forecaster's, or whose tensors do not fit its models.
    pub fn load(path: impl AsRef<Path>) -> Result<Forecaster> {
        let path = path.as_ref();
        let file = ModelFile::read(path, &ReadOptions::default()).map_err(|error| match error {
            // What text and pickles begin with, read as a length.
            FormatError::TooLarge { file, what, .. } if what.contains("header") => ForecastError::BadFile {
                file,
                what: "it is no Mayfly model, as mayfly forecast train and import write them".into(),
            },
            other => other.into(),
        })?;
        Forecaster::from_file(&path.display().to_string(), file)
    }

    /// A forecaster from the content of its file; `name` is the file's, for messages.
    ///
    /// # Errors
    /// As for [`Forecaster::load`].
    pub fn from_file(name: &str, mut file: ModelFile) -> Result<Forecaster> {
        let bad = |what: String| ForecastError::BadFile { file: name.to_owned(), what };
        let Some(text) = file.other.get(KEY) else {
            return Err(bad("this is a network of another kind, not a forecaster: mayfly predict is for it".into()));
        };
        let saved: Saved =
            serde_json::from_str(text).map_err(|e| bad(format!("its description is none of a forecaster: {e}")))?;
        if saved.version != 1 {
            return Err(bad(format!(
                "it has version {} of a forecaster's description; this program reads 1",
                saved.version
            )));
        }
        let in_range = |n: usize| (1..=MOST).contains(&n);
        if !in_range(saved.h) || saved.season == 0 || !saved.models.iter().all(|model| in_range(model.input_size)) {
            return Err(bad(format!("horizon, season and inputs must be between 1 and {MOST}")));
        }
        saved.about.exogenous.check().map_err(&bad)?;
        let tails = tails(&mut file, &saved.about).map_err(&bad)?;
        let mut tensors: BTreeMap<String, Tensor> = file.tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
        let mut fitted = Vec::with_capacity(saved.models.len());
        for model in saved.models {
            let mut one = model.restore(saved.h, &saved.about.exogenous, &mut tensors, &bad)?;
            if let Some(intervals) = &saved.intervals {
                one.residuals = intervals.of(&one, &mut tensors).map_err(&bad)?;
            }
            fitted.push(one);
        }
        let local = saved.scales.map(|scales| scales.of(&saved.about, &mut tensors)).transpose().map_err(&bad)?;
        let scaler = local.as_ref().map(|scales| scales.scaler);
        if let Some(name) = tensors.keys().next() {
            return Err(bad(format!("the tensor {name:?} belongs to no model")));
        }
        let models = fitted.iter().map(|fitted| fitted.model.clone()).collect();
        let state = State { local, about: saved.about, season: saved.season, fitted, tails };
        let (conformal, level) = saved.intervals.map(|i| (i.conformal, i.level)).unzip();
        let level = level.unwrap_or_default();
        Ok(Forecaster {
            models,
            conformal,
            level,
            season: Some(saved.season),
            local: scaler,
            ensemble: saved.ensemble,
            state: Some(state),
            ..Forecaster::new(saved.h)
        })
    }
}

impl SavedModel {
    fn of(fitted: &Fitted) -> SavedModel {
        let config = if let Value::Object(config) = fitted.model.config() { config } else { Map::new() };
        SavedModel {
            family: fitted.model.family.name.to_owned(),
            alias: fitted.model.alias.clone(),
            input_size: fitted.input_size,
            series: fitted.series.clone(),
            local: fitted.locals.iter().flat_map(|locals| locals.keys().cloned()).collect(),
            config,
            seconds: fitted.seconds,
            steps: fitted.steps,
            windows: fitted.windows,
            scores: fitted.scores.clone(),
            weight: fitted.weight,
        }
    }

    fn restore(
        self,
        h: usize,
        exogenous: &Exogenous,
        tensors: &mut BTreeMap<String, Tensor>,
        bad: &dyn Fn(String) -> ForecastError,
    ) -> Result<Fitted> {
        let SavedModel { family, alias, input_size, series, local, mut config, .. } = self;
        let loss = config.remove("loss").unwrap_or_default();
        let loss: ForecastLoss =
            serde_json::from_value(loss).map_err(|e| bad(format!("{alias}: its loss is not known: {e}")))?;
        let mut model = Model::new(&family)?.alias(&alias).with_all(&config)?.loss(loss).for_columns(exogenous);
        model.local = !local.is_empty();
        if let Some(pretrained) = model.own.pretrained() {
            model.own = with_enclosed(pretrained, &alias, tensors).map_err(bad)?;
        }
        model.check_loss()?;
        model.check_horizon(h)?;
        model.check_local()?;
        if series.is_empty() == model.family.takes.multivariate || !all_differ(&series) || !all_differ(&local) {
            return Err(bad(format!(
                "{alias}: the names of its {} series do not fit its family, {family}",
                series.len().max(local.len())
            )));
        }
        let shape = model.shape(input_size, h, exogenous, series.len());
        let layout = Networks::spec(&model, shape).layout()?;
        // Of one network, or of one for each series of a local model. Room for no more than the file has, whatever its description says.
        let networks = local.len().max(1);
        let there: usize = tensors.values().map(|tensor| tensor.data.len()).sum();
        let count = layout.iter().fold(0_usize, |count, info| count.saturating_add(info.range().len()));
        let room = || Vec::with_capacity(count.min(there / networks));
        let mut params: Vec<Vec<f32>> = std::iter::repeat_with(room).take(networks).collect();
        for info in &layout {
            let name = format!("{alias}/{}", plain(&info.name));
            let each = (!local.is_empty()).then_some(local.len());
            let shape: Vec<usize> = each.into_iter().chain(info.shape.dims().iter().copied()).collect();
            let values = take(&name, &shape, tensors).map_err(bad)?;
            let parts = values.chunks((values.len() / params.len()).max(1));
            params.iter_mut().zip(parts).for_each(|(params, part)| params.extend(part));
        }
        let networks = Networks::new(&model, shape, params.first().map_or(&[][..], |params| &params[..]))?;
        let bare = Fitted::new(model, input_size, h, exogenous.clone(), networks);
        let locals = (!local.is_empty()).then(|| local.into_iter().zip(params).collect());
        let (weight, seconds, steps, windows, scores) =
            (self.weight, self.seconds, self.steps, self.windows, self.scores);
        Ok(Fitted { series, locals, weight, seconds, steps, windows, scores, ..bare })
    }
}

fn all_differ(names: &[String]) -> bool {
    names.iter().collect::<BTreeSet<_>>().len() == names.len()
}

/// A family with what it needs besides parameters, taken out of the tensors.
fn with_enclosed(
    pretrained: &dyn Pretrained,
    alias: &str,
    tensors: &mut BTreeMap<String, Tensor>,
) -> std::result::Result<Arc<dyn Build>, String> {
    let name = format!("{alias}/{ENCLOSED}");
    match tensors.remove(&name).map(|tensor| tensor.data) {
        Some(TensorData::U8(bytes)) => pretrained.with_enclosed(&bytes).map_err(|what| format!("{name:?}: {what}")),
        _ => Err(format!("the tensor {name:?} in U8, which turns text into tokens, is missing")),
    }
}

/// What a model's file holds besides its parameters, if anything.
fn enclosed(fitted: &Fitted) -> Option<Tensor> {
    let bytes = fitted.model.own.pretrained()?.enclosed();
    Some(Tensor {
        name: format!("{}/{ENCLOSED}", fitted.model.alias),
        shape: vec![bytes.len()],
        data: TensorData::U8(bytes),
    })
}

/// The values of a tensor, taken out of the others.
fn take(name: &str, shape: &[usize], tensors: &mut BTreeMap<String, Tensor>) -> std::result::Result<Vec<f32>, String> {
    match tensors.remove(name) {
        Some(Tensor { shape: got, data: TensorData::F32(values), .. }) if got == shape => Ok(values),
        Some(other) => {
            Err(format!("the tensor {name:?} has shape {:?}, the model needs {shape:?} in F32", other.shape))
        }
        None => Err(format!("the tensor {name:?} of shape {shape:?} is missing")),
    }
}

/// Shifts and scales, series after series.
fn scales(local: &LocalScales) -> Tensor {
    let columns = local.of.values().next().map_or(0, |series| series.columns.len());
    let values = local.of.values().flat_map(|series| series.columns.as_flattened()).copied().collect();
    Tensor { name: SCALES.to_owned(), shape: vec![local.of.len(), columns, 2], data: TensorData::F32(values) }
}

impl SavedScales {
    fn new(local: &LocalScales) -> SavedScales {
        let values = local.of.values().map(|series| series.values).collect();
        SavedScales { scaler: local.scaler, ids: local.of.keys().cloned().collect(), values }
    }

    /// The scales, with their tensor taken out of the others.
    fn of(self, about: &About, tensors: &mut BTreeMap<String, Tensor>) -> std::result::Result<LocalScales, String> {
        let names = &about.exogenous;
        let columns = if self.ids.is_empty() { 0 } else { 1 + names.hist.len() + names.futr.len() };
        let values = take(SCALES, &[self.ids.len(), columns, 2], tensors)?;
        let pairs: &[[f32; 2]] = values.as_chunks().0;
        if pairs.iter().any(|[shift, scale]| !(shift.is_finite() && scale.is_finite() && *scale > 0.0)) {
            return Err("the scales of its series are no finite numbers above 0".into());
        }
        if self.values.len() != self.ids.len() || !all_differ(&self.ids) {
            return Err(format!("the names of its {} scaled series do not fit their scales", self.ids.len()));
        }
        let each = pairs.chunks(columns.max(1)).zip(self.values);
        let each = each.map(|(columns, values)| SeriesScales { columns: columns.to_vec(), values });
        Ok(LocalScales { scaler: self.scaler, of: self.ids.into_iter().zip(each).collect() })
    }
}

impl SavedIntervals {
    /// The errors of a model, taken out of the tensors; none where its loss gives intervals.
    fn of(
        &self,
        fitted: &Fitted,
        tensors: &mut BTreeMap<String, Tensor>,
    ) -> std::result::Result<Option<Residuals>, String> {
        let name = errors_name(fitted);
        let Some(Tensor { data: TensorData::F32(values), .. }) = tensors.remove(&name) else { return Ok(None) };
        check_level(&self.level).map_err(|error| error.to_string())?;
        let each = values.len().checked_div(self.ids.len()).unwrap_or(0);
        if each == 0 || each * self.ids.len() != values.len() || !each.is_multiple_of(fitted.h) {
            return Err(format!("the {} errors in {name:?} are not those of {} series", values.len(), self.ids.len()));
        }
        let known = |errors: &[f32]| errors.iter().map(|e| if *e < 0.0 { f32::NAN } else { *e }).collect();
        let of = self.ids.iter().cloned().zip(values.chunks_exact(each).map(known)).collect();
        Ok(Some(Residuals { method: self.conformal.method, level: self.level.clone(), h: fitted.h, of }))
    }
}

fn errors_name(fitted: &Fitted) -> String {
    format!("{}/errors", fitted.model.alias)
}

/// The errors that a model's intervals are made of; an unknown one is −1.
fn errors(fitted: &Fitted) -> Option<Tensor> {
    let residuals = fitted.residuals.as_ref()?;
    let values: Vec<f32> = residuals.of.values().flatten().map(|e| if e.is_finite() { *e } else { -1.0 }).collect();
    let windows = residuals.of.values().next().map_or(0, |errors| errors.len() / residuals.h);
    let shape = vec![residuals.of.len(), windows, residuals.h];
    (!values.is_empty()).then(|| Tensor { name: errors_name(fitted), shape, data: TensorData::F32(values) })
}

/// A parameter's name as NeuralForecast has it.
fn plain(name: &str) -> &str {
    name.strip_prefix(PLACE).unwrap_or(name)
}

fn tensors(fitted: &Fitted) -> Vec<Tensor> {
    let tensor = |(info, values): (&mayfly_graph::ParamInfo, &[f32])| {
        let name = format!("{}/{}", fitted.model.alias, plain(&info.name));
        let dims = info.shape.dims().to_vec();
        match &fitted.locals {
            None => Tensor { name, shape: dims, data: TensorData::F32(values.to_vec()) },
            Some(locals) => {
                let all = locals.values().flat_map(|params| &params[info.range()]).copied().collect();
                let shape = std::iter::once(locals.len()).chain(dims).collect();
                Tensor { name, shape, data: TensorData::F32(all) }
            }
        }
    };
    fitted.network.named_params().map(tensor).collect()
}

/// The ends of the series, with their tensors taken out of the file.
fn tails(file: &mut ModelFile, about: &About) -> std::result::Result<Option<SeriesFrame>, String> {
    let Some(text) = file.other.get(TAILS) else { return Ok(None) };
    let SavedTails { ids, starts, lens } =
        serde_json::from_str(text).map_err(|e| format!("the ends of its series are not readable: {e}"))?;
    let mut take = |name: &str| {
        let at = file.tensors.iter().position(|tensor| tensor.name == format!("{TAILS}.{name}"))?;
        Some(file.tensors.swap_remove(at).data)
    };
    let Some(TensorData::F32(y)) = take("y") else {
        return Err("the values of the ends of its series are missing".into());
    };
    let known = match take("known") {
        None => None,
        Some(TensorData::U8(known)) => Some(known.into_iter().map(|k| k != 0).collect::<Vec<_>>()),
        Some(_) => return Err("the mask of the ends of its series is no U8".into()),
    };
    let mut columns = |name: &str, want: usize| match take(name) {
        None if want == 0 => Ok(Vec::new()),
        Some(TensorData::F32(values)) if values.len() == want => Ok(values),
        _ => Err(format!("the {want} exogenous values ({name}) of the ends of its series are missing")),
    };
    let names = &about.exogenous;
    let beside = Beside {
        hist: columns("hist", y.len().saturating_mul(names.hist.len()))?,
        futr: columns("futr", y.len().saturating_mul(names.futr.len()))?,
        stat: columns("stat", ids.len().saturating_mul(names.stat.len()))?,
        offsets: Vec::new(),
    };
    let mut offsets = vec![0_usize];
    for len in &lens {
        let end = offsets.last().and_then(|end| end.checked_add(*len)).filter(|end| *len > 0 && *end <= y.len());
        offsets.push(end.ok_or("the lengths of the ends of its series exceed their values")?);
    }
    let fits = ids.len() == lens.len()
        && starts.len() == lens.len()
        && offsets.last() == Some(&y.len())
        && known.as_ref().is_none_or(|known| known.len() == y.len())
        && starts.iter().all(|start| (-LARGEST..=LARGEST).contains(&start.0));
    if !fits {
        return Err(format!(
            "{} names, {} times and {} lengths do not describe {} values",
            ids.len(),
            starts.len(),
            lens.len(),
            y.len()
        ));
    }
    let weights = None; // they are for training, which was done
    let about = about.clone();
    Ok(Some(SeriesFrame {
        about,
        ids,
        starts,
        offsets,
        y,
        known,
        weights,
        beside,
        local: Vec::new(),
        notes: Vec::new(),
    }))
}
