//! Columns of categories: a table of numbers for each, learnt with the network, in place of the numbers of their words. Names and places are NeuralForecast's.
use super::cx::{ForecastCx, Known};
use super::settings::{Build, Pretrained};
use crate::error::Result;
use crate::frame::Exogenous;
use crate::losses::ForecastLoss;
use mayfly_graph::NodeId;
use mayfly_nn::{CustomOp, Dims, Init, Shape};
use serde_json::Value;
use std::sync::Arc;

/// Words of each column of categories, by kind. The columns are the last of their kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Vocabularies {
    pub(crate) hist: Vec<usize>,
    pub(crate) futr: Vec<usize>,
    pub(crate) stat: Vec<usize>,
}

impl Vocabularies {
    /// Those of columns that a frame has.
    pub(crate) fn of(names: &Exogenous) -> Vocabularies {
        let sizes = |columns: &[String]| names.categories_of(columns).map(|category| category.words.len()).collect();
        Vocabularies { hist: sizes(&names.hist), futr: sizes(&names.futr), stat: sizes(&names.stat) }
    }

    fn is_empty(&self) -> bool {
        self.hist.is_empty() && self.futr.is_empty() && self.stat.is_empty()
    }
}

/// A family that sees categories, if there are any.
pub(crate) fn embedded(own: Arc<dyn Build>, words: &Vocabularies) -> Arc<dyn Build> {
    if words.is_empty() { own } else { Arc::new(Embedded { own, words: words.clone() }) }
}

#[derive(Debug)]
struct Embedded {
    own: Arc<dyn Build>,
    words: Vocabularies,
}

impl Build for Embedded {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let Vocabularies { hist, futr, stat } = &self.words;
        if let Some(columns) = cx.hist.filter(|_| !hist.is_empty()) {
            let tables = tables(cx, "hist", hist)?;
            cx.hist = Some(looked_up(cx, columns, &tables)?);
            if self.own.states(cx.outputs) > 0 {
                // A forecast step by step knows no words behind the cutoff.
                let row = cx.unknown_rows(columns.count)?;
                let unknown = looked_up(cx, Known { node: row, ..columns }, &tables)?;
                cx.states.unknown_hist = Some(unknown.node);
            }
        }
        if let Some(columns) = cx.futr.filter(|_| !futr.is_empty()) {
            let tables = tables(cx, "futr", futr)?;
            cx.futr = Some(looked_up(cx, columns, &tables)?);
        }
        if let Some(columns) = cx.stat.filter(|_| !stat.is_empty()) {
            let tables = tables(cx, "stat", stat)?;
            cx.stat = Some(looked_up(cx, columns, &tables)?);
        }
        self.own.build(cx)
    }

    fn config(&self) -> Value {
        self.own.config()
    }

    fn check(&self) -> Result<()> {
        self.own.check()
    }

    fn loss(&self) -> ForecastLoss {
        self.own.loss()
    }

    fn states(&self, outputs: usize) -> usize {
        self.own.states(outputs)
    }

    fn parts(&self) -> Vec<String> {
        self.own.parts()
    }

    fn closed_form(&self) -> Option<f64> {
        self.own.closed_form()
    }

    fn trajectories(&self) -> usize {
        self.own.trajectories()
    }

    fn pretrained(&self) -> Option<&dyn Pretrained> {
        self.own.pretrained()
    }
}

/// Numbers that stand for a word: fast.ai's rule.
fn width(words: usize) -> usize {
    ((1.6 * (words as f64).powf(0.56)).ceil() as usize).clamp(1, 50)
}

/// The tables of some columns: a row a word, and before them one for words that are not known.
fn tables(cx: &mut ForecastCx<'_, '_>, kind: &str, words: &[usize]) -> mayfly_nn::Result<Vec<NodeId>> {
    let mut all = Vec::with_capacity(words.len());
    for (i, words) in words.iter().enumerate() {
        let name = format!("{kind}_cat_embeddings.{i}.weight");
        let rows = cx.weight(&name, &[words + 1, width(*words)], Init::Normal { deviation: 1.0 })?;
        all.push(cx.cx.graph().custom(Arc::new(UnseenIsMean), &[rows])?);
    }
    Ok(all)
}

/// Columns of which the last are numbers of words, with what stands for the words in their place.
fn looked_up(cx: &mut ForecastCx<'_, '_>, columns: Known, tables: &[NodeId]) -> mayfly_nn::Result<Known> {
    let axis = cx.cx.dims(columns.node)?.len();
    let numbers = columns.count - tables.len();
    let mut parts = Vec::with_capacity(1 + tables.len());
    if numbers > 0 {
        parts.push(cx.cut(columns.node, axis, 0, numbers)?);
    }
    for (i, table) in tables.iter().enumerate() {
        let ids = cx.cut(columns.node, axis, numbers + i, 1)?;
        let dims = cx.cx.dims(ids)?;
        let ids = cx.reshape(ids, &dims[..dims.len() - 1])?;
        parts.push(cx.cx.graph().embed(ids, *table)?);
    }
    let node = cx.joined(&parts, axis)?;
    Ok(Known { node, count: cx.width(node)? })
}

/// `table [1 + n, d] → [1 + n, d]`: the first row, that of words that were not seen in training, is the mean of the others.
#[derive(Debug)]
struct UnseenIsMean;

impl CustomOp for UnseenIsMean {
    fn name(&self) -> &'static str {
        "unseen_is_mean"
    }

    fn shape(&self, inputs: &[Shape]) -> std::result::Result<Shape, String> {
        match inputs {
            [table] if table.rank() == 2 && !table.is_batched() => Ok(*table),
            _ => Err(format!("a table [1 + words, width] is needed, got {inputs:?}")),
        }
    }

    fn forward(&self, y: &mut [f32], inputs: &[&[f32]], dims: &[Dims]) {
        let (words, d) = (dims[0][0] - 1, dims[0].last());
        y.copy_from_slice(inputs[0]);
        let (mean, rows) = y.split_at_mut(d);
        mean.fill(0.0);
        for row in rows.chunks_exact(d) {
            mean.iter_mut().zip(row).for_each(|(mean, v)| *mean += v / words as f32);
        }
    }

    fn backward(&self, _: usize, dx: &mut [f32], dy: &[f32], _: &[&[f32]], _: &[f32], dims: &[Dims]) {
        let (words, d) = (dims[0][0] - 1, dims[0].last());
        dx.copy_from_slice(dy);
        let (first, rows) = dx.split_at_mut(d);
        for row in rows.chunks_exact_mut(d) {
            row.iter_mut().zip(&*first).for_each(|(dx, dmean)| *dx += dmean / words as f32);
        }
        first.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_fast_ais() {
        assert_eq!([0, 1, 2, 3, 10, 100, 1000, 100_000].map(width), [1, 2, 3, 3, 6, 22, 50, 50]);
    }
}
