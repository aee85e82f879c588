//! Series that add up: forecasts that do too (hierarchical forecasting; Wickramasuriya et al. 2019, and for distributions by bootstrapped samples Panagiotelis et al. 2023, as NeuralForecast's HINT).
use super::at::Together;
use super::fitted::Fitted;
use super::group::{Column, Cut, Group};
use super::steps::strata;
use crate::error::{ForecastError, Result};
use crate::frame::{ById, FrameOptions, SeriesFrame, by_id};
use crate::losses::{ForecastLoss, Margin, Spread};
use crate::metrics::quantile;
use mayfly_base::mix;
use mayfly_format::data::Input;

/// Draws of each step.
const DRAWS: usize = 1000;

/// How forecasts of all series become forecasts that add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reconciliation {
    /// Those of the bottom series are added up.
    #[default]
    BottomUp,
    /// Least squares between forecasts and what adds up.
    MinTraceOls,
    /// The same, where a sum of many series may be further off.
    MinTraceWls,
    /// They stay as they are.
    Identity,
}

impl Reconciliation {
    /// The names.
    pub const NAMES: [&str; 4] = ["BottomUp", "MinTraceOLS", "MinTraceWLS", "Identity"];

    /// The method of this name, in any case.
    ///
    /// # Errors
    /// A name that is not among [`Reconciliation::NAMES`].
    pub fn by_name(name: &str) -> Result<Reconciliation> {
        let all = [
            Reconciliation::BottomUp,
            Reconciliation::MinTraceOls,
            Reconciliation::MinTraceWls,
            Reconciliation::Identity,
        ];
        let plain = name.replace('_', "");
        let known = Reconciliation::NAMES.iter().position(|known| known.eq_ignore_ascii_case(&plain));
        let unknown = || ForecastError::unknown("reconciliation", name, &Reconciliation::NAMES);
        known.map(|i| all[i]).ok_or_else(unknown)
    }
}

/// Which series add up to which.
#[derive(Clone, PartialEq, Debug)]
pub struct Hierarchy {
    /// All series.
    ids: Vec<String>,
    /// For each of them, how often it contains each bottom series.
    sums: Vec<Vec<f64>>,
    /// `[series, series]`: forecasts that add up from forecasts.
    projection: Vec<Vec<f64>>,
}

impl Hierarchy {
    /// Series, each with how often it contains each of the bottom series, which are among them.
    ///
    /// # Errors
    /// Rows of other lengths than `bottom`, a bottom series that is not among the series or is more than itself, a series twice.
    pub fn new(ids: Vec<String>, bottom: &[String], sums: Vec<Vec<f64>>, method: Reconciliation) -> Result<Hierarchy> {
        let refuse = |what: String| Err(ForecastError::option("hierarchy", "no hierarchy", what));
        let mut sorted: Vec<&String> = ids.iter().collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return refuse(format!("{:?} is there twice", pair[0]));
        }
        if bottom.is_empty() || sums.len() != ids.len() || sums.iter().any(|row| row.len() != bottom.len()) {
            return refuse(format!("{} bottom series need as many numbers for each series", bottom.len()));
        }
        if sums.iter().flatten().any(|v| !v.is_finite()) || sums.iter().any(|row| row.iter().all(|v| *v == 0.0)) {
            return refuse("every series contains at least one bottom series, and all numbers are finite".into());
        }
        for (j, name) in bottom.iter().enumerate() {
            let Some(i) = ids.iter().position(|id| id == name) else {
                return refuse(format!("the column {name:?} is none of the series: columns are bottom series"));
            };
            if sums[i].iter().enumerate().any(|(k, v)| *v != f64::from(u8::from(k == j))) {
                return refuse(format!("the bottom series {name:?} must contain itself once, and nothing else"));
            }
        }
        let places: Vec<usize> =
            bottom.iter().map(|name| ids.iter().position(|id| id == name).unwrap_or_default()).collect();
        let projection = projection(&sums, &places, method)?;
        Ok(Hierarchy { ids, sums, projection })
    }

    /// Reads a table: a row for every series, a column for every bottom series with how often it is contained, as Nixtla's `S_df`.
    ///
    /// # Errors
    /// A file that cannot be read, and those of [`Hierarchy::new`].
    pub fn read(input: impl Into<Input>, method: Reconciliation, options: &FrameOptions) -> Result<Hierarchy> {
        let ById { file, names: bottom, rows, .. } =
            by_id(input.into(), options.id.as_deref(), options, "the columns of a hierarchy")?;
        let (ids, sums): (Vec<String>, Vec<Vec<f64>>) =
            rows.into_iter().map(|(id, values)| (id, values.into_iter().map(f64::from).collect::<Vec<f64>>())).unzip();
        Hierarchy::new(ids, &bottom, sums, method).map_err(|error| match error {
            ForecastError::Option { want, .. } => ForecastError::BadFile { file, what: want },
            other => other,
        })
    }

    /// The series.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Whether values of all series add up, but for rounding.
    pub fn adds_up(&self, values: &[f64]) -> bool {
        let is_bottom = |row: &Vec<f64>| row.iter().filter(|v| **v != 0.0).count() == 1 && row.contains(&1.0);
        let width = self.sums.first().map_or(0, Vec::len);
        let mut bottom = vec![0.0; width];
        for (row, value) in self.sums.iter().zip(values).filter(|(row, _)| is_bottom(row)) {
            if let Some(j) = row.iter().position(|v| *v == 1.0) {
                bottom[j] = *value;
            }
        }
        self.sums.iter().zip(values).all(|(row, value)| {
            let sum: f64 = row.iter().zip(&bottom).map(|(v, b)| v * b).sum();
            let size: f64 = row.iter().zip(&bottom).map(|(v, b)| (v * b).abs()).sum();
            (sum - value).abs() <= 1e-5 * (size + 1e-6)
        })
    }

    fn project(&self, values: &[f64]) -> Vec<f64> {
        self.projection.iter().map(|row| row.iter().zip(values).map(|(p, v)| p * v).sum()).collect()
    }
}

/// `S P`, with `P = (Sᵀ W⁻¹ S)⁻¹ Sᵀ W⁻¹`, or the places of the bottom series.
fn projection(sums: &[Vec<f64>], bottom: &[usize], method: Reconciliation) -> Result<Vec<Vec<f64>>> {
    let (n, b) = (sums.len(), bottom.len());
    let one = |is: bool| f64::from(u8::from(is));
    if method == Reconciliation::Identity {
        return Ok((0..n).map(|i| (0..n).map(|j| one(i == j)).collect()).collect());
    }
    let of_bottom: Vec<Vec<f64>> = match method {
        Reconciliation::BottomUp => bottom.iter().map(|place| (0..n).map(|i| one(i == *place)).collect()).collect(),
        _ => {
            let weight = |i: usize| match method {
                Reconciliation::MinTraceWls => 1.0 / sums[i].iter().sum::<f64>(),
                _ => 1.0,
            };
            if (0..n).any(|i| !(weight(i) > 0.0 && weight(i).is_finite())) {
                let what = "MinTraceWLS needs series that contain more than nothing";
                return Err(ForecastError::option("hierarchy", "no hierarchy", what));
            }
            let mut square: Vec<Vec<f64>> = (0..b)
                .map(|j| (0..b).map(|k| (0..n).map(|i| sums[i][j] * weight(i) * sums[i][k]).sum()).collect())
                .collect();
            let mut right: Vec<Vec<f64>> = (0..b).map(|j| (0..n).map(|i| sums[i][j] * weight(i)).collect()).collect();
            solve(&mut square, &mut right);
            right
        }
    };
    let row = |sums: &Vec<f64>| -> Vec<f64> {
        (0..n).map(|i| sums.iter().zip(&of_bottom).map(|(s, row)| s * row[i]).sum()).collect()
    };
    Ok(sums.iter().map(row).collect())
}

/// Solves a positive definite system for several right sides, in place. Its diagonal is at least 1, since every bottom series is one of the series.
fn solve(square: &mut [Vec<f64>], right: &mut [Vec<f64>]) {
    let n = square.len();
    for i in 0..n {
        let pivot = square[i][i];
        for j in i + 1..n {
            let share = square[j][i] / pivot;
            if share == 0.0 {
                continue;
            }
            let (above, below) = square.split_at_mut(j);
            below[0][i..].iter_mut().zip(&above[i][i..]).for_each(|(b, a)| *b -= share * a);
            let (above, below) = right.split_at_mut(j);
            below[0].iter_mut().zip(&above[i]).for_each(|(b, a)| *b -= share * a);
        }
    }
    for i in (0..n).rev() {
        let (above, below) = right.split_at_mut(i + 1);
        for (j, row) in below.iter().enumerate() {
            let share = square[i][i + 1 + j];
            above[i].iter_mut().zip(row).for_each(|(a, b)| *a -= share * b);
        }
        above[i].iter_mut().for_each(|a| *a /= square[i][i]);
    }
}

/// What a column of a forecast is of its draws.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Told {
    /// The mean, which is the point itself where there is nothing else.
    Mean,
    Quantile(f64),
}

impl Fitted {
    /// Forecasts that add up. Columns are those of the model, without its parameters.
    pub(super) fn reconciled(&self, hierarchy: &Hierarchy, cuts: &[Cut<'_>], h: usize) -> Result<Group> {
        let Together { cuts: all, places } = Together::new(cuts, &hierarchy.ids);
        let margins = self.margins(&all, h)?;
        let columns = self.columns_told();
        let (n, width) = (hierarchy.ids.len(), columns.len());
        let mut values = vec![0.0_f32; all.len() * h * width];
        for (time, margins) in margins.chunks_exact(n * h).enumerate() {
            for step in 0..h {
                let at: Vec<&Margin> = margins.iter().skip(step).step_by(h).collect();
                for (series, draws) in self.draws(hierarchy, &at, step).into_iter().enumerate() {
                    let place = ((time * n + series) * h + step) * width;
                    for (value, (_, told)) in values[place..place + width].iter_mut().zip(&columns) {
                        *value = match told {
                            Told::Mean => draws.mean as f32,
                            Told::Quantile(share) => quantile(&draws.sorted, *share) as f32,
                        };
                    }
                }
            }
        }
        let of = |i: usize| -> Vec<f32> {
            let steps = places.iter().flat_map(|place| (place * h..(place + 1) * h).map(|step| step * width + i));
            steps.map(|at| values[at]).collect()
        };
        let alias = &self.model.alias;
        let named = columns.iter().enumerate();
        let columns =
            named.map(|(i, (suffix, _))| Column { name: format!("{alias}{suffix}"), values: of(i) }).collect();
        Ok(Group { name: alias.clone(), columns, intervals: self.intervals_told() })
    }

    /// Suffixes of the columns, and what they are of the draws.
    fn columns_told(&self) -> Vec<(String, Told)> {
        let bounds =
            |spread: &Spread| spread.bounds().into_iter().map(|bound| (bound.suffix, Told::Quantile(bound.share)));
        let mean = (String::new(), Told::Mean);
        match (&self.model.loss, &self.residuals) {
            (ForecastLoss::Distribution(loss), _) => [mean].into_iter().chain(bounds(&loss.spread)).collect(),
            (loss, _) if loss.spread().is_some() => loss.spread().into_iter().flat_map(bounds).collect(),
            (_, Some(residuals)) => {
                // The first of the bounds is the median, for which the point itself stands.
                let spread = Spread::level(&residuals.level);
                [mean].into_iter().chain(bounds(&spread).skip(1)).collect()
            }
            _ => self.model.loss.columns().into_iter().map(|suffix| (suffix, Told::Mean)).collect(),
        }
    }

    fn intervals_told(&self) -> Vec<(String, [usize; 2])> {
        match &self.residuals {
            Some(residuals) => Spread::level(&residuals.level).intervals(),
            None => self.model.loss.intervals_of_columns(),
        }
    }

    /// What each series draws of one step once it adds up.
    fn draws(&self, hierarchy: &Hierarchy, margins: &[&Margin], step: usize) -> Vec<Draws> {
        let is_point = margins.iter().all(|margin| matches!(margin, Margin::Point(_)));
        let count = if is_point { 1 } else { DRAWS };
        let seed = mix(self.model.common.random_seed);
        let drawn: Vec<Vec<f64>> = margins
            .iter()
            .enumerate()
            .map(|(i, margin)| {
                let shares = strata(seed ^ mix(2 + i as u64), step, count);
                shares.into_iter().map(|share| margin.quantile(share)).collect()
            })
            .collect();
        let mut sums = vec![Vec::with_capacity(count); margins.len()];
        for k in 0..count {
            let values: Vec<f64> = drawn.iter().map(|draws| draws[k]).collect();
            for (sum, value) in sums.iter_mut().zip(hierarchy.project(&values)) {
                sum.push(value);
            }
        }
        sums.into_iter()
            .map(|mut sorted| {
                let mean = sorted.iter().sum::<f64>() / count as f64;
                sorted.sort_by(f64::total_cmp);
                Draws { mean, sorted }
            })
            .collect()
    }
}

/// Draws of one step of one series.
struct Draws {
    mean: f64,
    sorted: Vec<f64>,
}

impl Hierarchy {
    /// Refuses series that are not all of the hierarchy, and no others, or that do not end together.
    pub(super) fn check(&self, frame: &SeriesFrame) -> Result<()> {
        let lacking = self.ids.iter().find(|id| !frame.ids.contains(id));
        let strange = frame.ids.iter().find(|id| !self.ids.contains(id));
        let what = match (lacking, strange) {
            (Some(id), _) => format!("it has the series {id:?}, which is not there"),
            (_, Some(id)) => format!("it lacks the series {id:?}"),
            _ => return frame.aligned().map(drop),
        };
        Err(ForecastError::option("hierarchy", "of other series", what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    /// All, two regions and three shops, of which the first region has two.
    fn hierarchy(method: Reconciliation) -> Hierarchy {
        let sums = [[1, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]];
        let sums = sums.iter().map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect();
        Hierarchy::new(names(&["all", "r1", "r2", "a", "b", "c"]), &names(&["a", "b", "c"]), sums, method).unwrap()
    }

    #[test]
    fn projections_are_neural_forecasts() {
        // S @ get_mintrace_ols_P(S) @ y and so on, of neuralforecast 3.3.0.
        let y = [10.0, 5.0, 6.0, 2.0, 4.0, 3.0];
        let near = |got: Vec<f64>, want: [f64; 6]| {
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-9), "{got:?}, not {want:?}");
        };
        near(hierarchy(Reconciliation::BottomUp).project(&y), [9.0, 6.0, 3.0, 2.0, 4.0, 3.0]);
        near(hierarchy(Reconciliation::Identity).project(&y), y);
        near(hierarchy(Reconciliation::MinTraceOls).project(&y), OLS);
        near(hierarchy(Reconciliation::MinTraceWls).project(&y), WLS);
        for method in [Reconciliation::BottomUp, Reconciliation::MinTraceOls, Reconciliation::MinTraceWls] {
            let hierarchy = hierarchy(method);
            let sums = hierarchy.project(&y);
            assert!(hierarchy.adds_up(&sums) && !hierarchy.adds_up(&y), "{sums:?}");
            // What adds up stays.
            near(hierarchy.project(&sums), sums.clone().try_into().unwrap());
        }
    }

    const OLS: [f64; 6] = [129.0 / 13.0, 70.0 / 13.0, 59.0 / 13.0, 22.0 / 13.0, 48.0 / 13.0, 59.0 / 13.0];
    const WLS: [f64; 6] = [10.0, 5.5, 4.5, 1.75, 3.75, 4.5];

    #[test]
    fn what_is_no_hierarchy_is_refused() {
        let said = |ids: &[&str], bottom: &[&str], sums: &[&[f64]]| {
            let sums = sums.iter().map(|row| row.to_vec()).collect();
            Hierarchy::new(names(ids), &names(bottom), sums, Reconciliation::BottomUp).unwrap_err().to_string()
        };
        assert!(said(&["t", "t"], &["t"], &[&[1.0], &[1.0]]).contains("twice"));
        assert!(said(&["t", "a"], &["b"], &[&[1.0], &[1.0]]).contains("none of the series"));
        assert!(said(&["t", "a"], &["a"], &[&[1.0], &[2.0]]).contains("itself once"));
        assert!(said(&["t", "a"], &["a"], &[&[0.0], &[1.0]]).contains("at least one"));
        assert!(said(&["t", "a"], &["a"], &[&[1.0]]).contains("as many numbers"));
        assert!(Reconciliation::by_name("mintrace").unwrap_err().to_string().contains("MinTraceOLS"));
        assert_eq!(Reconciliation::by_name("mintrace_ols").unwrap(), Reconciliation::MinTraceOls);
    }
}
