//! The series of a folder that NeuralForecast saved, and what they were scaled by.
use super::nf::Folder;
use crate::calendar::Stamp;
use crate::error::Result;
use crate::frame::{Exogenous, FrameOptions, LocalScaler, SeriesFrame, SeriesScales, Table};
use mayfly_format::model_file::TensorData;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The table of all values: a row a time, the series one behind the other.
struct Values<'a> {
    folder: &'a Folder,
    dataset: Map<String, Value>,
    ids: Vec<String>,
    places: BTreeMap<String, usize>,
    columns: Vec<String>,
    table: Vec<f32>,
    /// Where each series begins, and behind the last where it ends.
    ends: Vec<usize>,
    scaler: Option<LocalScaler>,
}

fn listed(value: &Value) -> Vec<String> {
    let values = value.get("values").and_then(Value::as_array);
    values.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

impl Folder {
    /// The series that the models were trained on, and what they were scaled by.
    pub(super) fn series(
        &self,
        exogenous: &Exogenous,
        options: &FrameOptions,
    ) -> Result<(SeriesFrame, BTreeMap<String, SeriesScales>)> {
        let times = self.times()?;
        let values = self.values(times.len())?;
        let target = self.config.get("target_col").and_then(Value::as_str).unwrap_or("y");
        let target = if values.columns.iter().any(|name| name == target) { target } else { "y" };
        let mut y = values.column(target)?;
        if values.columns.iter().any(|name| name == "available_mask") {
            for (y, known) in y.iter_mut().zip(values.column("available_mask")?) {
                *y = if known > 0.0 { *y } else { f32::NAN };
            }
        }
        let all = |names: &[String]| names.iter().map(|name| values.column(name)).collect::<Result<Vec<_>>>();
        let (hist, futr) = (all(&exogenous.hist)?, all(&exogenous.futr)?);
        let row_ids: Vec<&str> = values
            .ids
            .iter()
            .zip(values.ends.windows(2))
            .flat_map(|(id, range)| std::iter::repeat_n(id.as_str(), range[1] - range[0]))
            .collect();
        let times: Vec<&str> = times.iter().map(String::as_str).collect();
        let hist: Vec<(&str, &[f32])> =
            exogenous.hist.iter().map(String::as_str).zip(hist.iter().map(|v| &v[..])).collect();
        let futr: Vec<(&str, &[f32])> =
            exogenous.futr.iter().map(String::as_str).zip(futr.iter().map(|v| &v[..])).collect();
        let table = Table { ids: &row_ids, ds: &times, y: &y, hist: &hist, futr: &futr };
        let mut frame = SeriesFrame::from_table(&table, options)?;
        frame.beside.stat = values.stat(&frame.ids, exogenous)?;
        frame.about.exogenous = exogenous.clone(); // words are numbered there as they are here
        let mut scales = BTreeMap::new();
        if values.scaler.is_some() {
            let names = [target].into_iter().chain(exogenous.all());
            let columns = names.map(|name| values.scales(name)).collect::<Result<Vec<_>>>()?;
            let rows = frame.ids.iter().map(|id| values.place(id));
            let of =
                |row: usize| SeriesScales { columns: columns.iter().map(|scales| scales[row]).collect(), values: 0 };
            scales = frame.ids.iter().cloned().zip(rows.map(of)).collect();
        }
        Ok((frame, scales))
    }

    fn values(&self, times: usize) -> Result<Values<'_>> {
        let (ids, dataset) = (self.ids()?, self.json("dataset.json")?);
        let columns = listed(field(&dataset, "temporal_cols"));
        let TensorData::F32(table) = self.tensor("dataset.safetensors", field(&dataset, "temporal"))? else {
            return Err(self.bad("its series are not numbers of 32 bits"));
        };
        let ends = match self.tensor("dataset.safetensors", field(&dataset, "indptr"))? {
            TensorData::I32(ends) => ends.into_iter().map(i64::from).collect::<Vec<_>>(),
            TensorData::I64(ends) => ends,
            _ => return Err(self.bad("where its series begin is not said in whole numbers")),
        };
        let ends: Vec<usize> = ends.into_iter().filter_map(|end| usize::try_from(end).ok()).collect();
        let rows = table.len() / columns.len().max(1);
        let sizes = [rows, times, ends.last().copied().unwrap_or(0)];
        let is_sorted = ends.first() == Some(&0) && ends.windows(2).all(|pair| pair[0] <= pair[1]);
        if sizes.iter().any(|n| *n != rows) || ends.len() != ids.len() + 1 || !is_sorted {
            return Err(self.bad(format!("{} series of {sizes:?} values and times do not fit together", ids.len())));
        }
        let places = ids.iter().cloned().zip(0..).collect();
        Ok(Values { folder: self, dataset, ids, places, columns, table, ends, scaler: self.local_scaler()? })
    }

    /// What whole series were scaled by.
    pub(super) fn local_scaler(&self) -> Result<Option<LocalScaler>> {
        let name = |key: &str| self.config.get(key).filter(|value| !value.is_null()).map(|v| v.as_str().unwrap_or("?"));
        if let Some(name) = name("local_static_scaler_type") {
            return Err(self.bad(format!(
                "its static columns were scaled by {name:?} (local_static_scaler_type), which is not read"
            )));
        }
        let scaler = name("local_scaler_type").map(LocalScaler::by_name).transpose();
        scaler.map_err(|error| self.bad(format!("local_scaler_type: {error}")))
    }

    fn ids(&self) -> Result<Vec<String>> {
        let uids = self.config.get("uids").unwrap_or(&Value::Null);
        let data = uids.get("data").unwrap_or(uids);
        if let Some(values) = data.get("values").and_then(Value::as_array) {
            let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            return Ok(values.iter().map(text).collect());
        }
        match self.tensor("configuration.safetensors", data)? {
            TensorData::I64(ids) => Ok(ids.into_iter().map(|id| id.to_string()).collect()),
            TensorData::I32(ids) => Ok(ids.into_iter().map(|id| id.to_string()).collect()),
            _ => Err(self.bad("its series are named by neither text nor whole numbers")),
        }
    }

    /// The time of every row, as text.
    fn times(&self) -> Result<Vec<String>> {
        let ds = self.config.get("ds").unwrap_or(&Value::Null);
        let data = ds.get("data").unwrap_or(ds);
        let numbers = match self.tensor("configuration.safetensors", data)? {
            TensorData::I64(times) => times,
            TensorData::I32(times) => times.into_iter().map(i64::from).collect(),
            _ => return Err(self.bad("its times are neither dates nor whole numbers")),
        };
        let Some(unit) = ds.get("unit").and_then(Value::as_str) else {
            return Ok(numbers.into_iter().map(|n| n.to_string()).collect());
        };
        let seconds = |n: i64| match unit {
            "ns" => Some(n.div_euclid(1_000_000_000)),
            "us" => Some(n.div_euclid(1_000_000)),
            "ms" => Some(n.div_euclid(1000)),
            "s" => Some(n),
            "D" => n.checked_mul(86_400),
            _ => None,
        };
        let all: Option<Vec<i64>> = numbers.into_iter().map(seconds).collect();
        let Some(all) = all else { return Err(self.bad(format!("its times are in {unit:?}"))) };
        let sample = if all.iter().all(|s| s.rem_euclid(86_400) == 0) { "2000-01-01" } else { "2000-01-01 00:00:00" };
        let Some((_, form)) = Stamp::parse(sample) else { return Ok(Vec::new()) };
        Ok(all.into_iter().map(|seconds| form.write(Stamp(seconds))).collect())
    }
}

fn field<'a>(dataset: &'a Map<String, Value>, name: &str) -> &'a Value {
    dataset.get("fields").and_then(|fields| fields.get(name)).unwrap_or(&Value::Null)
}

impl Values<'_> {
    /// Where a series is in the folder.
    fn place(&self, id: &str) -> usize {
        self.places.get(id).copied().unwrap_or_default()
    }

    /// A column as it was before it was scaled.
    fn column(&self, name: &str) -> Result<Vec<f32>> {
        let Some(at) = self.columns.iter().position(|column| column == name) else {
            return Err(self.folder.bad(format!("its series have no column {name:?}")));
        };
        let mut values: Vec<f32> = self.table.iter().skip(at).step_by(self.columns.len()).copied().collect();
        if self.scaler.is_some() && name != "available_mask" {
            for (range, [shift, scale]) in self.ends.windows(2).zip(self.scales(name)?) {
                values[range[0]..range[1]].iter_mut().for_each(|v| *v = *v * scale + shift);
            }
        }
        Ok(values)
    }

    /// Shift and scale of a column of every series.
    fn scales(&self, name: &str) -> Result<Vec<[f32; 2]>> {
        let saved = self.folder.config.get("scalers_").and_then(|all| all.get(name)).and_then(|one| one.get("stats_"));
        let Some(saved) = saved else { return Ok(vec![[0.0, 1.0]; self.ids.len()]) };
        match self.folder.tensor("configuration.safetensors", saved)? {
            TensorData::F32(stats) if stats.len() == 2 * self.ids.len() && stats.iter().all(|v| v.is_finite()) => {
                Ok(stats
                    .as_chunks()
                    .0
                    .iter()
                    .map(|[shift, scale]| [*shift, if *scale > 0.0 { *scale } else { 1.0 }])
                    .collect())
            }
            _ => Err(self.folder.bad(format!("the scales of column {name:?} are not two finite numbers a series"))),
        }
    }

    /// The static columns of these series.
    fn stat(&self, ids: &[String], exogenous: &Exogenous) -> Result<Vec<f32>> {
        if exogenous.stat.is_empty() {
            return Ok(Vec::new());
        }
        let names = listed(field(&self.dataset, "static_cols"));
        let TensorData::F32(all) = self.folder.tensor("dataset.safetensors", field(&self.dataset, "static"))? else {
            return Err(self.folder.bad("its static columns are not numbers of 32 bits"));
        };
        let mut values = Vec::with_capacity(ids.len() * exogenous.stat.len());
        for id in ids {
            for name in &exogenous.stat {
                let at = names.iter().position(|column| column == name);
                let value = at.and_then(|at| all.get(self.place(id) * names.len() + at));
                let Some(value) = value else { return Err(self.folder.bad(format!("no static column {name:?}"))) };
                values.push(*value);
            }
        }
        Ok(values)
    }
}
