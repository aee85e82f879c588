//! Encoders that change no number, for networks that came without one: ONNX and FANN files know no names of columns, no means and no
//! categories. The answer to a row depends on that row and the network alone, so nothing here is learnt from the file.

use super::labels::sorted;
use super::{Encoder, InputColumn, InputEncoding, LeftOut, MissingPolicy, Reason, ScaledColumn, TargetEncoding};
use crate::data::chunk::{Chunk, MISSING_CODE};
use crate::data::csv::USUAL_TARGETS;
use crate::data::schema::{ColumnKind, Slot};
use crate::data::source::Source;
use crate::error::{FormatError, Result};

use super::roles::format_targets;

/// Which columns of the file are meant.
#[derive(Debug, Clone, Default)]
pub struct PlainOptions {
    /// The inputs, in the order of the network's; found out when empty.
    pub inputs: Vec<String>,
    /// Columns that are neither inputs nor targets.
    pub ignore: Vec<String>,
    /// The targets; found out when empty.
    pub targets: Vec<String>,
}

/// Where the names of the classes come from that a network without names is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassNames {
    /// There are no classes: numbers are compared.
    None,
    /// The network's own.
    Network,
    /// The classes are the numbers of the outputs, 0 for the first; or the columns are the outputs.
    Outputs,
    /// The values of the target column in their order (as numbers, else alphabetical) were taken for the outputs in theirs. A guess.
    Sorted,
}

/// What to do when columns do not fit.
const HINT: &str = "name the inputs in the network's order (--inputs a,b,c), or the columns to leave out (--ignore d)";

impl Encoder {
    /// An encoder of inputs alone, for a network that takes `width` numbers a row.
    ///
    /// Without [`PlainOptions::inputs`] they are all columns of the file but those that are ignored or targets (named so, said so by the
    /// format, or called `target`, `class`, `label` or `y`) and columns of words at the end. When their numbers are not exactly `width`, the
    /// file is refused: no column is left out by a guess.
    ///
    /// # Errors
    /// [`FormatError::InputChoice`], [`FormatError::MissingColumn`], and [`FormatError::ColumnKind`] for words in an input column.
    pub fn plain(source: &dyn Source, width: usize, options: &PlainOptions) -> Result<Self> {
        let inputs = choose_inputs(source, width, options)?;
        build(source, &inputs, &[], TargetEncoding::Numbers { columns: Vec::new() })
    }

    /// An encoder of inputs and targets, to measure a network of `width` inputs and `outputs` outputs; `labels` are the network's names of
    /// its classes, if it has any. Reads the target column once when it holds classes.
    ///
    /// The targets are the columns that are named, else those that the format says, else the only one called `target`, `class`, `label` or
    /// `y`, else the last.
    ///
    /// # Errors
    /// As [`plain`](Encoder::plain), and when the targets do not go with the outputs.
    pub fn plain_with_targets(
        source: &mut dyn Source,
        width: usize,
        outputs: usize,
        labels: &[String],
        options: &PlainOptions,
    ) -> Result<(Self, ClassNames)> {
        let targets = choose_targets(source, options)?;
        let names = |positions: &[usize]| -> Vec<String> {
            positions
                .iter()
                .filter_map(|&i| source.schema().columns().get(i))
                .map(|column| column.name.clone())
                .collect()
        };
        let chosen = PlainOptions { targets: names(&targets), ..options.clone() };
        let inputs = choose_inputs(source, width, &chosen)?;
        let (encoding, how) = target_encoding(source, &targets, chosen.targets, outputs, labels)?;
        Ok((build(source, &inputs, &targets, encoding)?, how))
    }
}

fn find(source: &dyn Source, name: &str) -> Result<usize> {
    let schema = source.schema();
    schema.position(name).ok_or_else(|| FormatError::MissingColumn {
        file: source.name().to_owned(),
        column: name.to_owned(),
        present: schema.column_names(),
    })
}

fn choose_inputs(source: &dyn Source, width: usize, options: &PlainOptions) -> Result<Vec<usize>> {
    let schema = source.schema();
    let is_word = |position: usize| {
        let kind = schema.columns().get(position).map(|column| &column.kind);
        matches!(kind, Some(ColumnKind::Categorical | ColumnKind::Text))
    };
    let named = options.inputs.iter().map(|name| find(source, name)).collect::<Result<Vec<usize>>>()?;
    let mut inputs = named;
    if inputs.is_empty() {
        let left: Vec<usize> =
            options.ignore.iter().chain(&options.targets).map(|name| find(source, name)).collect::<Result<_>>()?;
        let said = format_targets(schema).unwrap_or(schema.columns().len()..schema.columns().len());
        let free = |position: &usize| !left.contains(position) && !said.contains(position);
        inputs = (0..schema.columns().len()).filter(free).collect();
        if numbers_of(source, &inputs) != width || inputs.iter().any(|&position| is_word(position)) {
            inputs = without_answers(source, inputs, &is_word);
        }
    }
    if let Some(column) = inputs.iter().find(|&&position| is_word(position)).and_then(|&i| schema.columns().get(i)) {
        return Err(FormatError::ColumnKind {
            file: source.name().to_owned(),
            column: column.name.clone(),
            want: "numeric, as an input of a network that knows no categories (write its values as the numbers that the network was trained on, or leave it out with --ignore)",
            got: column.kind.name(),
        });
    }
    let got = numbers_of(source, &inputs);
    if got == width {
        return Ok(inputs);
    }
    let columns = inputs.iter().filter_map(|&i| schema.columns().get(i)).map(|column| column.name.clone()).collect();
    Err(FormatError::InputChoice { file: source.name().to_owned(), want: width, got, columns, hint: HINT })
}

/// Leaves out what can only be answers: a column that is called so, and columns of words at the end.
fn without_answers(source: &dyn Source, mut inputs: Vec<usize>, is_word: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let called_so = |&position: &usize| {
        let name = source.schema().columns().get(position).map(|column| column.name.to_ascii_lowercase());
        name.is_some_and(|name| USUAL_TARGETS.contains(&name.as_str()))
    };
    inputs.retain(|position| !called_so(position));
    while inputs.last().is_some_and(|&last| is_word(last)) {
        inputs.pop();
    }
    inputs
}

fn numbers_of(source: &dyn Source, positions: &[usize]) -> usize {
    positions.iter().filter_map(|&i| source.schema().columns().get(i)).map(|column| column.kind.number_width()).sum()
}

fn choose_targets(source: &dyn Source, options: &PlainOptions) -> Result<Vec<usize>> {
    if !options.targets.is_empty() {
        return options.targets.iter().map(|name| find(source, name)).collect();
    }
    let schema = source.schema();
    if let Some(range) = format_targets(schema).filter(|range| !range.is_empty()) {
        return Ok(range.collect());
    }
    let unwanted: Vec<usize> =
        options.inputs.iter().chain(&options.ignore).map(|name| find(source, name)).collect::<Result<_>>()?;
    let candidates: Vec<usize> = (0..schema.columns().len()).filter(|i| !unwanted.contains(i)).collect();
    let usual = |&&i: &&usize| {
        let name = schema.columns().get(i).map(|column| column.name.to_ascii_lowercase());
        name.is_some_and(|name| USUAL_TARGETS.contains(&name.as_str()))
    };
    let called: Vec<usize> = candidates.iter().filter(usual).copied().collect();
    match (called.as_slice(), candidates.last()) {
        ([only], _) => Ok(vec![*only]),
        (_, Some(&last)) => Ok(vec![last]),
        (_, None) => Err(wrong(source, "no column is left for the target".into(), "name it with --target")),
    }
}

fn wrong(source: &dyn Source, what: String, hint: &str) -> FormatError {
    FormatError::Unlearnable { file: source.name().to_owned(), what, hint: hint.to_owned() }
}

fn target_encoding(
    source: &mut dyn Source,
    positions: &[usize],
    names: Vec<String>,
    outputs: usize,
    labels: &[String],
) -> Result<(TargetEncoding, ClassNames)> {
    let numeric = positions.iter().all(|&i| matches!(source.schema().slot(i), Some((_, Slot::Number(_)))));
    let column = names.first().cloned().unwrap_or_default();
    let classes = |labels: Vec<String>, numeric: bool| {
        let counts = vec![0; labels.len()];
        TargetEncoding::Classes { column: column.clone(), numeric, labels, counts }
    };
    if numeric && positions.len() == outputs && (outputs > 1 || labels.len() != 2) {
        let scaled = |name: &String| ScaledColumn { name: name.clone(), shift: 0.0, scale: 1.0 };
        if one_hot(source, positions)? {
            let counts = vec![0; names.len()];
            return Ok((TargetEncoding::LargestColumn { columns: names, counts }, ClassNames::Outputs));
        }
        if let Some((low, high)) = binary(source, positions)? {
            let labels = vec![low.to_string(), high.to_string()];
            return Ok((
                TargetEncoding::BinaryColumn { column, low, high, labels, counts: vec![0, 0] },
                ClassNames::Outputs,
            ));
        }
        return Ok((TargetEncoding::Numbers { columns: names.iter().map(scaled).collect() }, ClassNames::None));
    }
    if positions.len() > 1 || outputs < 2 {
        let what =
            format!("{} target columns ({}), and the network has {outputs} outputs", names.len(), names.join(", "));
        let hint = "name the targets with --target: one column of classes for several outputs, or a column of numbers an output";
        return Err(wrong(source, what, hint));
    }
    let found = values_of(source, positions.first().copied().unwrap_or(0), outputs)?;
    if labels.len() == outputs {
        return Ok((classes(labels.to_vec(), numeric), ClassNames::Network)); // others are named where they stand
    }
    let index = |label: &String| label.parse::<usize>().is_ok_and(|index| index < outputs);
    if numeric && found.iter().all(index) {
        return Ok((classes((0..outputs).map(|i| i.to_string()).collect(), true), ClassNames::Outputs));
    }
    if found.len() == outputs {
        return Ok((classes(found, numeric), ClassNames::Sorted));
    }
    let what = format!(
        "the target \"{column}\" has {} different values, the network has {outputs} outputs and no names for them",
        found.len()
    );
    Err(wrong(
        source,
        what,
        "write the classes as the numbers of the outputs, from 0; or measure on a file that has every class",
    ))
}

/// Goes through the rows of a file and back to the first.
fn each_row(source: &mut dyn Source, mut each: impl FnMut(&Chunk, usize) -> bool) -> Result<()> {
    let mut chunk = Chunk::default();
    source.rewind()?;
    'rows: while source.read(&mut chunk, 1 << 10)? > 0 {
        for row in 0..chunk.rows {
            if !each(&chunk, row) {
                break 'rows;
            }
        }
    }
    source.rewind()
}

fn slots_of(source: &dyn Source, positions: &[usize]) -> Vec<usize> {
    let slot = |&position: &usize| match source.schema().slot(position) {
        Some((_, Slot::Number(at))) => Some(at),
        _ => None,
    };
    positions.iter().filter_map(slot).collect()
}

/// Whether in every row one of several columns is 1 and the others are 0, or all −1.
fn one_hot(source: &mut dyn Source, positions: &[usize]) -> Result<bool> {
    if positions.len() < 2 {
        return Ok(false);
    }
    let (slots, schema) = (slots_of(source, positions), source.schema().clone());
    let mut probe = super::stats::OneHot::new(slots.len());
    let mut rows = 0_u64;
    each_row(source, |chunk, row| {
        let numbers = chunk.numbers_of(&schema, row);
        probe.add(slots.iter().filter_map(|&slot| numbers.get(slot).copied()), 0);
        rows += 1;
        probe.is_one_hot()
    })?;
    Ok(rows > 0 && probe.is_one_hot())
}

/// The two numbers of a single column that holds no others, when they are 0 and 1, or −1 and 1.
fn binary(source: &mut dyn Source, positions: &[usize]) -> Result<Option<(f64, f64)>> {
    let [slot] = slots_of(source, positions)[..] else { return Ok(None) };
    let schema = source.schema().clone();
    let (mut zero, mut minus, mut one, mut other) = (false, false, false, false);
    each_row(source, |chunk, row| {
        match chunk.numbers_of(&schema, row).get(slot) {
            Some(0.0) => zero = true,
            Some(-1.0) => minus = true,
            Some(1.0) => one = true,
            _ => other = true,
        }
        !other
    })?;
    Ok(match (other, one, zero, minus) {
        (false, true, true, false) => Some((0.0, 1.0)),
        (false, true, false, true) => Some((-1.0, 1.0)),
        _ => None,
    })
}

/// The different values of a column, in their order, a few more than `outputs` at most.
fn values_of(source: &mut dyn Source, position: usize, outputs: usize) -> Result<Vec<String>> {
    let schema = source.schema().clone();
    let Some((_, slot)) = schema.slot(position) else { return Ok(Vec::new()) };
    let mut numbers: Vec<f64> = Vec::new();
    let mut seen: Vec<bool> = Vec::new();
    each_row(source, |chunk, row| {
        match slot {
            Slot::Number(at) => {
                let value = chunk.numbers_of(&schema, row).get(at).copied().filter(|value| !value.is_nan());
                numbers.extend(value.filter(|value| !numbers.contains(value)));
            }
            Slot::Code(at) => {
                let code = chunk.codes_of(&schema, row).get(at).copied().filter(|&code| code != MISSING_CODE);
                if let Some(code) = code.map(|code| code as usize) {
                    seen.resize(seen.len().max(code + 1), false);
                    seen.iter_mut().skip(code).take(1).for_each(|seen| *seen = true);
                }
            }
            Slot::Text(_) => {}
        }
        numbers.len() <= outputs.saturating_mul(2)
    })?;
    if let Slot::Code(at) = slot {
        let names: Vec<String> =
            source.categories(at).iter().zip(&seen).filter(|(_, seen)| **seen).map(|(name, _)| name.clone()).collect();
        return Ok(sorted(&names, &[]).0);
    }
    numbers.sort_by(f64::total_cmp);
    Ok(numbers.iter().map(|value| (value + 0.0).to_string()).collect())
}

fn build(source: &dyn Source, inputs: &[usize], targets: &[usize], encoding: TargetEncoding) -> Result<Encoder> {
    let schema = source.schema();
    let reading = source.reading();
    let input = |&position: &usize| {
        let column = schema.columns().get(position)?;
        let (shift, scale, fill) = (0.0, 1.0, 0.0);
        let encoding = match &column.kind {
            ColumnKind::Grid(shape) => InputEncoding::Grid { shape: shape.clone(), shift, scale, fill },
            _ => InputEncoding::Number { shift, scale, fill },
        };
        Some(InputColumn { name: column.name.clone(), position, missing: 0, encoding })
    };
    // Targets of the format are matched by what the format says.
    let said = format_targets(schema).unwrap_or(0..0);
    let used = |position: &usize| inputs.contains(position) || targets.contains(position) || said.contains(position);
    let left_out = schema.columns().iter().enumerate().filter(|(position, _)| !used(position));
    Ok(Encoder {
        names: schema.names(),
        inputs: inputs.iter().filter_map(input).collect(),
        targets: encoding,
        target_positions: targets.to_vec(),
        left_out: left_out
            .map(|(position, column)| LeftOut { name: column.name.clone(), position, reason: Reason::Ignored })
            .collect(),
        missing: MissingPolicy::Error,
        training_rows: 0,
        missing_tokens: reading.missing_tokens,
        decimal: reading.decimal,
        positive: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Batch, EncodedRows, Identifiers, Input, OpenOptions, RowOptions, Want, open};

    fn source(name: &str, text: &str) -> Box<dyn Source> {
        let options = OpenOptions { identifiers: Identifiers::Keep, ..OpenOptions::default() };
        open(Input::from_bytes(name, text.as_bytes()), &options).unwrap()
    }

    fn names(list: &str) -> Vec<String> {
        list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// The first row of inputs, or the error.
    fn inputs(name: &str, text: &str, width: usize, chosen: &str, ignore: &str) -> Result<Vec<f32>> {
        let options = PlainOptions { inputs: names(chosen), ignore: names(ignore), ..PlainOptions::default() };
        let source = source(name, text);
        let encoder = Encoder::plain(source.as_ref(), width, &options)?;
        let mut rows = EncodedRows::new(source, &encoder, &RowOptions { want: Want::Inputs, ..RowOptions::default() })?;
        let mut batch = Batch::default();
        rows.read(&mut batch, 1)?;
        Ok(batch.inputs)
    }

    #[test]
    fn columns_fit_or_are_named() {
        let plain = "a,b\n1.5,2\n3,4\n";
        assert_eq!(inputs("t.csv", plain, 2, "", "").unwrap(), [1.5, 2.0]);
        assert_eq!(inputs("t.csv", plain, 2, "b,a", "").unwrap(), [2.0, 1.5]);
        let id = "id,a,b\n7,1.5,2\n8,3,4\n";
        let error = inputs("t.csv", id, 2, "", "").unwrap_err();
        assert!(
            matches!(&error, FormatError::InputChoice { want: 2, got: 3, columns, .. } if columns.len() == 3),
            "{error}"
        );
        assert!(
            error.to_string().contains("\"id\", \"a\", \"b\"") && error.to_string().contains("--inputs"),
            "{error}"
        );
        assert_eq!(inputs("t.csv", id, 2, "", "id").unwrap(), [1.5, 2.0]);
        assert_eq!(inputs("t.csv", "a,b,target\n1.5,2,9\n3,4,9\n", 2, "", "").unwrap(), [1.5, 2.0]);
        assert_eq!(inputs("t.csv", "a,b,who\n1.5,2,x\n3,4,x\n", 2, "", "").unwrap(), [1.5, 2.0]);
        assert_eq!(inputs("t.data", "1 2 1\n1.5 2\n9\n", 2, "", "").unwrap(), [1.5, 2.0]);
        assert_eq!(inputs("t.csv", "target,b\n1.5,2\n3,4\n", 2, "", "").unwrap(), [1.5, 2.0]);
    }

    #[test]
    fn words_and_gaps_are_refused_with_their_place() {
        // A word in a column of numbers must not make a later column move up.
        let word = "a,b,c,d\n1,2,3,4\n5,x,7,8\n";
        assert!(
            matches!(inputs("t.csv", word, 3, "", "").unwrap_err(), FormatError::ColumnKind { column, .. } if column == "b")
        );
        let gap = inputs("t.csv", "a,b\n,2\n3,4\n", 2, "", "").unwrap_err().to_string();
        assert!(gap.contains("line 2") && gap.contains("\"a\""), "{gap}");
        assert!(matches!(inputs("t.csv", "a,b\n1,2\n", 2, "a,z", "").unwrap_err(), FormatError::MissingColumn { .. }));
    }

    fn targets(text: &str, outputs: usize, labels: &str) -> Result<(TargetEncoding, ClassNames)> {
        let mut source = source("t.csv", text);
        let found = Encoder::plain_with_targets(source.as_mut(), 1, outputs, &names(labels), &PlainOptions::default())?;
        Ok((found.0.targets().clone(), found.1))
    }

    fn labels_of(found: Result<(TargetEncoding, ClassNames)>) -> (Vec<String>, ClassNames) {
        match found.unwrap() {
            (TargetEncoding::Classes { labels, .. } | TargetEncoding::BinaryColumn { labels, .. }, how) => {
                (labels, how)
            }
            (other, _) => panic!("{other:?}"),
        }
    }

    #[test]
    fn classes_are_mapped_by_name_number_or_order() {
        assert_eq!(labels_of(targets("a,k\n1,x\n2,y\n", 2, "y,x")), (names("y,x"), ClassNames::Network));
        assert_eq!(labels_of(targets("a,k\n1,2\n2,0\n", 3, "")), (names("0,1,2"), ClassNames::Outputs));
        assert_eq!(labels_of(targets("a,k\n1,y\n2,x\n", 2, "")), (names("x,y"), ClassNames::Sorted));
        assert_eq!(labels_of(targets("a,k\n1,1\n2,3\n3,2\n", 3, "")), (names("1,2,3"), ClassNames::Sorted));
        assert_eq!(labels_of(targets("a,k\n1,1\n2,-1\n", 1, "")), (names("-1,1"), ClassNames::Outputs));
        assert!(targets("a,k\n1,x\n2,y\n", 3, "").is_err());
        assert!(targets("a,k\n1,x\n2,y\n", 1, "").is_err());
        assert!(matches!(
            targets("a,k\n1,1.5\n2,2\n", 1, "").unwrap(),
            (TargetEncoding::Numbers { .. }, ClassNames::None)
        ));
    }
}
