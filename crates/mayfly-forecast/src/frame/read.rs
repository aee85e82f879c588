//! Tables of series from files.
use super::beside::check_names;
use super::build::{build, mixed, placed};
use super::category::{Words, renumber};
use super::options::{Category, Columns, Exogenous, FrameOptions};
use super::rows::{Row, Rows};
use super::series::SeriesFrame;
use crate::calendar::{Stamp, StampForm, Zone};
use crate::error::{ForecastError, Result};
use mayfly_format::data::{Chunk, Column, ColumnKind, Identifiers, Input, OpenOptions, Schema, Source, open};
use std::collections::{BTreeMap, HashSet};

/// Rows that are read at a time.
const CHUNK_ROWS: usize = 4096;
/// The columns that say what values count and which are known, as NeuralForecast calls them.
const WEIGHT: &str = "sample_weight";
const AVAILABLE: &str = "available_mask";
/// Rows of a table, at most: they are numbered by u32.
const MOST_ROWS: usize = u32::MAX as usize;

impl SeriesFrame {
    /// Reads a table of series from a CSV or Parquet file: a row a value (long), or a column a series (wide).
    ///
    /// # Errors
    /// A file that cannot be read; columns that are not there; times and values that are none; and what the options say is an error: duplicates, gaps,
    /// times off the grid, series of one value.
    pub fn read(input: impl Into<Input>, options: &FrameOptions) -> Result<SeriesFrame> {
        let input = input.into();
        let roles = Roles::find(&input, options)?;
        let mut source = open(input, &roles.open_options(options))?;
        let (rows, form) = if options.wide { wide(source.as_mut(), &roles)? } else { long(source.as_mut(), &roles)? };
        let Roles { id, time, target, weight, available, .. } = roles;
        let names = Columns::default();
        let columns = Columns { id: id.unwrap_or(names.id), time, target: target.unwrap_or(names.target) };
        let hidden = rows.hidden.iter().filter(|hidden| **hidden).count();
        let mut frame = build(rows, form, columns, options)?;
        frame.notes.extend(weight.map(|name| format!("{name} says how much each value counts in training")));
        frame.notes.extend((hidden > 0).then(|| {
            format!("{hidden} values are taken for unknown, as their {} says", available.unwrap_or_default())
        }));
        Ok(frame)
    }
}

impl SeriesFrame {
    /// The frame with the static columns of a file: a row a series, named as the frame names its series; every other column is a number, or a category if the options say so.
    ///
    /// # Errors
    /// A file that cannot be read, a series without a row or with two, cells that are no numbers; categories that are columns of neither table.
    pub fn with_static(mut self, input: impl Into<Input>, options: &FrameOptions) -> Result<SeriesFrame> {
        let id = Some(self.about.columns.id.as_str());
        let ById { file, names, rows, categories } = by_id(input.into(), id, options, "static columns")?;
        let of: BTreeMap<String, Vec<f32>> = rows.into_iter().collect();
        self.beside.stat.clear();
        for id in &self.ids {
            let Some(values) = of.get(id) else {
                let what = format!("series {id:?} has no row; every series of the data needs one");
                return Err(ForecastError::Cell { file, at: "table".into(), what });
            };
            self.beside.stat.extend(values);
        }
        let about = &mut self.about.exogenous;
        about.stat = names;
        about.categories.extend(categories);
        let is_there = |name: &String| about.categories.iter().any(|category| category.name == *name);
        if let Some(name) = options.cat.iter().find(|name| !is_there(name)) {
            return Err(ForecastError::option("cat", name, "no hist, futr or static column is called so"));
        }
        about.check().map_err(|what| ForecastError::option("cat", options.cat.join(", "), what))?;
        Ok(self)
    }

    /// The frame with what its future columns will be: a file with series, times behind the last values, and the columns. Rows that are not asked for do no harm.
    ///
    /// # Errors
    /// A file that cannot be read or lacks a column, cells that are no numbers, a time that is missing between the last value and the last row of a series.
    pub fn with_future(mut self, input: impl Into<Input>, options: &FrameOptions) -> Result<SeriesFrame> {
        let names: Vec<String> = self.about.exogenous.told().cloned().collect();
        if names.is_empty() {
            let want = match self.about.exogenous.calendar.is_empty() {
                true => "no column of these series is known over the horizon",
                false => "the columns that are known over the horizon follow from the times: no file is needed",
            };
            return Err(ForecastError::option("futr", "a file", want));
        }
        let columns = self.about.columns.clone();
        let mut kinds =
            BTreeMap::from([(columns.id.clone(), ColumnKind::Text), (columns.time.clone(), ColumnKind::Text)]);
        kinds.extend(self.about.exogenous.kinds(&names));
        let known_kinds = kinds;
        let base = OpenOptions { known_kinds, identifiers: Identifiers::Keep, ..OpenOptions::default() };
        let mut source = open(input.into(), &options.file.over(base))?;
        let (file, schema) = (source.name().to_owned(), source.schema().clone());
        let found = Finder { file: &file, schema: &schema };
        let time = found.column(Some(&columns.time), "", None, ("times", "--time"))?;
        let id = schema.position(&columns.id).and_then(|_| Place::of(&schema, &columns.id));
        if id.is_none() && self.len() > 1 {
            return Err(found.absent(&columns.id, "series", "--id"));
        }
        for name in &names {
            found.column(Some(name), name, None, ("values of the future", ""))?;
        }
        let categories = &self.about.exogenous.categories;
        // A word that these series do not have may be known to the models.
        let words = categories.iter().map(|category| Words::from(&category.words)).collect();
        let mut cells = Cells { words, ..Cells::of(&schema, &names, categories) };
        let Some(time) = Place::of(&schema, &time) else { return Err(found.absent(&time, "times", "--time")) };
        let zone = self.about.form.zone();
        let mut reader = Reader { file: &file, schema: schema.clone(), time, zone, form: None };
        let mut rows: BTreeMap<(String, Stamp), Vec<f32>> = BTreeMap::new();
        let only = self.ids.first().cloned().unwrap_or_default();
        each_chunk(source.as_mut(), |chunk| {
            for row in 0..chunk.rows {
                let stamp = reader.stamp(chunk, row)?;
                let absolute = self.about.form.is_absolute();
                let stamp = reader.form.as_ref().map_or(stamp, |form| form.moved(stamp, absolute));
                let values = cells.row(&reader, chunk, row);
                let name = id.map_or(only.as_str(), |id| id.text(chunk, row)).to_owned();
                if rows.insert((name, stamp), values?).is_some() {
                    return Err(reader.bad(chunk, row, time, "this series has two rows at this time".to_owned()));
                }
            }
            check_count(&file, rows.len())
        })?;
        for (category, words) in self.about.exogenous.categories.iter_mut().zip(cells.words) {
            category.words = words.into_words();
        }
        self.put_future(&rows);
        Ok(self)
    }

    /// Appends the rows behind each series' last value, as far as they go without a gap.
    fn put_future(&mut self, rows: &BTreeMap<(String, Stamp), Vec<f32>>) {
        let (mut futr, mut offsets) = (Vec::new(), vec![0]);
        let names = &self.about.exogenous;
        let (n, given, calendar) = (names.futr.len(), names.given(), vec![0.0; names.calendar.len()]);
        for series in self.iter() {
            futr.extend_from_slice(&series.futr[..series.y.len() * n]);
            let times = (series.y.len()..).map(|at| (series.id.to_owned(), self.time(&series, at)));
            let ahead = times.map_while(|key| rows.get(&key));
            futr.extend(ahead.flat_map(|row| row[..given].iter().chain(&calendar).chain(&row[given..])));
            offsets.push(futr.len() / n.max(1));
        }
        (self.beside.futr, self.beside.offsets) = (futr, offsets);
        self.fill_calendar();
    }
}

/// A table with a row for each series.
pub(crate) struct ById {
    pub(crate) file: String,
    /// What the columns of numbers are called.
    pub(crate) names: Vec<String>,
    /// Series with their numbers.
    pub(crate) rows: Vec<(String, Vec<f32>)>,
    /// Which of the columns are categories: the last.
    categories: Vec<Category>,
}

/// Reads one. The series are in the column `id`, else in the first; `what` says what the other columns are.
pub(crate) fn by_id(input: Input, id: Option<&str>, options: &FrameOptions, what: &str) -> Result<ById> {
    let id = match id {
        Some(id) => id.to_owned(),
        None => {
            let source = open(input.clone(), &options.file.over(OpenOptions::default()))?;
            source.schema().columns().first().map(|column| column.name.clone()).unwrap_or_default()
        }
    };
    let kinds = BTreeMap::from([(id.clone(), ColumnKind::Text)]);
    let known_kinds = options.cat.iter().map(|name| (name.clone(), ColumnKind::Text)).collect();
    let base = OpenOptions { kinds, known_kinds, identifiers: Identifiers::Keep, ..OpenOptions::default() };
    let mut source = open(input, &options.file.over(base))?;
    let (file, schema) = (source.name().to_owned(), source.schema().clone());
    let found = Finder { file: &file, schema: &schema };
    let id = found.column(Some(&id), &id, None, ("series", "--id"))?;
    let all = schema.columns().iter().map(|column| column.name.clone()).filter(|name| *name != id).collect();
    let Exogenous { stat: names, mut categories, .. } =
        Exogenous { stat: all, ..Exogenous::default() }.with_categories(&options.cat);
    let is_number =
        |column: &Column| column.kind == ColumnKind::Numeric || categories.iter().any(|c| c.name == column.name);
    if let Some(column) = schema.columns().iter().find(|column| column.name != id && !is_number(column)) {
        let what =
            format!("column {:?} has no numbers; {what} must be numbers, or be named as categories", column.name);
        return Err(ForecastError::Cell { file, at: "header".into(), what });
    }
    let mut cells = Cells::of(&schema, &names, &categories);
    let Some(id) = Place::of(&schema, &id) else { return Err(found.absent(&id, "series", "--id")) };
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    let reader = Reader { file: &file, schema: schema.clone(), time: id, zone: None, form: None };
    each_chunk(source.as_mut(), |chunk| {
        for row in 0..chunk.rows {
            let values = cells.row(&reader, chunk, row);
            let name = id.text(chunk, row).to_owned();
            if !seen.insert(name.clone()) {
                return Err(reader.bad(chunk, row, id, format!("series {name:?} has two rows")));
            }
            rows.push((name, values?));
        }
        Ok(())
    })?;
    let numbers = names.len() - categories.len();
    for (i, (category, words)) in categories.iter_mut().zip(cells.words).enumerate() {
        let (words, new) = words.sorted();
        rows.iter_mut().for_each(|(_, row)| renumber(row, names.len(), numbers + i, &new));
        category.words = words;
    }
    Ok(ById { file, names, rows, categories })
}

/// Which column is what.
struct Roles {
    file: String,
    /// None where the table is one series, or wide.
    id: Option<String>,
    time: String,
    zone: Option<Zone>,
    /// None where the table is wide.
    target: Option<String>,
    exogenous: Exogenous,
    /// What each value counts.
    weight: Option<String>,
    /// Whether a value is to be taken for known.
    available: Option<String>,
}

impl Roles {
    fn find(input: &Input, options: &FrameOptions) -> Result<Roles> {
        let names = Columns::default();
        let kind =
            |name: &Option<String>, default: &str, kind: ColumnKind| (name.clone().unwrap_or(default.to_owned()), kind);
        let known_kinds = BTreeMap::from([
            kind(&options.id, &names.id, ColumnKind::Text),
            kind(&options.time, &names.time, ColumnKind::Text),
            kind(&options.target, &names.target, ColumnKind::Numeric),
        ]);
        let base = OpenOptions { known_kinds, identifiers: Identifiers::Keep, ..OpenOptions::default() };
        let source = open(input.clone(), &options.file.over(base))?;
        let (file, schema) = (source.name().to_owned(), source.schema());
        let found = Finder { file: &file, schema };
        let [first, second] = pair(schema, options);
        let time = found.column(options.time.as_ref(), &names.time, first, ("times", "--time"))?;
        let (id, target) = match options.wide {
            true => (None, None),
            false => (
                found.optional(options.id.as_ref(), &names.id)?,
                Some(found.column(options.target.as_ref(), &names.target, second, ("values", "--target"))?),
            ),
        };
        let roles = [("--id", id.as_ref()), ("--time", Some(&time)), ("--target", target.as_ref())];
        for (i, (option, name)) in roles.iter().enumerate() {
            if let (Some(name), Some((other, _))) = (name, roles[..i].iter().find(|(_, other)| other == name)) {
                return Err(ForecastError::option(*option, name, format!("{other} is the same column")));
            }
        }
        let exogenous = Exogenous { hist: options.hist.clone(), futr: options.futr.clone(), ..Exogenous::default() };
        let exogenous = exogenous.with_categories(&options.cat);
        check_names(&exogenous)?;
        if options.wide && !(exogenous.is_empty() && options.cat.is_empty()) {
            return Err(ForecastError::option(
                "wide",
                true,
                "a wide table has no exogenous columns: write it long, a row a value",
            ));
        }
        for (names, option) in [(&exogenous.hist, "--hist"), (&exogenous.futr, "--futr")] {
            for name in names {
                found.column(Some(name), name, None, ("exogenous values", option))?;
                let is_other = [Some(&time), id.as_ref(), target.as_ref()].contains(&Some(name));
                if is_other {
                    return Err(ForecastError::option(option, name, "this column is the id, the time or the value"));
                }
            }
        }
        let usual = |named: &Option<String>, usual: &str, option: &'static str| match (named, options.wide) {
            (Some(name), _) => found.column(Some(name), usual, None, ("numbers", option)).map(Some),
            (None, true) => Ok(None),
            // A column that has another use is not this one.
            (None, false) if exogenous.all().contains(&usual) || target.as_deref() == Some(usual) => Ok(None),
            (None, false) => Ok(schema.position(usual).map(|_| usual.to_owned())),
        };
        let weight = usual(&options.weight, WEIGHT, "--weight")?;
        let available = usual(&options.available, AVAILABLE, "--available")?;
        Ok(Roles { id, time, zone: options.tz.clone(), target, exogenous, weight, available, file: file.clone() })
    }

    fn open_options(&self, options: &FrameOptions) -> OpenOptions {
        let mut kinds = BTreeMap::from([(self.time.clone(), ColumnKind::Text)]);
        kinds.extend(self.id.iter().map(|id| (id.clone(), ColumnKind::Text)));
        let numbers = self.target.iter().chain(&self.weight).chain(&self.available);
        kinds.extend(numbers.map(|name| (name.clone(), ColumnKind::Numeric)));
        kinds.extend(self.exogenous.kinds(&self.exogenous.hist));
        kinds.extend(self.exogenous.kinds(&self.exogenous.futr));
        options.file.over(OpenOptions { kinds, identifiers: Identifiers::Keep, ..OpenOptions::default() })
    }
}

/// In a table of two columns the first has the times and the second the values, if nothing else is said.
fn pair<'a>(schema: &'a Schema, options: &FrameOptions) -> [Option<&'a str>; 2] {
    match schema.columns() {
        [a, b] if options.id.is_none() => [Some(&a.name), Some(&b.name)],
        _ => [None, None],
    }
}

struct Finder<'a> {
    file: &'a str,
    schema: &'a Schema,
}

impl Finder<'_> {
    /// The column that was named, or the usual one, or the one that stands in for it.
    fn column(
        &self,
        named: Option<&String>,
        usual: &str,
        stand_in: Option<&str>,
        (role, option): (&'static str, &'static str),
    ) -> Result<String> {
        let name = named.map_or(usual, String::as_str);
        match (self.schema.position(name), named, stand_in) {
            (Some(_), ..) => Ok(name.to_owned()),
            (None, None, Some(stand_in)) => Ok(stand_in.to_owned()),
            _ => Err(self.absent(name, role, option)),
        }
    }

    fn optional(&self, named: Option<&String>, usual: &str) -> Result<Option<String>> {
        match named {
            Some(name) => self.column(Some(name), usual, None, ("series", "--id")).map(Some),
            None => Ok(self.schema.position(usual).map(|_| usual.to_owned())),
        }
    }

    fn absent(&self, column: &str, role: &'static str, option: &'static str) -> ForecastError {
        let known = self.schema.columns().iter().map(|column| column.name.clone()).collect();
        ForecastError::NoColumn { file: self.file.to_owned(), column: column.to_owned(), role, known, option }
    }
}

/// Where the cells of a column are: its position in the table, and its place among those of its kind.
#[derive(Clone, Copy)]
struct Place {
    column: usize,
    slot: usize,
}

impl Place {
    fn of(schema: &Schema, name: &str) -> Option<Place> {
        let column = schema.position(name)?;
        let kind = &schema.columns().get(column)?.kind;
        let before = schema.columns().iter().take(column);
        Some(Place { column, slot: before.filter(|other| other.kind == *kind).count() })
    }

    fn text(self, chunk: &Chunk, row: usize) -> &str {
        chunk.texts.get(self.slot).and_then(|texts| texts.get(row)).unwrap_or_default().trim()
    }
}

/// A table that is being read.
struct Reader<'a> {
    file: &'a str,
    schema: Schema,
    time: Place,
    /// Whose clock the times are.
    zone: Option<&'a Zone>,
    form: Option<StampForm>,
}

impl Reader<'_> {
    fn bad(&self, chunk: &Chunk, row: usize, place: Place, what: String) -> ForecastError {
        let at = match self.schema.columns().get(place.column) {
            Some(column) => chunk.position(row, place.column, column).to_string(),
            None => String::new(),
        };
        ForecastError::Cell { file: self.file.to_owned(), at, what }
    }

    /// The time of a row.
    fn stamp(&mut self, chunk: &Chunk, row: usize) -> Result<Stamp> {
        let text = self.time.text(chunk, row);
        let Some((stamp, written)) = Stamp::parse(text) else {
            let what =
                format!("{text:?} is no time; expected a date such as 2024-02-29, 2024-02-29 07:30, or a whole number");
            return Err(self.bad(chunk, row, self.time, what));
        };
        let (stamp, written) =
            placed(stamp, written, self.zone, text).map_err(|what| self.bad(chunk, row, self.time, what))?;
        if self.form.as_ref() != Some(&written) {
            self.form = match &self.form {
                None => Some(written),
                Some(form) => Some(
                    form.merged(&written).ok_or_else(|| self.bad(chunk, row, self.time, mixed(text).to_string()))?,
                ),
            };
        }
        Ok(stamp)
    }

    /// A value as the frame keeps it; NaN where there is none.
    fn value(&self, chunk: &Chunk, row: usize, place: Place) -> Result<f32> {
        let value = chunk.numbers_of(&self.schema, row).get(place.slot).copied().unwrap_or(f64::NAN);
        let kept = value as f32;
        if value.is_nan() || kept.is_finite() {
            return Ok(kept);
        }
        Err(self.bad(chunk, row, place, format!("{value} is no value of a series: it must be finite and below 3.4e38")))
    }
}

/// The cells of a row that are numbers or words.
struct Cells {
    /// Where they are, and which vocabulary they have.
    places: Vec<(Place, Option<usize>)>,
    words: Vec<Words>,
}

impl Cells {
    fn of(schema: &Schema, names: &[String], categories: &[Category]) -> Cells {
        let words = |name: &String| categories.iter().position(|category| category.name == *name);
        let places = names.iter().filter_map(|name| Some((Place::of(schema, name)?, words(name)))).collect();
        Cells { places, words: categories.iter().map(|_| Words::default()).collect() }
    }

    /// Their values: numbers as they are, words by number.
    fn row(&mut self, reader: &Reader<'_>, chunk: &Chunk, row: usize) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.places.len());
        for (place, words) in &self.places {
            values.push(match words.and_then(|at| self.words.get_mut(at)) {
                None => reader.there(chunk, row, *place)?,
                Some(words) => {
                    words.number(place.text(chunk, row)).map_err(|what| reader.bad(chunk, row, *place, what))?
                }
            });
        }
        Ok(values)
    }
}

impl Exogenous {
    /// How some of its columns are read.
    fn kinds<'a>(&'a self, columns: &'a [String]) -> impl Iterator<Item = (String, ColumnKind)> + 'a {
        columns.iter().map(|name| {
            let is_text = self.categories.iter().any(|category| category.name == *name);
            (name.clone(), if is_text { ColumnKind::Text } else { ColumnKind::Numeric })
        })
    }
}

impl Reader<'_> {
    /// The name of a series, which must have one.
    fn name<'c>(&self, chunk: &'c Chunk, row: usize, place: Place) -> Result<&'c str> {
        match place.text(chunk, row) {
            "" => {
                Err(self.bad(chunk, row, place, "no series is named here: every row needs the name of one".to_owned()))
            }
            name => Ok(name),
        }
    }

    /// A value that must be there.
    fn there(&self, chunk: &Chunk, row: usize, place: Place) -> Result<f32> {
        match self.value(chunk, row, place)? {
            value if value.is_nan() => {
                Err(self.bad(chunk, row, place, "an exogenous column has no value here; fill it in".to_owned()))
            }
            value => Ok(value),
        }
    }

    /// What a value counts, or whether it is known.
    fn weight(&self, chunk: &Chunk, row: usize, place: Place) -> Result<f32> {
        match self.value(chunk, row, place)? {
            value if value >= 0.0 => Ok(value),
            value => Err(self.bad(chunk, row, place, format!("{value} is no weight: 0 or more is needed"))),
        }
    }
}

/// A row a value.
fn long(source: &mut dyn Source, roles: &Roles) -> Result<(Rows, StampForm)> {
    let schema = source.schema().clone();
    let place = |name: &str| Place::of(&schema, name);
    let target_name = roles.target.as_deref().unwrap_or_default();
    let (Some(time), Some(target)) = (place(&roles.time), place(target_name)) else {
        let known = schema.columns().iter().map(|column| column.name.clone()).collect();
        return Err(ForecastError::NoColumn {
            file: roles.file.clone(),
            column: target_name.to_owned(),
            role: "values",
            known,
            option: "--target",
        });
    };
    let id = roles.id.as_deref().and_then(place);
    let names: Vec<String> = roles.exogenous.all().into_iter().map(str::to_owned).collect();
    let mut cells = Cells::of(&schema, &names, &roles.exogenous.categories);
    let mut reader = Reader { file: &roles.file, schema: schema.clone(), time, zone: roles.zone.as_ref(), form: None };
    let mut rows = Rows::with(roles.exogenous.clone());
    let [weight, available] = [&roles.weight, &roles.available].map(|name| name.as_deref().and_then(place));
    each_chunk(source, |chunk| {
        for row in 0..chunk.rows {
            let name = match id {
                Some(id) => reader.name(chunk, row, id)?,
                None => target_name,
            };
            let series = rows.series(name);
            let (stamp, y) = (reader.stamp(chunk, row)?, reader.value(chunk, row, target)?);
            let at = rows.rows.len() as u32;
            rows.rows.push(Row { series, stamp, y, at });
            rows.beside.extend(cells.row(&reader, chunk, row)?);
            if let Some(weight) = weight {
                rows.weights.push(reader.weight(chunk, row, weight)?);
            }
            if let Some(available) = available {
                rows.hidden.push(reader.weight(chunk, row, available)? == 0.0);
            }
        }
        check_count(&roles.file, rows.rows.len())
    })?;
    rows.words = cells.words;
    finish(roles, rows, reader.form)
}

/// A column a series. Empty cells before the first and behind the last value of a series are not part of it.
fn wide(source: &mut dyn Source, roles: &Roles) -> Result<(Rows, StampForm)> {
    let schema = source.schema().clone();
    let is_series = |name: &str| name != roles.time;
    if let Some(column) = schema.columns().iter().find(|c| is_series(&c.name) && c.kind != ColumnKind::Numeric) {
        let what = format!(
            "column {:?} is no series of numbers; in a wide table every column but the times is one",
            column.name
        );
        return Err(ForecastError::Cell { file: roles.file.clone(), at: "header".into(), what });
    }
    let Some(time) = Place::of(&schema, &roles.time) else { return finish(roles, Rows::default(), None) };
    let mut reader = Reader { file: &roles.file, schema: schema.clone(), time, zone: roles.zone.as_ref(), form: None };
    let mut rows = Rows::default();
    let names = schema.columns().iter().map(|column| column.name.as_str()).filter(|name| is_series(name));
    let places: Vec<(u32, Place)> =
        names.filter_map(|name| Some((rows.series(name), Place::of(&schema, name)?))).collect();
    each_chunk(source, |chunk| {
        for row in 0..chunk.rows {
            let stamp = reader.stamp(chunk, row)?;
            for (series, place) in &places {
                let y = reader.value(chunk, row, *place)?;
                rows.rows.push(Row { series: *series, stamp, y, at: 0 });
            }
        }
        check_count(&roles.file, rows.rows.len())
    })?;
    trim(&mut rows);
    finish(roles, rows, reader.form)
}

/// Takes away what lies before the first and behind the last value of each series.
fn trim(rows: &mut Rows) {
    let mut reach: Vec<Option<(Stamp, Stamp)>> = vec![None; rows.ids.len()];
    for row in rows.rows.iter().filter(|row| !row.y.is_nan()) {
        let reach = &mut reach[row.series as usize];
        let (low, high) = reach.unwrap_or((row.stamp, row.stamp));
        *reach = Some((low.min(row.stamp), high.max(row.stamp)));
    }
    rows.rows.retain(|row| reach[row.series as usize].is_some_and(|(low, high)| (low..=high).contains(&row.stamp)));
}

fn each_chunk(source: &mut dyn Source, mut see: impl FnMut(&Chunk) -> Result<()>) -> Result<()> {
    let mut chunk = Chunk::default();
    while source.read(&mut chunk, CHUNK_ROWS)? > 0 {
        see(&chunk)?;
    }
    Ok(())
}

fn check_count(file: &str, rows: usize) -> Result<()> {
    if rows <= MOST_ROWS {
        return Ok(());
    }
    Err(ForecastError::Cell {
        file: file.to_owned(),
        at: format!("row {rows}"),
        what: format!("at most {MOST_ROWS} values are read"),
    })
}

fn finish(roles: &Roles, rows: Rows, form: Option<StampForm>) -> Result<(Rows, StampForm)> {
    match form.filter(|_| !rows.rows.is_empty()) {
        Some(form) => Ok((rows, form)),
        None => {
            Err(ForecastError::Cell { file: roles.file.clone(), at: "table".into(), what: "there are no rows".into() })
        }
    }
}
