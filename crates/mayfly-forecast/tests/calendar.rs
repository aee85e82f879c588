//! Columns of the calendar from a fit to a forecast: that they are learnt from, known ahead without a table, and kept.
use mayfly_forecast::{
    Fill, ForecastLoss, Forecaster, FrameOptions, Model, SeriesFrame, Stamp, Table, TimeFeature, UpdateOptions,
};

/// Days from 1 January 2024 on; 10 on Saturdays and Sundays, which a single value before does not tell.
fn frame(days: std::ops::Range<i64>) -> SeriesFrame {
    let form = Stamp::parse("2024-01-01").unwrap().1;
    let start = Stamp::parse("2024-01-01").unwrap().0;
    let ds: Vec<String> = days.clone().map(|day| form.write(Stamp(start.0 + day * 86_400))).collect();
    let y: Vec<f32> = days.map(weekend).collect();
    let ids = vec!["a".to_owned(); ds.len()];
    let options = FrameOptions { least: 1, freq: Some("D".parse().unwrap()), ..FrameOptions::default() };
    SeriesFrame::from_table(&Table { ids: &ids, ds: &ds, y: &y, hist: &[], futr: &[] }, &options).unwrap()
}

/// 1 January 2024 was a Monday.
fn weekend(day: i64) -> f32 {
    if day.rem_euclid(7) >= 5 { 10.0 } else { 0.0 }
}

fn forecaster() -> Forecaster {
    let model = Model::new("MLP").unwrap().input_size(1).with("hidden_size", 32).unwrap();
    let model = model.with("max_steps", 600).unwrap().with("learning_rate", 1e-2).unwrap().loss(ForecastLoss::Mse);
    Forecaster::new(3).model(model).val_size(0)
}

fn near(got: &[f32], from: i64) -> bool {
    got.iter().zip(from..).all(|(got, day)| (got - weekend(day)).abs() < 2.0)
}

#[test]
fn the_calendar_is_learnt_and_known_ahead() {
    let train = frame(0..203); // to the end of a Sunday
    let with = train.clone().with_calendar(&[TimeFeature::WeekDay]).unwrap();
    let mut forecaster = forecaster();
    forecaster.fit(&with, &mut ()).unwrap();
    let of = |forecaster: &Forecaster, frame: Option<&SeriesFrame>, h: usize| {
        forecaster.predict(frame, Some(h)).unwrap().column("MLP").unwrap().to_vec()
    };
    // Neither a table of the future nor the columns themselves are needed, also beyond the horizon.
    assert!(near(&of(&forecaster, None, 3), 203));
    let week = of(&forecaster, Some(&frame(190..205)), 7);
    assert!(near(&week, 205) && week.len() == 7, "{week:?}");
    assert_eq!(week, of(&forecaster, Some(&frame(190..205).with_calendar(&[TimeFeature::WeekDay]).unwrap()), 7));
    assert_eq!(of(&forecaster, None, 2), of(&forecaster, None, 3)[..2]);

    let folder = tempfile::tempdir().unwrap();
    forecaster.save(folder.path().join("f.mayfly")).unwrap();
    let mut again = Forecaster::load(folder.path().join("f.mayfly")).unwrap();
    assert_eq!(again.exogenous().unwrap(), with.exogenous());
    assert_eq!(of(&again, None, 3), of(&forecaster, None, 3));
    // New values come without the columns, and after a gap.
    again.update(&frame(204..206), &UpdateOptions { fill: Fill::Linear, ..UpdateOptions::default() }, &mut ()).unwrap();
    assert_eq!(of(&again, None, 3), of(&forecaster, Some(&frame(190..206)), 3));
}

#[test]
fn without_the_calendar_it_cannot_be_known() {
    let mut forecaster = forecaster();
    forecaster.fit(&frame(0..203), &mut ()).unwrap();
    let forecasts = forecaster.predict(Some(&frame(190..201)), None).unwrap();
    assert!(!near(forecasts.column("MLP").unwrap(), 201));
}

#[test]
fn families_that_take_none_are_refused() {
    let with = frame(0..60).with_calendar(&[TimeFeature::WeekDay]).unwrap();
    let mut forecaster = Forecaster::new(3).model(Model::new("DLinear").unwrap());
    let said = forecaster.fit(&with, &mut ()).unwrap_err().to_string();
    assert!(said.contains("takes no futr columns such as weekday") && said.contains("NHITS"), "{said}");
}
