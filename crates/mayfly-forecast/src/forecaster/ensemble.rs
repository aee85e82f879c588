//! One forecast from those of all models.
use super::group::{Column, Group};
use crate::error::{ForecastError, Result};
use crate::names::nearest;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What the columns of an ensemble are called.
pub(super) const NAME: &str = "Ensemble";

/// How the forecasts of all models become one. Bounds of intervals are put together as the forecasts are, level by level (Lichtendahl et al. 2013).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ensemble {
    /// Their mean.
    Mean,
    /// Their median.
    Median,
    /// Their mean, weighted by one over the mean absolute error on what was held out.
    Weighted,
}

impl Ensemble {
    const NAMES: [&str; 3] = ["mean", "median", "weighted"];

    /// The forecast of all; none of fewer than two models. There is a weight for each model.
    pub(super) fn of(self, groups: &[Group], weights: &[f64]) -> Option<Group> {
        let [first, _, ..] = groups else { return None };
        let weights = if self == Ensemble::Weighted { weights } else { &vec![1.0; groups.len()] };
        let column = |name: String, of: &[&[f32]]| Column { name, values: self.together(of, weights) };
        let points: Vec<&[f32]> = groups.iter().filter_map(|g| Some(&g.columns.first()?.values[..])).collect();
        let mut columns = vec![column(NAME.to_owned(), &points)];
        let mut lower = Vec::new();
        let mut upper = Vec::new();
        for (level, _) in &first.intervals {
            let bounds: Option<Vec<[&[f32]; 2]>> = groups.iter().map(|group| group.bounds(level)).collect();
            let Some(bounds) = bounds else { continue };
            let [low, high] = [0, 1].map(|side| bounds.iter().map(|bound| bound[side]).collect::<Vec<_>>());
            lower.push((level.clone(), column(format!("{NAME}-lo-{level}"), &low)));
            upper.push((level.clone(), column(format!("{NAME}-hi-{level}"), &high)));
        }
        let n = lower.len();
        let intervals = lower.iter().enumerate().map(|(i, (level, _))| (level.clone(), [n - i, n + 1 + i])).collect();
        columns.extend(lower.into_iter().rev().map(|(_, column)| column));
        columns.extend(upper.into_iter().map(|(_, column)| column));
        Some(Group { name: NAME.to_owned(), columns, intervals })
    }

    /// Values side by side become one.
    fn together(self, of: &[&[f32]], weights: &[f64]) -> Vec<f32> {
        let n = of.first().map_or(0, |values| values.len());
        let all: f64 = weights.iter().sum();
        let mut row = vec![0.0; of.len()];
        let one = |at: usize| {
            row.iter_mut().zip(of).for_each(|(to, values)| *to = f64::from(values[at]));
            match self {
                Ensemble::Median => {
                    row.sort_by(f64::total_cmp);
                    f64::midpoint(row[(row.len() - 1) / 2], row[row.len() / 2]) as f32
                }
                _ => (row.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / all) as f32,
            }
        };
        (0..n).map(one).collect()
    }
}

impl Group {
    /// The lower and upper bounds of a level, where it has them.
    fn bounds(&self, level: &str) -> Option<[&[f32]; 2]> {
        let (_, places) = self.intervals.iter().find(|(name, _)| name == level)?;
        let [low, high] = places.map(|place| self.columns.get(place).map(|column| &column.values[..]));
        Some([low?, high?])
    }
}

impl FromStr for Ensemble {
    type Err = ForecastError;

    fn from_str(text: &str) -> Result<Ensemble> {
        match text {
            "mean" => Ok(Ensemble::Mean),
            "median" => Ok(Ensemble::Median),
            "weighted" => Ok(Ensemble::Weighted),
            _ => Err(ForecastError::UnknownName {
                kind: "ensemble",
                name: text.to_owned(),
                near: nearest(text, &Ensemble::NAMES),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A point and bounds of 80 and, unless bare, 90 per cent around it.
    fn group(name: &str, point: f32, is_bare: bool) -> Group {
        let reach = [2.0, 1.0, -1.0, -2.0].map(|reach| point - reach);
        let column = |(i, value): (usize, &f32)| Column { name: i.to_string(), values: vec![*value, value + 100.0] };
        let values = if is_bare { vec![point, reach[1], reach[2]] } else { [&[point][..], &reach].concat() };
        let intervals = match is_bare {
            true => vec![("80".to_owned(), [1, 2])],
            false => vec![("80".to_owned(), [2, 3]), ("90".to_owned(), [1, 4])],
        };
        Group { name: name.into(), columns: values.iter().enumerate().map(column).collect(), intervals }
    }

    #[test]
    fn forecasts_become_one() {
        let groups = [group("a", 1.0, false), group("b", 2.0, false), group("c", 9.0, false)];
        for (how, want) in [(Ensemble::Mean, 4.0), (Ensemble::Median, 2.0), (Ensemble::Weighted, 3.0)] {
            let all = how.of(&groups, &[2.0, 1.0, 1.0]).unwrap();
            let want = if how == Ensemble::Weighted { 3.25 } else { want };
            assert_eq!(all.columns[0].values, [want, want + 100.0], "{how:?}");
            let names: Vec<&str> = all.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names, ["Ensemble", "Ensemble-lo-90", "Ensemble-lo-80", "Ensemble-hi-80", "Ensemble-hi-90"]);
            assert_eq!(all.bounds("80").unwrap().map(|b| b[0]), [want - 1.0, want + 1.0]);
            assert_eq!(all.bounds("90").unwrap().map(|b| b[1]), [want + 98.0, want + 102.0]);
        }
        let even = Ensemble::Median.of(&groups[..2], &[1.0; 2]).unwrap();
        assert_eq!(even.columns[0].values[0], 1.5);
        // Levels that all have.
        let some = Ensemble::Mean.of(&[group("a", 1.0, true), group("b", 3.0, false)], &[1.0; 2]).unwrap();
        assert_eq!((some.columns.len(), some.intervals.len()), (3, 1));
        assert_eq!(some.bounds("80").unwrap().map(|b| b[0]), [1.0, 3.0]);
        assert!(Ensemble::Mean.of(&groups[..1], &[1.0]).is_none());
        assert!("meen".parse::<Ensemble>().unwrap_err().to_string().contains("mean"));
    }
}
