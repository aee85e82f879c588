//! Series on the clocks of a zone: hours count in universal time, days on the clock, and output looks as input does.
use mayfly_forecast::{Forecaster, FrameOptions, Model, SeriesFrame, TimeFeature, UpdateOptions};

fn file(times: &[&str]) -> tempfile::NamedTempFile {
    let rows: String = times.iter().enumerate().map(|(i, time)| format!("{time},{}\n", i % 5)).collect();
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    std::fs::write(file.path(), format!("ds,y\n{rows}")).unwrap();
    file
}

fn options(tz: &str) -> FrameOptions {
    FrameOptions { tz: Some(tz.parse().unwrap()), least: 1, ..FrameOptions::default() }
}

fn read(times: &[&str], options: &FrameOptions) -> Result<SeriesFrame, String> {
    SeriesFrame::read(file(times).path(), options).map_err(|error| error.to_string())
}

fn written(frame: &SeriesFrame) -> Vec<String> {
    let series = frame.iter().next().unwrap();
    (0..series.y.len()).map(|at| frame.written(frame.time(&series, at))).collect()
}

fn trained(frame: &SeriesFrame) -> Forecaster {
    let model = Model::new("NLinear").unwrap().input_size(2).with("max_steps", 2).unwrap();
    let mut forecaster = Forecaster::new(3).model(model).val_size(0);
    forecaster.fit(frame, &mut ()).unwrap();
    forecaster
}

fn next(forecaster: &Forecaster) -> Vec<String> {
    let forecasts = forecaster.predict(None, None).unwrap();
    forecasts.keys().map(|(_, ds, _)| forecasts.written(ds)).collect()
}

/// Clocks without offsets, on the day when an hour is left out, and on the one when an hour comes twice.
#[test]
fn hours_count_in_universal_time() {
    let spring = ["2024-03-31 00:00", "2024-03-31 01:00", "2024-03-31 03:00", "2024-03-31 04:00", "2024-03-31 05:00"];
    let frame = read(&spring, &FrameOptions { freq: Some("h".parse().unwrap()), ..options("Europe/Berlin") }).unwrap();
    assert_eq!(written(&frame), spring, "no hour is missing");
    let without = FrameOptions { freq: Some("h".parse().unwrap()), ..FrameOptions::default() };
    assert!(read(&spring, &without).unwrap_err().contains("has no value at 2024-03-31 02:00"));

    let autumn = ["2024-10-26 22:00", "2024-10-26 23:00", "2024-10-27 00:00", "2024-10-27 01:00"];
    let forecaster = trained(&read(&autumn, &options("Europe/Berlin")).unwrap());
    assert_eq!(next(&forecaster), ["2024-10-27 02:00+02:00", "2024-10-27 02:00+01:00", "2024-10-27 03:00"]);
    assert_eq!(next(&trained(&read(&autumn, &FrameOptions::default()).unwrap()))[2], "2024-10-27 04:00");
}

#[test]
fn offsets_come_back() {
    let hours =
        ["2024-10-27T00:00+02:00", "2024-10-27T01:00+02:00", "2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00"];
    let said = read(&hours, &FrameOptions::default()).unwrap_err();
    assert!(said.contains("another offset") && said.contains("--tz") && said.contains("line 5"), "{said}");
    let frame = read(&hours, &options("Europe/Berlin")).unwrap();
    assert_eq!(written(&frame), hours);
    let forecaster = trained(&frame);
    assert_eq!(next(&forecaster)[0], "2024-10-27T03:00+01:00");
    // Days are those of the clock: 23 and 25 hours long.
    let days = ["2024-03-30T00:00+01:00", "2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00"];
    let frame = read(&days, &options("Europe/Berlin")).unwrap();
    assert_eq!((frame.freq().to_string(), written(&frame)), ("D".to_owned(), days.map(str::to_owned).to_vec()));
    // The same instants in universal time, as Parquet has them, are the same days.
    let days = ["2024-03-29T23:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"];
    let frame = read(&days, &options("Europe/Berlin")).unwrap();
    assert_eq!((frame.freq().to_string(), written(&frame)), ("D".to_owned(), days.map(str::to_owned).to_vec()));
    // Dates have no clock, and midnight does not have to exist.
    let dates = ["2018-11-03", "2018-11-04", "2018-11-05"];
    assert_eq!(written(&read(&dates, &options("America/Sao_Paulo")).unwrap()), dates);
}

#[test]
fn times_that_are_no_instants_are_named() {
    let said = |times: &[&str]| read(times, &options("Europe/Berlin")).unwrap_err();
    let skipped = said(&["2024-03-31 01:00", "2024-03-31 02:00", "2024-03-31 03:00"]);
    assert!(
        skipped.contains("line 3") && skipped.contains("\"2024-03-31 02:00\" does not exist in Europe/Berlin"),
        "{skipped}"
    );
    let twice = said(&["2024-10-27 01:00", "2024-10-27 02:00"]);
    assert!(twice.contains("line 3") && twice.contains("\"2024-10-27 02:00\" was twice in Europe/Berlin"), "{twice}");
    assert!(said(&["2024-10-27 01:00", "2024-10-27 04:00+01:00"]).contains("line 3"));
    assert!(said(&["1", "2"]).contains("whole numbers"));
    let columns = SeriesFrame::from_columns(&["a"], &["2024-03-31 02:00"], &[1.0], &options("Europe/Berlin"));
    assert!(columns.unwrap_err().to_string().contains("does not exist"));
}

#[test]
fn files_updates_and_the_calendar_keep_the_clock() {
    let times = ["2024-03-30T21:00Z", "2024-03-30T22:00Z", "2024-03-30T23:00Z", "2024-03-31T00:00Z"];
    let frame = read(&times, &options("Europe/Berlin")).unwrap();
    let hours = frame.clone().with_calendar(&[TimeFeature::DayHour]).unwrap();
    let shown: Vec<f32> = hours.iter().next().unwrap().futr.iter().map(|v| ((v + 0.5) * 23.0).round()).collect();
    assert_eq!(shown, [22.0, 23.0, 0.0, 1.0]);
    let forecaster = trained(&frame);
    let folder = tempfile::tempdir().unwrap();
    forecaster.save(folder.path().join("f.mayfly")).unwrap();
    let mut again = Forecaster::load(folder.path().join("f.mayfly")).unwrap();
    assert_eq!(again.zone().unwrap().name(), "Europe/Berlin");
    assert_eq!(next(&again)[0], "2024-03-31T01:00Z");
    let hour = FrameOptions { freq: Some("h".parse().unwrap()), ..options("Europe/Berlin") };
    let elsewhere = FrameOptions { tz: Some("UTC".parse().unwrap()), ..hour.clone() };
    let said = again.update(&read(&["2024-03-31T01:00Z"], &elsewhere).unwrap(), &UpdateOptions::default(), &mut ());
    assert!(said.unwrap_err().to_string().contains("have Europe/Berlin"));
    // The same instant on another clock goes on with the series.
    again.update(&read(&["2024-03-31T03:00+02:00"], &hour).unwrap(), &UpdateOptions::default(), &mut ()).unwrap();
    assert_eq!(next(&again)[0], "2024-03-31T02:00Z");
}
