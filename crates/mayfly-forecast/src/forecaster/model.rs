//! A model that is to be trained: a family, its settings, and what to call it.
use crate::error::{ForecastError, Result};
use crate::families::{Build, Common, Family, Implicit, Prompter, Vocabularies, as_json, embedded, merge};
use crate::frame::Exogenous;
use crate::losses::{ForecastLoss, Spread};
use crate::windows::{Counts, RowShape, Scaler, WindowSpec};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A family with its settings.
///
/// ```
/// use mayfly_forecast::{ForecastLoss, Model};
/// let model = Model::new("nhits")?.with("max_steps", 200)?.with("n_pool_kernel_size", vec![4, 2, 1])?.loss(ForecastLoss::Mse);
/// assert_eq!(model.alias, "NHITS");
/// assert!(Model::new("nhist").unwrap_err().to_string().contains("did you mean NHITS?"));
/// # Ok::<(), mayfly_forecast::ForecastError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    /// The family.
    pub family: &'static Family,
    /// What its columns are called.
    pub alias: String,
    /// How it is trained and what it sees.
    pub common: Common,
    /// What it makes small.
    pub loss: ForecastLoss,
    /// Whether each series has a network of its own, instead of one for all.
    pub local: bool,
    /// The family's own settings.
    pub(crate) own: Arc<dyn Build>,
    /// The categories that it is trained with.
    words: Vocabularies,
}

impl Model {
    /// A family with NeuralForecast's defaults.
    ///
    /// # Errors
    /// A name that no family has.
    pub fn new(name: &str) -> Result<Model> {
        let family = Family::by_name(name)?;
        let own = (family.settings)(&Map::new())?;
        let (alias, common, loss) = (family.name.to_owned(), (family.defaults)(), own.loss());
        Ok(Model { family, alias, common, loss, local: false, own, words: Vocabularies::default() })
    }

    /// The model with one setting changed, by NeuralForecast's name.
    ///
    /// # Errors
    /// A name that the family does not have, or a value that is none.
    pub fn with(self, name: &str, value: impl Into<Value>) -> Result<Model> {
        self.with_all(&Map::from_iter([(name.to_owned(), value.into())]))
    }

    /// The model with some settings changed, by NeuralForecast's names.
    ///
    /// # Errors
    /// As for [`Model::with`].
    pub fn with_all(mut self, settings: &Map<String, Value>) -> Result<Model> {
        let object = |value: Value| if let Value::Object(map) = value { map } else { Map::new() };
        let commons = object(serde_json::to_value(&self.common).unwrap_or_default());
        let mut owns = object(self.own.config());
        let (mut common, mut own) = (Map::new(), Map::new());
        for (name, value) in settings {
            match (commons.contains_key(name), owns.contains_key(name)) {
                (true, _) => common.insert(name.clone(), value.clone()),
                (_, true) => own.insert(name.clone(), value.clone()),
                _ => {
                    let known: Vec<&str> = owns.keys().chain(commons.keys()).map(String::as_str).collect();
                    return Err(ForecastError::unknown("setting", name, &known));
                }
            };
        }
        self.common = merge(&self.common, &common)?;
        owns.extend(own);
        self.own = (self.family.settings)(&owns)?;
        self.common.check()?;
        Ok(self)
    }

    /// The model with another loss.
    #[must_use]
    pub fn loss(mut self, loss: ForecastLoss) -> Model {
        self.loss = loss;
        self
    }

    /// The model with the intervals of these levels, where its loss has any; with none the usual ones.
    #[must_use]
    pub fn level(mut self, level: &[f64]) -> Model {
        if let ForecastLoss::Distribution(loss) = &mut self.loss {
            loss.spread = Spread::level(level);
        }
        self
    }

    /// The model under another name.
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Model {
        self.alias = alias.into();
        self
    }

    /// The model with a network for each series: it forecasts no others, and learns nothing of one from another.
    #[must_use]
    pub fn local(mut self) -> Model {
        self.local = true;
        self
    }

    /// Whether it is one model a series.
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// The model with this many values of the past.
    #[must_use]
    pub fn input_size(mut self, n: usize) -> Model {
        self.common.input_size = Some(n);
        self
    }

    /// All settings, by NeuralForecast's names, and the loss.
    pub fn config(&self) -> Value {
        let mut all = self.own.config();
        if let (Value::Object(all), Value::Object(common)) = (&mut all, as_json(&self.common)) {
            all.extend(common);
            all.insert("loss".into(), as_json(&self.loss));
        }
        all
    }

    /// What its columns are called, the point forecast first.
    pub fn columns(&self) -> Vec<String> {
        self.loss.columns().iter().map(|suffix| format!("{}{suffix}", self.alias)).collect()
    }

    /// What keeps it from being trained with these settings, if it reads another model first: whether it is there.
    ///
    /// # Errors
    /// A folder that is not named or lacks something.
    pub fn check_ready(&self) -> Result<()> {
        self.own.pretrained().map_or(Ok(()), |pretrained| pretrained.check_ready())
    }

    /// Whether it reads another model before a training, and no setting says where that lies.
    pub fn lacks_folder(&self) -> bool {
        self.own.pretrained().is_some_and(|pretrained| !pretrained.is_named())
    }

    /// The model with what it reads before a training, if it reads anything.
    pub(crate) fn read(mut self) -> Result<Model> {
        if let Some(read) = self.own.pretrained().map(|pretrained| pretrained.read()).transpose()? {
            self.own = read;
        }
        Ok(self)
    }

    /// What writes sentences about windows, for families that read them.
    pub(crate) fn prompter(&self, input_size: usize, h: usize) -> Option<Arc<Prompter>> {
        self.own.pretrained().and_then(|pretrained| pretrained.prompter(input_size, h))
    }

    /// Refuses what the family cannot be: one model for each series, if it looks at all of them or holds a large model.
    ///
    /// # Errors
    /// That.
    pub fn check_local(&self) -> Result<()> {
        if self.local && self.own.pretrained().is_some() {
            let want =
                format!("{} would hold its language model once for each series: train one network for all", self.alias);
            return Err(ForecastError::option("local", true, want));
        }
        match self.local && self.family.takes.multivariate {
            true => {
                let want = format!("{} forecasts all series together: it cannot have a network for each", self.alias);
                Err(ForecastError::option("local", true, want))
            }
            false => Ok(()),
        }
    }

    /// Refuses a loss that the family cannot make small.
    ///
    /// # Errors
    /// That.
    pub fn check_loss(&self) -> Result<()> {
        self.loss.check()?;
        if self.common.scaler_type == Scaler::Revin && matches!(self.loss, ForecastLoss::Distribution(_)) {
            let want = "under distributions NeuralForecast learns a shift and a scale with it, which are not here: take standard, which is where they start";
            return Err(ForecastError::option("scaler_type", "revin", want));
        }
        let is_distribution = matches!(self.loss, ForecastLoss::Distribution(_));
        let is_point = self.loss.outputs() == 1 && !self.loss.asks().shares;
        if self.own.pretrained().is_some() && (is_distribution || !is_point) {
            let want = format!("{} takes losses that compare points: mae, mse, huber", self.alias);
            return Err(ForecastError::option("loss", as_json(&self.loss), want));
        }
        match self.own.closed_form() {
            Some(_) if self.loss != ForecastLoss::Mse => {
                let want = format!("{} is solved for the least squared error: its loss is mse", self.alias);
                Err(ForecastError::option("loss", as_json(&self.loss), want))
            }
            _ => Ok(()),
        }
    }

    /// The model for series with these columns.
    pub(crate) fn for_columns(mut self, exogenous: &Exogenous) -> Model {
        self.words = Vocabularies::of(exogenous);
        self
    }

    /// Refuses weights of the horizon's steps that do not fit it, or that nothing would come of.
    pub(crate) fn check_horizon(&self, h: usize) -> Result<()> {
        self.common.check_horizon(h)?;
        let why = match (&self.common.horizon_weight, self.own.closed_form()) {
            (None, _) => return Ok(()),
            (_, Some(_)) => "solves each step by itself, whatever it counts",
            _ if self.is_recurrent() => "learns the next step alone, and makes the others from it",
            _ => return Ok(()),
        };
        Err(ForecastError::option("horizon_weight", "given", format!("{} {why}", self.alias)))
    }

    /// The family as it is written into a graph: with the layer of the loss behind it, where that has one.
    pub(crate) fn build(&self) -> Arc<dyn Build> {
        let family = embedded(self.own.clone(), &self.words);
        match self.loss.asks().shares {
            true => Arc::new(Implicit { family, quantiles: self.loss.quantiles() }),
            false => family,
        }
    }

    /// Whether forecasts are made step by step.
    pub(crate) fn is_recurrent(&self) -> bool {
        self.own.states(self.loss.outputs()) > 0
    }

    /// Values of the past that its network sees, and steps that it gives.
    fn window(&self, input_size: usize, h: usize) -> [usize; 2] {
        if self.is_recurrent() { [input_size + 1, 1] } else { [input_size, h] }
    }

    /// A row for so many series; families that look at one at a time have one.
    pub(crate) fn shape(&self, input_size: usize, h: usize, exogenous: &Exogenous, series: usize) -> RowShape {
        let [input_size, h] = self.window(input_size, h);
        let counts = Counts {
            hist: exogenous.hist.len(),
            futr: exogenous.futr.len(),
            stat: exogenous.stat.len(),
            hist_words: exogenous.categories_of(&exogenous.hist).count(),
            futr_words: exogenous.categories_of(&exogenous.futr).count(),
        };
        RowShape {
            series: if self.family.takes.multivariate { series.max(1) } else { 1 },
            input_size,
            h,
            outputs: self.loss.outputs(),
            reads_mask: self.family.takes.input_mask,
            scaler: self.common.scaler_type,
            counts,
            asks: self.loss.asks(),
            prompt: self.prompter(input_size, h).map_or(0, |prompter| prompter.len()),
        }
    }

    pub(crate) fn windows(&self, input_size: usize, h: usize) -> WindowSpec {
        let [input_size, h] = self.window(input_size, h);
        WindowSpec {
            input_size,
            h,
            step_size: self.common.step_size,
            start_padding: self.common.start_padding_enabled,
            availability: self.common.training_data_availability_threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_go_where_they_belong() {
        let model = Model::new("mlp").unwrap().with("hidden_size", 8).unwrap().with("max_steps", 3).unwrap();
        let config = model.config();
        assert_eq!(
            (&config["hidden_size"], &config["max_steps"], &config["num_layers"]),
            (&json!(8), &json!(3), &json!(2))
        );
        assert_eq!(config["loss"], json!("mae"));
        let said = |name: &str, value: Value| Model::new("mlp").unwrap().with(name, value).unwrap_err().to_string();
        assert!(said("hiden_size", json!(8)).contains("did you mean hidden_size?"));
        assert!(said("hidden_size", json!("wide")).contains("\"hidden_size\" is \"wide\", by default 1024"));
        assert!(said("max_steps", json!(0)).contains("max_steps is 0"));
        assert!(said("scaler_type", json!("robustt")).contains("robust"));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        let weighed = |name: &str| Model::new(name).unwrap().with("horizon_weight", vec![1.0, 2.0]).unwrap();
        assert!(weighed("MLP").check_horizon(2).is_ok());
        assert!(weighed("MLP").check_horizon(3).is_err());
        let said = |model: Model| model.check_horizon(2).unwrap_err().to_string();
        assert!(said(weighed("Ridge")).contains("each step by itself"));
        assert!(said(weighed("DeepAR")).contains("the next step alone"));
        let revin = Model::new("MLP").unwrap().with("scaler_type", "revin").unwrap();
        assert!(revin.check_loss().is_ok());
        let said = revin.loss(crate::Distribution::Normal.into()).check_loss().unwrap_err().to_string();
        assert!(said.contains("take standard"), "{said}");
    }

    #[test]
    fn columns_have_the_alias_before_them() {
        let model = Model::new("NHITS").unwrap().alias("N").loss(ForecastLoss::intervals(&[80.0]));
        assert_eq!(model.columns(), ["N-median", "N-lo-80", "N-hi-80"]);
    }
}
