//! Columns of categories: words by number. A frame has a vocabulary of its own; a model that of its training, to which frames are brought before it sees them.
use super::options::{Category, Exogenous};
use super::order::order;
use super::series::SeriesFrame;
use crate::error::{ForecastError, Result};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// Words of a column, at most: their numbers are kept as f32.
const MOST_WORDS: usize = 1 << 24;

impl Exogenous {
    /// Puts the columns that are named as categories behind the others of their kind, where they belong, and takes note of them.
    pub(crate) fn with_categories(mut self, named: &[String]) -> Exogenous {
        for columns in [&mut self.hist, &mut self.futr, &mut self.stat] {
            let there: Vec<String> = named.iter().filter(|name| columns.contains(name)).cloned().collect();
            columns.retain(|name| !there.contains(name));
            let known = there.iter().filter(|name| !self.categories.iter().any(|category| category.name == **name));
            let new: Vec<Category> = known.map(|name| Category { name: name.clone(), words: Vec::new() }).collect();
            self.categories.extend(new);
            columns.extend(there);
        }
        self
    }
}

/// A vocabulary that is being read.
#[derive(Default)]
pub(super) struct Words {
    all: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Words {
    /// One that has some words already.
    pub(super) fn from(words: &[String]) -> Words {
        let numbers = words.iter().enumerate().map(|(i, word)| (word.clone(), i + 1)).collect();
        Words { all: words.to_vec(), numbers }
    }

    /// The number of a word, a new one if it was not there yet.
    pub(super) fn number(&mut self, word: &str) -> std::result::Result<f32, String> {
        let word = plain(word);
        if let Some(number) = self.numbers.get(&*word) {
            return Ok(*number as f32);
        }
        if word.is_empty() {
            return Err("a column of categories has no value here; fill it in".to_owned());
        }
        if self.all.len() + 1 >= MOST_WORDS {
            return Err(format!("a column of categories has at most {MOST_WORDS} different values"));
        }
        self.all.push(word.clone().into_owned());
        self.numbers.insert(word.into_owned(), self.all.len());
        Ok(self.all.len() as f32)
    }

    pub(super) fn into_words(self) -> Vec<String> {
        self.all
    }

    /// The words in order, and the new number of each old one.
    pub(super) fn sorted(mut self) -> (Vec<String>, Vec<f32>) {
        let order = order(&self.all);
        let mut numbers = vec![0.0; self.all.len() + 1];
        order.iter().enumerate().for_each(|(to, from)| numbers[*from as usize + 1] = (to + 1) as f32);
        (order.iter().map(|i| std::mem::take(&mut self.all[*i as usize])).collect(), numbers)
    }
}

/// A word as it is compared: whole numbers are the same with and without a point.
pub(crate) fn plain(word: &str) -> Cow<'_, str> {
    let word = word.trim();
    match word.split_once('.') {
        Some((whole, zeros))
            if !whole.is_empty()
                && zeros.bytes().all(|b| b == b'0')
                && whole.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) =>
        {
            whole.into()
        }
        _ => word.into(),
    }
}

/// A number as a word.
pub(super) fn word_of(number: f32, column: &str) -> Result<String> {
    match number.fract() == 0.0 {
        true => Ok(format!("{number:.0}")),
        false => {
            let want = "categories are text or whole numbers";
            Err(ForecastError::option("cat", format!("{number} in column {column:?}"), want))
        }
    }
}

/// Gives the words of a column other numbers; one that has none gets 0.
pub(super) fn renumber(values: &mut [f32], columns: usize, column: usize, numbers: &[f32]) {
    for value in values.iter_mut().skip(column).step_by(columns.max(1)) {
        *value = numbers.get(*value as usize).copied().unwrap_or(0.0);
    }
}

impl SeriesFrame {
    /// The frame with the vocabulary of what lies before the last `held` values of each series: words that are not there are unknown. What a model learns from.
    pub(crate) fn coded(&self, held: usize) -> Cow<'_, SeriesFrame> {
        match self.about.exogenous.categories.is_empty() {
            true => Cow::Borrowed(self),
            false => Cow::Owned(self.recoded(&self.vocabulary(held))),
        }
    }

    fn vocabulary(&self, held: usize) -> Vec<Category> {
        let names = &self.about.exogenous;
        let seen = |category: &Category| {
            let mut seen: BTreeSet<usize> = BTreeSet::new();
            for series in self.iter() {
                let rows = series.y.len().saturating_sub(held);
                for (columns, values, rows) in [
                    (&names.hist, series.hist, rows),
                    (&names.futr, series.futr, rows),
                    (&names.stat, series.stat, rows.min(1)),
                ] {
                    let Some(at) = columns.iter().position(|name| *name == category.name) else { continue };
                    let column = values.iter().skip(at).step_by(columns.len()).take(rows);
                    seen.extend(column.filter(|v| **v >= 1.0).map(|v| *v as usize));
                }
            }
            let words = seen.into_iter().filter_map(|number| category.words.get(number - 1).cloned());
            Category { name: category.name.clone(), words: words.collect() }
        };
        names.categories.iter().map(seen).collect()
    }

    /// The frame with the words of another vocabulary of the same columns; a word that it does not have is unknown.
    #[must_use]
    pub(crate) fn recoded(&self, to: &[Category]) -> SeriesFrame {
        let mut out = self.clone();
        let names = &mut out.about.exogenous;
        for category in &mut names.categories {
            let Some(to) = to.iter().find(|to| to.name == category.name) else { continue };
            let places: HashMap<&str, usize> =
                to.words.iter().enumerate().map(|(i, word)| (word.as_str(), i + 1)).collect();
            let number = |word: &String| places.get(word.as_str()).copied().unwrap_or(0) as f32;
            let numbers: Vec<f32> = [0.0].into_iter().chain(category.words.iter().map(number)).collect();
            for (columns, values) in [
                (&names.hist, &mut out.beside.hist),
                (&names.futr, &mut out.beside.futr),
                (&names.stat, &mut out.beside.stat),
            ] {
                if let Some(column) = columns.iter().position(|name| *name == category.name) {
                    renumber(values, columns.len(), column, &numbers);
                }
            }
            category.words.clone_from(&to.words);
        }
        let is_there = |category: &Category| names.categories.iter().any(|own| own.name == category.name);
        if names.categories.len() == to.len() && to.iter().all(is_there) {
            names.categories = to.to_vec();
        }
        out
    }
}
