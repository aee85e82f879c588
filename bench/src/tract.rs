//! tract in process: an ONNX model, optimised, made runnable, its state kept between calls.

use crate::cases::Work;
use crate::contest::{Contestant, time};
use crate::net::Net;
use crate::onnx;
use anyhow::{Context, Result, bail};
use std::time::Duration;
use tract_onnx::prelude::*;

type State = TypedSimpleState;

pub struct Infer {
    state: State,
    x: Tensor,
}

pub fn contestant(work: Work) -> Result<Box<dyn Contestant>> {
    let Work::Infer { dims, activation, rows, .. } = work else { bail!("tract only infers") };
    let net = Net::new(dims, activation);
    let bytes = onnx::model(&net, rows);
    let model = tract_onnx::onnx().model_for_read(&mut bytes.as_slice())?.into_optimized()?.into_runnable()?;
    let x = Tensor::from_shape(&[rows, net.inputs()], &net.data(rows).0)?;
    Ok(Box::new(Infer { state: model.spawn()?, x }))
}

impl Infer {
    fn call(&mut self) -> Result<TVec<TValue>> {
        self.state.run(tvec!(self.x.clone().into()))
    }
}

impl Contestant for Infer {
    fn how(&self) -> String {
        "tract-onnx 0.23 in process, optimised, state reused, f32".into()
    }

    fn answer(&mut self) -> Result<Vec<f64>> {
        let outputs = self.call()?;
        let y = outputs.first().context("tract gave no output")?;
        Ok(y.try_as_plain_ram()?.as_slice::<f32>()?.iter().map(|&v| f64::from(v)).collect())
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        time(calls, || self.call().map(|y| drop(std::hint::black_box(y))))
    }
}
