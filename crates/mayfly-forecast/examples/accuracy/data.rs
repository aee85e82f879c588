//! The public data, as the papers cut them.
use super::Result;
use mayfly_forecast::{FrameOptions, SeriesFrame, Table};
use std::path::Path;

/// The series in z-scores by their training rows, and how many rows are for validation and test.
pub fn split(data: &str, folder: &Path) -> Result<(SeriesFrame, [usize; 2])> {
    let (file, parts) = match data {
        "ETTh1" => ("ETTh1.csv", Some([8640, 2880, 2880])),
        "ETTm2" => ("ETTm2.csv", Some([34_560, 11_520, 11_520])),
        "Weather" => ("weather.csv", None),
        _ => ("EPF-NP.csv", None),
    };
    let (names, rows) = read(&folder.join(file))?;
    let n = rows.len();
    let [train, val, test] = parts.unwrap_or_else(|| {
        let (train, test) = (n * 7 / 10, n * 2 / 10);
        [train, n - train - test, test]
    });
    let columns = scaled(&rows[..train + val + test], train);
    let times: Vec<String> = (0..train + val + test).map(|i| i.to_string()).collect();
    let options = FrameOptions::default();
    let frame = if data.starts_with("EPF-NP") {
        let [load, wind, price] = &columns[..] else { return Err("three columns are expected".into()) };
        let ids = vec!["price".to_owned(); times.len()];
        let day = |hours: usize, of: usize| -> Vec<f32> {
            (0..times.len()).map(|i| (i / hours % of) as f32 / (of - 1) as f32 - 0.5).collect()
        };
        let (hour, weekday) = (day(1, 24), day(24, 7));
        let known: &[(&str, &[f32])] = &[("load", load), ("wind", wind)];
        // As TimeXer's authors do, who count the clock among the columns of the past.
        let past: &[(&str, &[f32])] = &[("load", load), ("wind", wind), ("hour", &hour), ("weekday", &weekday)];
        let (hist, futr): (&[_], &[_]) = match data {
            "EPF-NP futr" => (&[], known),
            "EPF-NP alone" => (&[], &[]),
            _ => (past, &[]),
        };
        SeriesFrame::from_table(&Table { ids: &ids, ds: &times, y: price, hist, futr }, &options)?
    } else {
        long(&names, &columns)?
    };
    Ok((frame, [val, test]))
}

/// The header and the rows of a wide table, without its first column.
fn read(path: &Path) -> Result<(Vec<String>, Vec<Vec<f64>>)> {
    let bytes = std::fs::read(path)?;
    // Units in the header are in Latin-1.
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let names = lines.next().ok_or("an empty file")?.split(',').skip(1).map(|name| name.trim().to_owned()).collect();
    let numbers =
        |line: &str| line.split(',').skip(1).map(|v| v.trim().parse::<f64>()).collect::<std::result::Result<_, _>>();
    Ok((names, lines.map(numbers).collect::<std::result::Result<_, _>>()?))
}

/// Each column in z-scores by the first `train` rows.
fn scaled(rows: &[Vec<f64>], train: usize) -> Vec<Vec<f32>> {
    let one = |column: usize| -> Vec<f32> {
        let seen = rows[..train].iter().map(|row| row[column]);
        let mean = seen.clone().sum::<f64>() / train as f64;
        let std = (seen.map(|v| (v - mean).powi(2)).sum::<f64>() / train as f64).sqrt().max(1e-12);
        rows.iter().map(|row| ((row[column] - mean) / std) as f32).collect()
    };
    (0..rows[0].len()).map(one).collect()
}

/// A series for each column, with steps for dates.
fn long(names: &[String], columns: &[Vec<f32>]) -> Result<SeriesFrame> {
    let rows = columns[0].len();
    let ids: Vec<String> = names.iter().flat_map(|name| vec![name.clone(); rows]).collect();
    let times: Vec<String> = names.iter().flat_map(|_| (0..rows).map(|i| i.to_string())).collect();
    Ok(SeriesFrame::from_columns(&ids, &times, &columns.concat(), &FrameOptions::default())?)
}

/// The first rows of a wide table, in z-scores by the first `train` of them.
pub fn wide(path: &Path, train: usize, rows: usize) -> Result<SeriesFrame> {
    let (names, all) = read(path)?;
    long(&names, &scaled(&all[..rows], train))
}

/// The series of one kind of M3 with the values that were kept back, of which there are h.
pub fn m3(folder: &Path, kind: &str, h: usize) -> Result<SeriesFrame> {
    let text = std::fs::read_to_string(folder.join("M3.csv"))?;
    let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').map(|field| field.trim_matches('"')).collect();
        let [_, id, _, period, _, _, _, past, truth] = fields[..] else {
            return Err("nine fields are expected".into());
        };
        if !period.eq_ignore_ascii_case(kind) {
            continue;
        }
        let before = y.len();
        for value in past.split(';').chain(truth.split(';').take(h)) {
            ids.push(id.to_owned());
            ds.push((y.len() - before).to_string());
            y.push(value.trim().parse::<f32>()?);
        }
    }
    Ok(SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default())?)
}

/// M4's hourly series with the 48 values that were kept back.
pub fn m4(folder: &Path) -> Result<SeriesFrame> {
    let read = |file: &str| -> Result<Vec<(String, Vec<f32>)>> {
        let text = std::fs::read_to_string(folder.join(file))?;
        let line = |line: &str| {
            let mut fields = line.split(',').map(|field| field.trim_matches('"'));
            (fields.next().unwrap_or_default().to_owned(), fields.filter_map(|v| v.parse().ok()).collect())
        };
        Ok(text.lines().skip(1).map(line).collect())
    };
    let (mut ids, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for ((id, past), (_, truth)) in read("M4-Hourly-train.csv")?.into_iter().zip(read("M4-Hourly-test.csv")?) {
        for (at, value) in past.into_iter().chain(truth).enumerate() {
            ids.push(id.clone());
            ds.push(at.to_string());
            y.push(value);
        }
    }
    Ok(SeriesFrame::from_columns(&ids, &ds, &y, &FrameOptions::default())?)
}
