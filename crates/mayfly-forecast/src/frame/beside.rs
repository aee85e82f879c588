//! Exogenous columns: in tables of series, of the future, and static ones.
use super::category::word_of;
use super::options::{Exogenous, Fill};
use super::rows::Rows;
use super::series::Beside;
use crate::error::{ForecastError, Result};

/// A table of series in memory, a row a value.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a, I> {
    /// Which series.
    pub ids: &'a [I],
    /// When.
    pub ds: &'a [I],
    /// The values; NaN is a missing one.
    pub y: &'a [f32],
    /// Columns known up to the cutoff of a forecast.
    pub hist: &'a [(&'a str, &'a [f32])],
    /// Columns known over the horizon as well.
    pub futr: &'a [(&'a str, &'a [f32])],
}

impl<I> Table<'_, I> {
    pub(super) fn check(&self, names: &Exogenous) -> Result<()> {
        let n = self.ids.len();
        let columns = || self.hist.iter().chain(self.futr);
        if n == 0 || self.ds.len() != n || self.y.len() != n || columns().any(|(_, values)| values.len() != n) {
            let got = format!("{} ids, {} times and {} values", n, self.ds.len(), self.y.len());
            return Err(ForecastError::option("columns", got, "they must be of one length, which is not 0"));
        }
        if let Some((name, _)) = columns().find(|(_, values)| values.iter().any(|v| !v.is_finite())) {
            return Err(ForecastError::option("columns", name, "exogenous values must be there and finite"));
        }
        check_names(names)
    }

    pub(super) fn names(&self) -> Exogenous {
        let names = |columns: &[(&str, &[f32])]| columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Exogenous { hist: names(self.hist), futr: names(self.futr), ..Exogenous::default() }
    }

    /// Puts the columns into rows, in the order of their names, whole numbers as words where they are categories.
    pub(super) fn put_beside(&self, rows: &mut Rows) -> Result<()> {
        let names = rows.names.all();
        let of = |name: &&str| self.hist.iter().chain(self.futr).find(|(column, _)| column == name);
        let columns: Vec<&(&str, &[f32])> = names.iter().filter_map(of).collect();
        let words: Vec<Option<usize>> = columns
            .iter()
            .map(|(name, _)| rows.names.categories.iter().position(|category| category.name == *name))
            .collect();
        for at in 0..self.ids.len() {
            for ((name, values), words) in columns.iter().zip(&words) {
                let bad = |what: String| ForecastError::option("cat", *name, what);
                rows.beside.push(match words {
                    None => values[at],
                    Some(words) => rows.words[*words].number(&word_of(values[at], name)?).map_err(bad)?,
                });
            }
        }
        Ok(())
    }
}

/// Refuses a column that is named twice.
pub(super) fn check_names(names: &Exogenous) -> Result<()> {
    let mut all: Vec<&str> = names.all();
    all.sort_unstable();
    match all.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ForecastError::option(
            "exogenous columns",
            pair[0],
            "it is named twice; a column is either hist or futr",
        )),
        None => Ok(()),
    }
}

/// Puts the exogenous columns of one series on its grid; where a time has no row, the row before stands in if gaps are filled at all. An error is the first time without one.
pub(super) fn place(
    rows: &Rows,
    places: &[Option<u32>],
    fill: Fill,
    to: &mut Beside,
) -> std::result::Result<(), usize> {
    let (hist, futr) = (rows.names.hist.len(), rows.names.futr.len());
    if hist + futr == 0 {
        return Ok(());
    }
    let mut last = None;
    for (at, place) in places.iter().enumerate() {
        last = place.or(last.filter(|_| fill != Fill::Error));
        let Some(row) = last else { return Err(at) };
        let start = row as usize * (hist + futr);
        let values = &rows.beside[start..start + hist + futr];
        to.hist.extend_from_slice(&values[..hist]);
        to.futr.extend_from_slice(&values[hist..]);
    }
    Ok(())
}
