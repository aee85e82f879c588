//! Runs a wasi-nn guest: `run_guest GUEST.wasm [NAME=MODEL.mayfly …]`. The named models are what `load_by_name` finds.
#![forbid(unsafe_code)]

use mayfly_nn::Model;
use mayfly_wasi_nn::{GuestLimits, Limits, context, run_guest};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, guest, models @ ..] = &args[..] else {
        return Err("usage: run_guest GUEST.wasm [NAME=MODEL.mayfly …]".into());
    };
    let read = |text: &String| -> Result<(String, Model), Box<dyn std::error::Error>> {
        let (name, file) = text.split_once('=').ok_or_else(|| format!("{text}: expected NAME=MODEL.mayfly"))?;
        Ok((name.to_owned(), Model::load(file)?))
    };
    let models = models.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let outputs = run_guest(&std::fs::read(guest)?, context(models, &Limits::default()), &GuestLimits::default())?;
    println!("{outputs:?}");
    Ok(())
}
