//! An LSTM forecasts a monthly series, one month ahead: `cargo run --release -p mayfly --example air_passengers`.
use mayfly::prelude::*;
use std::error::Error;

/// Months that a forecast looks at, and months held out at the end.
const WINDOW: usize = 12;
const HELD_OUT: usize = 24;

/// Mean absolute percentage errors over the months held out: the network's, and that of repeating the same month of the year before.
pub fn run() -> Result<[f32; 2], Box<dyn Error>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/air-passengers.csv"))?;
    let column = text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap_or_default().parse::<f32>());
    let series: Vec<f32> = column.collect::<Result<_, _>>()?;

    // Each window is seen relative to its own mean: the series grows, its shape stays.
    let logs: Vec<f32> = series.iter().map(|v| v.ln()).collect();
    let mean = |window: &[f32]| window.iter().sum::<f32>() / WINDOW as f32;
    let rows: Vec<(Vec<f32>, [f32; 1])> = logs
        .windows(WINDOW + 1)
        .map(|w| {
            let level = mean(&w[..WINDOW]);
            (w[..WINDOW].iter().map(|v| v - level).collect(), [w[WINDOW] - level])
        })
        .collect();
    let (train, held_out) = rows.split_at(rows.len() - HELD_OUT);

    let spec = NetworkSpec::new(&[WINDOW])
        .with(Reshape(vec![WINDOW, 1]))
        .with(Lstm::new(24).last())
        .with(Dense::new(1, Activation::IDENTITY));
    let config = TrainConfig { epochs: 300, ..TrainConfig::new(Algorithm::Adam(Adam { lr: 5e-3, ..Adam::default() })) };
    let mut trainer = Trainer::new(Network::new(spec, 1)?, config)?;
    let mut data = InMemory::from_rows(train.iter().cloned())?;
    trainer.fit(&mut data, None, &mut ())?;
    let network = trainer.into_network();

    let (mut ours, mut naive) = (0.0, 0.0);
    for (i, (window, _)) in held_out.iter().enumerate() {
        let month = series.len() - HELD_OUT + i;
        let forecast = (network.predict(window)?[0] + mean(&logs[month - WINDOW..month])).exp();
        ours += (forecast - series[month]).abs() / series[month];
        naive += (series[month - 12] - series[month]).abs() / series[month];
    }
    let [ours, naive] = [ours, naive].map(|sum| 100.0 * sum / HELD_OUT as f32);
    println!("mean absolute percentage error over {HELD_OUT} months: LSTM {ours:.1} %, last year's month {naive:.1} %");
    Ok([ours, naive])
}

#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    run().map(drop)
}
