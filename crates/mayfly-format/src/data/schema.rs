//! What the columns of a data file are.

use serde::{Deserialize, Serialize};

use crate::error::{FormatError, Result};

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ColumnKind {
    /// One number per row.
    Numeric,
    /// A block of numbers per row, such as an image, with its shape without the rows, outermost first.
    Grid(Vec<usize>),
    /// One of a limited number of names.
    Categorical,
    /// Free text, identifiers, dates: read, but never an input or target of a network.
    Text,
}

impl ColumnKind {
    /// The word for it in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Numeric => "numeric",
            Self::Grid(_) => "a grid of numbers",
            Self::Categorical => "categorical",
            Self::Text => "text",
        }
    }

    /// How many numbers of [`Chunk::numbers`](super::Chunk::numbers) a row of this column takes.
    pub(super) fn number_width(&self) -> usize {
        match self {
            Self::Numeric => 1,
            Self::Grid(shape) => shape.iter().product(),
            Self::Categorical | Self::Text => 0,
        }
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name: from the file, or made from its position.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// Where the column names come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// The file gives them: columns are matched by name.
    Given,
    /// Made from the positions: columns are matched by position.
    Positional,
}

/// Which columns a file format itself says are the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Targets {
    /// It does not say: any column may be.
    Free,
    /// The last `n` columns; possibly none.
    Last(usize),
    /// The last column, and its values are class numbers.
    Label,
    /// The last `n` columns, which are used as the numbers they are (FANN).
    Raw(usize),
}

/// Where the cells of one column are in a [`Chunk`](super::Chunk).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Offset in the numbers of a row.
    Number(usize),
    /// Offset in the codes of a row.
    Code(usize),
    /// Index of the text column.
    Text(usize),
}

/// The columns of a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    columns: Vec<Column>,
    names: Names,
    targets: Targets,
    slots: Vec<Slot>,
    number_width: usize,
    code_width: usize,
    text_width: usize,
}

impl Schema {
    /// A schema of these columns.
    ///
    /// # Errors
    /// [`FormatError::DuplicateColumn`]; `file` is for the message.
    pub(super) fn new(file: &str, columns: Vec<Column>, names: Names, targets: Targets) -> Result<Self> {
        refuse_duplicates(file, &columns)?;
        let mut schema =
            Self { columns, names, targets, slots: Vec::new(), number_width: 0, code_width: 0, text_width: 0 };
        schema.assign_slots();
        Ok(schema)
    }

    fn assign_slots(&mut self) {
        self.slots.reserve(self.columns.len());
        for column in &self.columns {
            self.slots.push(match column.kind {
                ColumnKind::Numeric | ColumnKind::Grid(_) => Slot::Number(self.number_width),
                ColumnKind::Categorical => Slot::Code(self.code_width),
                ColumnKind::Text => Slot::Text(self.text_width),
            });
            self.number_width += column.kind.number_width();
            self.code_width += usize::from(column.kind == ColumnKind::Categorical);
            self.text_width += usize::from(column.kind == ColumnKind::Text);
        }
    }

    /// The columns, in the file's order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether the names are the file's own.
    pub fn names(&self) -> Names {
        self.names
    }

    /// Which columns the format says are targets.
    pub fn targets(&self) -> Targets {
        self.targets
    }

    /// The position of the column with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Numbers in one row of a chunk: the numeric columns and the cells of the grids, in order.
    pub fn number_width(&self) -> usize {
        self.number_width
    }

    /// Categorical columns.
    pub fn code_width(&self) -> usize {
        self.code_width
    }

    /// Text columns.
    pub fn text_width(&self) -> usize {
        self.text_width
    }

    /// The place of column `index` in a chunk, with the column itself.
    pub(super) fn slot(&self, index: usize) -> Option<(&Column, Slot)> {
        self.columns.get(index).zip(self.slots.get(index).copied())
    }

    /// The columns with their places in a chunk.
    pub(super) fn slots(&self) -> impl Iterator<Item = (&Column, Slot)> {
        self.columns.iter().zip(self.slots.iter().copied())
    }

    /// The column names, for messages.
    pub(super) fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.name.clone()).collect()
    }

    /// Which column, by position, the number at `offset` of a row belongs to, and the cell's index within it.
    pub(super) fn column_of_number(&self, offset: usize) -> Option<(usize, usize)> {
        let holds = |&(index, slot): &(usize, &Slot)| match slot {
            Slot::Number(start) => {
                let width = self.columns.get(index).map_or(0, |c| c.kind.number_width());
                (*start..start + width).contains(&offset)
            }
            _ => false,
        };
        let (index, slot) = self.slots.iter().enumerate().find(holds)?;
        match slot {
            Slot::Number(start) => Some((index, offset - start)),
            _ => None,
        }
    }
}

fn refuse_duplicates(file: &str, columns: &[Column]) -> Result<()> {
    let mut seen = std::collections::HashMap::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        if let Some(first) = seen.insert(column.name.as_str(), index) {
            return Err(FormatError::DuplicateColumn {
                file: file.to_owned(),
                column: column.name.clone(),
                first: first + 1,
                second: index + 1,
            });
        }
    }
    Ok(())
}

/// `count` numeric columns called `prefix` and their position from 1; a single one is called `prefix` alone when `prefix` is a word.
pub(super) fn positional(prefix: &str, count: usize) -> impl Iterator<Item = Column> + '_ {
    (1..=count).map(move |i| Column { name: format!("{prefix}{i}"), kind: ColumnKind::Numeric })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: ColumnKind) -> Column {
        Column { name: name.into(), kind }
    }

    #[test]
    fn slots_count_numbers_codes_and_texts_apart() {
        let columns = vec![
            column("a", ColumnKind::Categorical),
            column("b", ColumnKind::Numeric),
            column("g", ColumnKind::Grid(vec![2, 3])),
            column("t", ColumnKind::Text),
            column("c", ColumnKind::Numeric),
            column("d", ColumnKind::Categorical),
        ];
        let schema = Schema::new("f", columns, Names::Given, Targets::Free).unwrap();
        let slots: Vec<Slot> = schema.slots().map(|(_, slot)| slot).collect();
        let want = [Slot::Code(0), Slot::Number(0), Slot::Number(1), Slot::Text(0), Slot::Number(7), Slot::Code(1)];
        assert_eq!(slots, want);
        assert_eq!((schema.number_width(), schema.code_width(), schema.text_width()), (8, 2, 1));
        assert_eq!(schema.column_of_number(0), Some((1, 0)));
        assert_eq!(schema.column_of_number(6), Some((2, 5)));
        assert_eq!(schema.column_of_number(7), Some((4, 0)));
        assert_eq!(schema.column_of_number(8), None);
    }

    #[test]
    fn equal_names_are_refused_with_both_positions() {
        let columns =
            vec![column("a", ColumnKind::Numeric), column("b", ColumnKind::Numeric), column("a", ColumnKind::Text)];
        let error = Schema::new("f", columns, Names::Given, Targets::Free).unwrap_err();
        assert_eq!(error.to_string(), "f: columns 1 and 3 are both named \"a\"");
    }
}
