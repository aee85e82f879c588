//! The rows of a table, as they were found.
use super::category::{Words, renumber};
use super::options::Exogenous;
use crate::calendar::Stamp;
use std::collections::HashMap;

/// One value of the table; NaN where it is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) series: u32,
    pub(super) stamp: Stamp,
    pub(super) y: f32,
    /// Its place among the rows of the exogenous columns.
    pub(super) at: u32,
}

/// The rows of a table.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) ids: Vec<String>,
    numbers: HashMap<String, u32>,
    pub(super) rows: Vec<Row>,
    /// What the exogenous columns are called, and their values: those of `hist`, then those of `futr`, row by row.
    pub(super) names: Exogenous,
    pub(super) beside: Vec<f32>,
    /// How much each row counts in training; nothing where all count alike.
    pub(super) weights: Vec<f32>,
    /// Rows whose value is there but is to be taken for unknown; nothing where there are none.
    pub(super) hidden: Vec<bool>,
    /// The vocabularies of the categories among them.
    pub(super) words: Vec<Words>,
}

impl Rows {
    /// No rows yet, of tables with these exogenous columns.
    pub(super) fn with(names: Exogenous) -> Rows {
        let words = names.categories.iter().map(|_| Words::default()).collect();
        Rows { names, words, ..Rows::default() }
    }

    /// Numbers the words of categories in their order, wherever they were found first.
    pub(super) fn sort_words(&mut self) {
        let names = &mut self.names;
        let columns: Vec<String> = names.all().into_iter().map(str::to_owned).collect();
        for (category, words) in names.categories.iter_mut().zip(std::mem::take(&mut self.words)) {
            let Some(column) = columns.iter().position(|name| *name == category.name) else { continue };
            let (words, numbers) = words.sorted();
            renumber(&mut self.beside, columns.len(), column, &numbers);
            category.words = words;
        }
    }

    /// Whether a row of the table is to be taken for unknown.
    pub(super) fn is_hidden(&self, at: u32) -> bool {
        self.hidden.get(at as usize).copied().unwrap_or(false)
    }

    /// The number of a series, a new one if it was not there yet.
    pub(super) fn series(&mut self, id: &str) -> u32 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = self.ids.len() as u32; // a table has fewer rows than u32 has numbers, see `read`
        self.numbers.insert(id.to_owned(), number);
        self.ids.push(id.to_owned());
        number
    }
}
