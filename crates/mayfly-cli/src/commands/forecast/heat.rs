//! A picture of explanations: what each step of a forecast gets from each value of the past, and from everything else.
use crate::support::heat::{Column, Panel, Picture, svg};
use mayfly_forecast::{Explained, Explanation, Explanations, Input, InputKind};
use std::collections::BTreeMap;

/// Series that are drawn of a model, and columns beside the past.
const SERIES: usize = 3;
const COLUMNS: usize = 5;

/// For each model and series a panel.
pub(super) fn draw(explanations: &Explanations, name: &str) -> String {
    let mut panels = Vec::new();
    for explanation in &explanations.models {
        let of_series = explanation.forecasts.chunk_by(|a, b| a.id == b.id);
        panels.extend(of_series.take(SERIES).map(|steps| panel(explanations, explanation, steps)));
    }
    let method = explanations.method.name().replace('_', " ");
    let subtitle =
        format!("Steps of the forecast by values of the past: orange raises a step, blue lowers it ({method}).");
    svg(&Picture { title: format!("What forecasts of {name} are made of"), subtitle, panels })
}

/// What inputs are added up in one column of the picture: those of one name, of one series.
type Group<'a> = (InputKind, &'a str, Option<&'a str>);

fn panel(explanations: &Explanations, explanation: &Explanation, steps: &[Explained]) -> Panel {
    let id = steps.first().map_or("", |one| one.id.as_str());
    let inputs = || explanation.inputs.iter().enumerate();
    let past: Vec<(usize, &Input)> = inputs().filter(|(_, input)| is_own_past(input, id)).collect();
    let mut groups: BTreeMap<Group<'_>, Vec<f64>> = BTreeMap::new();
    for (at, input) in inputs().filter(|(_, input)| !is_own_past(input, id)) {
        let of = input.of.as_deref().filter(|of| *of != id);
        let sums = groups.entry((input.kind, &input.column, of)).or_insert_with(|| vec![0.0; steps.len()]);
        sums.iter_mut().zip(steps).for_each(|(sum, one)| *sum += value(one, at));
    }
    let size = |values: &[f64]| values.iter().map(|v| v.abs()).sum::<f64>();
    let mut groups: Vec<(Group<'_>, Vec<f64>)> = groups.into_iter().collect();
    groups.sort_by(|a, b| size(&b.1).total_cmp(&size(&a.1)));
    let rest = groups.split_off(groups.len().min(COLUMNS));
    let mut beside: Vec<Column> =
        groups.into_iter().map(|(group, values)| Column { label: label(group), values }).collect();
    if !rest.is_empty() {
        let sum = |step: usize| rest.iter().filter_map(|(_, values)| values.get(step)).sum();
        let values = (0..steps.len()).map(sum).collect();
        beside.push(Column { label: format!("{} others", rest.len()), values });
    }
    let time = |input: &Input| {
        let time = steps.first().and_then(|one| explanations.time(one, input));
        time.map(|time| explanations.written(time)).unwrap_or_default()
    };
    let column = |(at, input): &(usize, &Input)| Column {
        label: time(input),
        values: steps.iter().map(|one| value(one, *at)).collect(),
    };
    Panel {
        title: format!("{}: {id}", explanation.model),
        rows: steps.iter().map(|one| explanations.written(one.ds)).collect(),
        past: past.iter().map(column).collect(),
        beside,
    }
}

fn is_own_past(input: &Input, id: &str) -> bool {
    input.kind == InputKind::Y && input.of.as_deref().is_none_or(|of| of == id)
}

fn value(one: &Explained, at: usize) -> f64 {
    one.attributions.get(at).map_or(0.0, |a| f64::from(*a))
}

fn label((_, column, of): Group<'_>) -> String {
    of.map_or_else(|| column.to_owned(), |of| format!("{column} of {of}"))
}
