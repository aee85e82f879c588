//! From rows in any order to series on a grid.
use super::beside::{self, Table};
use super::fill::filled;
use super::options::{Columns, Duplicates, Fill, FrameOptions};
use super::order::order;
use super::rows::{Row, Rows};
use super::series::{About, Beside, SeriesFrame};
use crate::calendar::{Freq, NoInstant, Stamp, StampForm, Zone, infer};
use crate::error::{ForecastError, Result};

/// Values of a grid for each row of the table, at most: a wrong year is no series of a million years.
const MOST_FILLED: u64 = 100;

impl SeriesFrame {
    /// A frame from columns of equal length; NaN is a missing value.
    ///
    /// # Errors
    /// What [`SeriesFrame::read`] refuses of a table.
    pub fn from_columns<I: AsRef<str>>(ids: &[I], ds: &[I], y: &[f32], options: &FrameOptions) -> Result<SeriesFrame> {
        SeriesFrame::from_table(&Table { ids, ds, y, hist: &[], futr: &[] }, options)
    }

    /// A frame from columns of equal length, exogenous ones among them; NaN is a missing value.
    ///
    /// # Errors
    /// What [`SeriesFrame::read`] refuses of a table.
    pub fn from_table<I: AsRef<str>>(table: &Table<'_, I>, options: &FrameOptions) -> Result<SeriesFrame> {
        let Table { ids, ds, y, .. } = *table;
        let names = table.names().with_categories(&options.cat);
        table.check(&names)?;
        let mut rows = Rows::with(names);
        table.put_beside(&mut rows)?;
        let mut form: Option<StampForm> = None;
        for (at, ((id, ds), y)) in ids.iter().zip(ds).zip(y).enumerate() {
            let Some((stamp, written)) = Stamp::parse(ds.as_ref()) else {
                return Err(ForecastError::option("time", ds.as_ref(), "a date such as 2024-02-29, or a whole number"));
            };
            let (stamp, written) = placed(stamp, written, options.tz.as_ref(), ds.as_ref())
                .map_err(|what| ForecastError::option("time", ds.as_ref(), what))?;
            form = match &form {
                None => Some(written),
                Some(form) => Some(form.merged(&written).ok_or_else(|| mixed(ds.as_ref()))?),
            };
            let series = rows.series(id.as_ref());
            rows.rows.push(Row { series, stamp, y: *y, at: at as u32 });
        }
        build(rows, form.unwrap_or(StampForm::Integer), Columns::default(), options)
    }
}

pub(super) fn mixed(text: &str) -> ForecastError {
    let want = "the times before are numbers, or have another offset: write all of them alike, or say with --tz whose clock their offsets follow";
    ForecastError::option("time", format!("{text:?}"), want)
}

/// A time in its zone, if there is one; else what is wrong with it.
pub(super) fn placed(
    stamp: Stamp,
    form: StampForm,
    zone: Option<&Zone>,
    text: &str,
) -> std::result::Result<(Stamp, StampForm), String> {
    let Some(zone) = zone else { return Ok((stamp, form)) };
    form.placed(stamp, zone).map_err(|why| match why {
        NoInstant::Skipped => format!("{text:?} does not exist in {zone}: clocks went over it when summer time began"),
        NoInstant::Repeated => {
            format!("{text:?} was twice in {zone}, as clocks were put back: write it with its offset, as in +02:00")
        }
    })
}

/// Brings times of a zone to the clock by which steps of the frequency count.
fn on_clock(rows: &mut Rows, form: StampForm, given: Option<Freq>) -> Result<(StampForm, Option<Freq>)> {
    if form.zone().is_none() {
        return Ok((form, given));
    }
    // On the civil clock a day is a day; of hours that are odd twice a year there are enough.
    let civil: Vec<Stamp> = rows.rows.iter().map(|row| form.civil(row.stamp)).collect();
    let freq = match given {
        Some(freq) => freq,
        None => infer(ranges(rows).iter().map(|range| &civil[range.clone()]), &form)?,
    };
    let absolute = matches!(freq, Freq::Seconds(_));
    rows.rows.iter_mut().for_each(|row| row.stamp = form.moved(row.stamp, absolute));
    sort(rows);
    Ok((form.on_clock(absolute), Some(freq)))
}

/// Sorts, joins duplicates, finds the frequency, fills gaps.
pub(super) fn build(mut rows: Rows, form: StampForm, columns: Columns, options: &FrameOptions) -> Result<SeriesFrame> {
    if let (Some(zone), StampForm::Integer) = (&options.tz, &form) {
        return Err(ForecastError::option("tz", zone, "the times are whole numbers, which no clock shows"));
    }
    rows.sort_words();
    sort(&mut rows);
    let (form, freq) = on_clock(&mut rows, form, options.freq)?;
    join(&mut rows, &form, options.duplicates)?;
    let mut notes = Vec::new();
    if options.skip_short {
        leave_out_short(&mut rows, &mut notes);
    }
    let stamps: Vec<Stamp> = rows.rows.iter().map(|row| row.stamp).collect();
    let ranges = ranges(&rows);
    let freq = match freq {
        Some(freq) => fits(freq, &form)?,
        None => infer(ranges.iter().map(|range| &stamps[range.clone()]), &form)?,
    };
    let about = About { freq, form, columns, exogenous: rows.names.clone() };
    let frame = place(&rows, &ranges, about, options.fill, notes)?;
    frame.at_least(options.least, "to see a step")?;
    Ok(frame)
}

/// A frequency that the form of the times allows.
fn fits(freq: Freq, form: &StampForm) -> Result<Freq> {
    match (freq, form) {
        (Freq::Integer(_), StampForm::Integer) => Ok(freq),
        (Freq::Integer(_), _) => {
            Err(ForecastError::option("freq", freq, "the times are dates: D, h, MS … are for them"))
        }
        (_, StampForm::Integer) => {
            Err(ForecastError::option("freq", freq, "the times are whole numbers: 1, 2 … are for them"))
        }
        _ => Ok(freq),
    }
}

/// By series and time.
fn sort(rows: &mut Rows) {
    let order = order(&rows.ids);
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(to, from)| place[*from as usize] = to as u32);
    rows.rows.iter_mut().for_each(|row| row.series = place[row.series as usize]);
    rows.ids = order.iter().map(|i| std::mem::take(&mut rows.ids[*i as usize])).collect();
    rows.rows.sort_by_key(|row| (row.series, row.stamp)); // stable: the last of equals comes last
}

/// Makes one row of those with the same time.
fn join(rows: &mut Rows, form: &StampForm, how: Duplicates) -> Result<()> {
    let same = |a: &Row, b: &Row| (a.series, a.stamp) == (b.series, b.stamp);
    let mut out: Vec<Row> = Vec::with_capacity(rows.rows.len());
    for group in rows.rows.chunk_by(same) {
        let [first, .., last] = group else {
            out.extend_from_slice(group);
            continue;
        };
        let sum = group.iter().map(|row| f64::from(row.y)).sum::<f64>();
        let y = match how {
            Duplicates::Error => {
                let id = rows.ids[first.series as usize].clone();
                return Err(ForecastError::Duplicate { id, ds: form.write(first.stamp), count: group.len() });
            }
            Duplicates::Sum => sum as f32,
            Duplicates::Mean => (sum / group.len() as f64) as f32,
            Duplicates::Last => last.y,
        };
        out.push(Row { y, at: last.at, ..*first }); // exogenous columns have one value a time: the last
    }
    rows.rows = out;
    Ok(())
}

fn leave_out_short(rows: &mut Rows, notes: &mut Vec<String>) {
    let mut counts = vec![0_usize; rows.ids.len()];
    rows.rows.iter().for_each(|row| counts[row.series as usize] += 1);
    let short = counts.iter().filter(|count| **count < 2).count();
    if short == 0 || short == counts.len() {
        return;
    }
    notes.push(format!("{short} series of fewer than 2 values are left out"));
    rows.rows.retain(|row| counts[row.series as usize] >= 2);
}

/// The rows of each series.
fn ranges(rows: &Rows) -> Vec<std::ops::Range<usize>> {
    let mut start = 0;
    let lens = rows.rows.chunk_by(|a, b| a.series == b.series).map(<[Row]>::len);
    lens.map(|len| {
        start += len;
        start - len..start
    })
    .collect()
}

/// Puts every value in its place on the grid.
fn place(
    rows: &Rows,
    ranges: &[std::ops::Range<usize>],
    about: About,
    fill: Fill,
    notes: Vec<String>,
) -> Result<SeriesFrame> {
    let mut frame = SeriesFrame {
        about,
        ids: Vec::new(),
        starts: Vec::new(),
        offsets: vec![0],
        y: Vec::new(),
        known: None,
        weights: (!rows.weights.is_empty()).then(Vec::new),
        beside: Beside::default(),
        local: Vec::new(),
        notes,
    };
    let most = (rows.rows.len() as u64).saturating_mul(MOST_FILLED);
    let mut gaps = Gaps::default();
    let mut all_known: Vec<bool> = Vec::new();
    for range in ranges {
        let series = &rows.rows[range.clone()];
        let (Some(first), Some(last)) = (series.first(), series.last()) else { continue };
        let id = &rows.ids[first.series as usize];
        let len = steps(&frame.about, id, first.stamp, last.stamp)? as u64 + 1;
        if frame.y.len() as u64 + len > most.max(len.min(most)) {
            return Err(too_far(&frame.about, id, last.stamp, len));
        }
        let mut grid = vec![f32::NAN; len as usize];
        let mut places: Vec<Option<u32>> = vec![None; len as usize];
        for row in series {
            let at = steps(&frame.about, id, first.stamp, row.stamp)?;
            let y = if rows.is_hidden(row.at) { f32::NAN } else { row.y };
            (grid[at as usize], places[at as usize]) = (y, Some(row.at));
        }
        let is_hidden = |at: usize| places[at].is_some_and(|row| rows.is_hidden(row));
        gaps.look(&frame.about, id, first.stamp, |at| grid[at].is_nan() && !is_hidden(at), len as usize);
        let (y, known) = filled(&grid, fill);
        frame.y.extend(y);
        // What is filled in counts as known, what was to be taken for unknown does not.
        all_known.extend(known.iter().enumerate().map(|(at, known)| *known || (fill != Fill::Mask && !is_hidden(at))));
        if let Some(weights) = &mut frame.weights {
            put_weights(rows, &places, weights);
        }
        beside::place(rows, &places, fill, &mut frame.beside).map_err(|at| {
            let ds = frame.about.form.write(frame.about.freq.add(first.stamp, at as i64));
            ForecastError::NoExogenous { id: id.clone(), ds, columns: rows.names.all().join(", ") }
        })?;
        frame.ids.push(id.clone());
        frame.starts.push(first.stamp);
        frame.offsets.push(frame.y.len());
    }
    frame.notes.extend(gaps.judge(fill)?);
    frame.known = all_known.contains(&false).then_some(all_known);
    frame.check_weights()
}

/// Weights of one series; where a time has no row, that of the row before stands in.
fn put_weights(rows: &Rows, places: &[Option<u32>], to: &mut Vec<f32>) {
    let mut last = 1.0;
    for place in places {
        last = place.and_then(|row| rows.weights.get(row as usize)).copied().unwrap_or(last);
        to.push(last);
    }
}

fn too_far(about: &About, id: &str, last: Stamp, len: u64) -> ForecastError {
    let what = format!(
        "series {id:?} would have {len} values to {} at frequency {}: is a time wrong, or the frequency (--freq)?",
        about.form.write(last),
        about.freq
    );
    ForecastError::Frequency { what }
}

/// Steps from the start of a series to one of its times.
pub(super) fn steps(about: &About, id: &str, start: Stamp, stamp: Stamp) -> Result<i64> {
    about.freq.steps(start, stamp).ok_or_else(|| {
        let (before, after) = about.freq.around(start, stamp);
        ForecastError::OffGrid {
            id: id.to_owned(),
            ds: about.form.write(stamp),
            freq: about.freq.to_string(),
            before: about.form.write(before),
            after: about.form.write(after),
        }
    })
}

/// Missing values of all series.
#[derive(Default)]
struct Gaps {
    first: Option<(String, String)>,
    missing: u64,
    series: usize,
}

impl Gaps {
    fn look(&mut self, about: &About, id: &str, start: Stamp, is_missing: impl Fn(usize) -> bool, len: usize) {
        let missing = (0..len).filter(|at| is_missing(*at)).count();
        let Some(at) = (0..len).find(|at| is_missing(*at)) else { return };
        self.first.get_or_insert_with(|| (id.to_owned(), about.form.write(about.freq.add(start, at as i64))));
        self.missing += missing as u64;
        self.series += 1;
    }

    /// An error, or what is to be said of what was done.
    fn judge(self, fill: Fill) -> Result<Option<String>> {
        let Gaps { first, missing, series } = self;
        let Some((id, ds)) = first else { return Ok(None) };
        let done = match fill {
            Fill::Error => return Err(ForecastError::Gap { id, ds, missing, series }),
            Fill::Mask => "left uncounted",
            Fill::Linear => "put on the line between their neighbours",
            Fill::Forward => "set to the value before",
            Fill::Zero => "set to zero",
        };
        Ok(Some(format!("{missing} missing values in {series} series are {done}; the first is {ds} of {id:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(rows: &[(&str, &str, f32)], options: &FrameOptions) -> Result<SeriesFrame> {
        let ids: Vec<&str> = rows.iter().map(|row| row.0).collect();
        let ds: Vec<&str> = rows.iter().map(|row| row.1).collect();
        let y: Vec<f32> = rows.iter().map(|row| row.2).collect();
        SeriesFrame::from_columns(&ids, &ds, &y, options)
    }

    const TWO: [(&str, &str, f32); 5] = [
        ("b", "2024-01-02", 2.0),
        ("a", "2024-01-01", 7.0),
        ("b", "2024-01-01", 1.0),
        ("a", "2024-01-02", 8.0),
        ("b", "2024-01-03", 3.0),
    ];

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let one = frame(&TWO, &FrameOptions::default()).unwrap();
        assert_eq!(
            (one.ids.clone(), one.y.clone(), one.offsets.clone()),
            (vec!["a".into(), "b".into()], vec![7.0, 8.0, 1.0, 2.0, 3.0], vec![0, 2, 5])
        );
        let mut turned = TWO;
        turned.reverse();
        assert_eq!(frame(&turned, &FrameOptions::default()).unwrap(), one);
        let times: Vec<String> = one.iter().map(|s| one.written(one.time(&s, s.y.len()))).collect();
        assert_eq!(times, ["2024-01-03", "2024-01-04"]);
    }

    #[test]
    fn whole_numbers_are_sorted_as_numbers() {
        let rows = [("10", "1", 1.0), ("9", "1", 2.0), ("10", "2", 3.0), ("9", "2", 4.0)];
        assert_eq!(frame(&rows, &FrameOptions::default()).unwrap().ids, ["9", "10"]);
    }

    #[test]
    fn duplicates_are_refused_or_joined() {
        let rows = [("a", "1", 1.0), ("a", "2", 2.0), ("a", "2", 6.0), ("a", "3", 3.0)];
        let said = frame(&rows, &FrameOptions::default()).unwrap_err().to_string();
        assert!(said.contains("\"a\" has 2 rows at 2"), "{said}");
        for (how, want) in [(Duplicates::Sum, 8.0), (Duplicates::Mean, 4.0), (Duplicates::Last, 6.0)] {
            let options = FrameOptions { duplicates: how, ..FrameOptions::default() };
            assert_eq!(frame(&rows, &options).unwrap().y, [1.0, want, 3.0]);
        }
    }

    #[test]
    fn gaps_are_refused_or_filled() {
        let rows = [("a", "1", 1.0), ("a", "2", f32::NAN), ("a", "3", 3.0), ("a", "4", 4.0), ("a", "7", 7.0)];
        let with = |fill| FrameOptions { fill, freq: Some(Freq::Integer(1)), ..FrameOptions::default() };
        let said = frame(&rows, &with(Fill::Error)).unwrap_err().to_string();
        assert!(said.contains("no value at 2; 3 values are missing in 1 series"), "{said}");
        for (fill, want) in [
            (Fill::Linear, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
            (Fill::Forward, [1.0, 1.0, 3.0, 4.0, 4.0, 4.0, 7.0]),
            (Fill::Zero, [1.0, 0.0, 3.0, 4.0, 0.0, 0.0, 7.0]),
        ] {
            let frame = frame(&rows, &with(fill)).unwrap();
            assert_eq!((&frame.y[..], &frame.known), (&want[..], &None), "{fill:?}");
        }
        let masked = frame(&rows, &with(Fill::Mask)).unwrap();
        assert_eq!(masked.known, Some(vec![true, false, true, true, false, false, true]));
        assert_eq!(masked.last(3).known, Some(vec![false, false, true]));
    }

    #[test]
    fn what_fits_no_grid_is_named() {
        let off = [("a", "2024-01-01", 1.0), ("a", "2024-02-01", 2.0), ("a", "2024-02-15", 3.0)];
        let options = FrameOptions { freq: Some("MS".parse().unwrap()), ..FrameOptions::default() };
        let said = frame(&off, &options).unwrap_err().to_string();
        assert!(said.contains("2024-02-15") && said.contains("2024-02-01, 2024-03-01"), "{said}");
        let far = [("a", "2024-01-01", 1.0), ("a", "2024-01-02", 2.0), ("a", "9024-01-03", 3.0)];
        let options = FrameOptions { freq: Some("s".parse().unwrap()), fill: Fill::Zero, ..FrameOptions::default() };
        assert!(frame(&far, &options).unwrap_err().to_string().contains("--freq"));
        let single = [("a", "1", 1.0), ("b", "1", 1.0), ("b", "2", 1.0)];
        let said = frame(&single, &FrameOptions::default()).unwrap_err().to_string();
        assert!(said.contains("\"a\" has 1 values, 2 are needed"), "{said}");
        let options = FrameOptions { skip_short: true, ..FrameOptions::default() };
        let kept = frame(&single, &options).unwrap();
        assert_eq!((kept.ids.as_slice(), kept.notes.len()), (&["b".to_owned()][..], 1));
    }
}
