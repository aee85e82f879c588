//! NBEATS and NBEATSx: blocks with bases for trend, season and exogenous columns, each on what the ones before left (Oreshkin et al. 2020, Olivares et al. 2022).
use super::bases::{TrendBasis, frequencies, seasonality};
use super::block::{Activation, Hidden, check_stacks};
use super::cx::{Dense, ForecastCx};
use super::parts;
use super::settings::{self, Build};
use crate::error::{ForecastError, Result};
use mayfly_graph::{Binary, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the coefficients of a stack's blocks mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StackType {
    /// The values themselves.
    Identity,
    /// Slow functions of time.
    Trend,
    /// Waves.
    Seasonality,
    /// The exogenous columns; NBEATSx only.
    Exogenous,
}

/// NBEATS's own settings; a list has an entry for each stack.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nbeats {
    /// How finely seasonal stacks take their frequencies.
    pub n_harmonics: usize,
    /// One less than the functions of a trend.
    pub n_basis: usize,
    /// The functions of a trend.
    pub basis: TrendBasis,
    /// What each stack is made of.
    pub stack_types: Vec<StackType>,
    /// Blocks of each stack.
    pub n_blocks: Vec<usize>,
    /// Inputs and units of the hidden layers, the same in every block.
    pub mlp_units: Vec<[usize; 2]>,
    /// Nothing is dropped in NBEATS: 0.
    pub dropout_prob_theta: f32,
    /// What follows a hidden layer.
    pub activation: Activation,
    /// Whether the blocks of a stack have the same parameters.
    pub shared_weights: bool,
}

/// NBEATSx's own settings; a list has an entry for each stack.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nbeatsx {
    /// How finely seasonal stacks take their frequencies.
    pub n_harmonics: usize,
    /// The degree of a trend.
    pub n_polynomials: usize,
    /// What each stack is made of.
    pub stack_types: Vec<StackType>,
    /// Blocks of each stack.
    pub n_blocks: Vec<usize>,
    /// Inputs and units of the hidden layers, the same in every block.
    pub mlp_units: Vec<[usize; 2]>,
    /// Share of hidden values dropped in training.
    pub dropout_prob_theta: f32,
    /// What follows a hidden layer.
    pub activation: Activation,
    /// Whether the blocks of a stack have the same parameters.
    pub shared_weights: bool,
}

impl Default for Nbeats {
    fn default() -> Self {
        Nbeats {
            n_harmonics: 2,
            n_basis: 2,
            basis: TrendBasis::Polynomial,
            stack_types: vec![StackType::Identity, StackType::Trend, StackType::Seasonality],
            n_blocks: vec![1; 3],
            mlp_units: vec![[512, 512]; 3],
            dropout_prob_theta: 0.0,
            activation: Activation::ReLU,
            shared_weights: false,
        }
    }
}

impl Default for Nbeatsx {
    fn default() -> Self {
        let Nbeats { n_harmonics, stack_types, n_blocks, mlp_units, .. } = Nbeats::default();
        Nbeatsx {
            n_harmonics,
            n_polynomials: 2,
            stack_types,
            n_blocks,
            mlp_units,
            dropout_prob_theta: 0.0,
            activation: Activation::ReLU,
            shared_weights: false,
        }
    }
}

/// What both are built from.
struct Blocks<'a> {
    hidden: Hidden<'a>,
    stacks: Vec<(StackType, usize)>,
    trend: (TrendBasis, usize),
    harmonics: usize,
    shared: bool,
}

impl Blocks<'_> {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let mut rest = cx.reversed(cx.x)?;
        let mask = cx.mask.map(|mask| cx.reversed(mask)).transpose()?;
        let mut forecast = cx.last_value(cx.len())?;
        cx.contributes(0, forecast)?;
        let mut number = 0;
        for (stack, (kind, count)) in self.stacks.iter().enumerate() {
            let mut layers: Option<Vec<Dense>> = None;
            for _ in 0..*count {
                let x = cx.flat(rest)?;
                let own = match layers.take().filter(|_| self.shared) {
                    Some(own) => own,
                    None => self.hidden.declare(cx, number, cx.width(x)?, self.thetas(cx, *kind)?)?,
                };
                let thetas = self.hidden.thetas(cx, x, &own)?;
                let [back, ahead] = self.projected(cx, *kind, thetas)?;
                cx.contributes(1 + stack, ahead)?;
                forecast = cx.binary(Binary::Add, forecast, ahead)?;
                rest = cx.binary(Binary::Sub, rest, back)?;
                if let Some(mask) = mask {
                    rest = cx.binary(Binary::Mul, rest, mask)?;
                }
                layers = Some(own);
                number += 1;
            }
        }
        Ok(forecast)
    }

    /// Coefficients of a block.
    fn thetas(&self, cx: &ForecastCx<'_, '_>, kind: StackType) -> mayfly_nn::Result<usize> {
        let m = cx.outputs;
        match kind {
            StackType::Identity => Ok(cx.input_size + cx.len()),
            StackType::Trend | StackType::Seasonality if cx.h == 1 => {
                Err(cx
                    .refuse("a horizon of 1, over which there is no trend and no season: stack_types must be identity"))
            }
            StackType::Trend => Ok((m + 1) * self.trend.1),
            StackType::Seasonality => Ok(2 * (m + 1) * frequencies(cx.h, self.harmonics).len()),
            StackType::Exogenous => match cx.futr.map_or(0, |f| f.count) + cx.stat.map_or(0, |s| s.count) {
                0 => Err(cx.refuse("stacks of the type exogenous without future or static exogenous columns")),
                n => Ok(2 * n),
            },
        }
    }

    /// The block's values of the past, backwards, and of the future.
    fn projected(
        &self,
        cx: &mut ForecastCx<'_, '_>,
        kind: StackType,
        thetas: NodeId,
    ) -> mayfly_nn::Result<[NodeId; 2]> {
        let (l, h, m) = (cx.input_size, cx.h, cx.outputs);
        let (back, ahead, n) = match kind {
            StackType::Identity => return Ok([cx.part(thetas, 0, l)?, cx.part(thetas, l, h * m)?]),
            StackType::Exogenous => return exogenous(cx, thetas),
            StackType::Trend => {
                let (basis, n) = self.trend;
                (basis.matrix(l, n), basis.matrix(h, n), n)
            }
            StackType::Seasonality => {
                let n = 2 * frequencies(h, self.harmonics).len();
                (seasonality(l, h, self.harmonics, true), seasonality(h, h, self.harmonics, false), n)
            }
        };
        let (past, future) = (cx.part(thetas, 0, n)?, cx.part(thetas, n, m * n)?);
        let past = cx.expanded(past, 1, &back, l)?;
        // Coefficient by coefficient, outputs within: output by output is needed.
        let future = cx.turned(future, n, m)?;
        Ok([past, cx.expanded(future, m, &ahead, h)?])
    }

    fn check(&self, names: [&'static str; 2]) -> Result<()> {
        let blocks: Vec<usize> = self.stacks.iter().map(|(_, n)| *n).collect();
        check_stacks(self.stacks.len(), &[("n_blocks", &blocks)])?;
        self.hidden.check()?;
        let (basis, n) = self.trend;
        if n < basis.least() {
            let want = format!("this basis has at least {}", basis.least() - 1);
            return Err(ForecastError::option(names[0], n - 1, want));
        }
        match self.harmonics {
            0 => Err(ForecastError::option("n_harmonics", 0, "it must be at least 1")),
            _ => Ok(()),
        }
    }
}

/// Coefficients of the future and static columns, the future's first; every output has the same.
fn exogenous(cx: &mut ForecastCx<'_, '_>, thetas: NodeId) -> mayfly_nn::Result<[NodeId; 2]> {
    let (l, h) = (cx.input_size, cx.h);
    let columns = cx.futr_and_static()?;
    let n = cx.width(columns)?;
    let mut times = |start: usize, len: usize, theta: usize| {
        let part = cx.rows_of(columns, start, len)?;
        let theta = cx.part(thetas, theta, n)?;
        cx.times(part, theta)
    };
    let (past, future) = (times(0, l, n)?, times(l, h, 0)?);
    Ok([past, cx.repeated(future, cx.outputs)?])
}

fn zipped(types: &[StackType], blocks: &[usize]) -> Vec<(StackType, usize)> {
    types.iter().copied().zip(blocks.iter().copied()).collect()
}

/// A list of blocks for each stack, or an error.
fn check_lens(types: &[StackType], blocks: &[usize]) -> Result<()> {
    check_stacks(types.len(), &[("n_blocks", blocks)])
}

/// The parts of a forecast.
fn parts(types: &[StackType]) -> Vec<String> {
    let name = |kind: &StackType| match kind {
        StackType::Identity => "identity",
        StackType::Trend => "trend",
        StackType::Seasonality => "seasonality",
        StackType::Exogenous => "exogenous",
    };
    parts::names(&types.iter().map(name).collect::<Vec<_>>())
}

impl Nbeats {
    fn blocks(&self) -> Blocks<'_> {
        Blocks {
            hidden: Hidden { units: &self.mlp_units, activation: self.activation, dropout: 0.0 },
            stacks: zipped(&self.stack_types, &self.n_blocks),
            trend: (self.basis, self.n_basis + 1),
            harmonics: self.n_harmonics,
            shared: self.shared_weights,
        }
    }
}

impl Build for Nbeats {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        self.blocks().build(cx)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn parts(&self) -> Vec<String> {
        parts(&self.stack_types)
    }

    fn check(&self) -> Result<()> {
        check_lens(&self.stack_types, &self.n_blocks)?;
        if self.stack_types.contains(&StackType::Exogenous) {
            return Err(ForecastError::option(
                "stack_types",
                "exogenous",
                "NBEATSx has stacks of this type, NBEATS has not",
            ));
        }
        if self.dropout_prob_theta != 0.0 {
            return Err(ForecastError::option(
                "dropout_prob_theta",
                self.dropout_prob_theta,
                "NBEATS drops nothing; NBEATSx can",
            ));
        }
        self.blocks().check(["n_basis", "n_harmonics"])
    }
}

impl Nbeatsx {
    fn blocks(&self) -> Blocks<'_> {
        Blocks {
            hidden: Hidden { units: &self.mlp_units, activation: self.activation, dropout: self.dropout_prob_theta },
            stacks: zipped(&self.stack_types, &self.n_blocks),
            trend: (TrendBasis::Polynomial, self.n_polynomials + 1),
            harmonics: self.n_harmonics,
            shared: self.shared_weights,
        }
    }
}

impl Build for Nbeatsx {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        self.blocks().build(cx)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn parts(&self) -> Vec<String> {
        parts(&self.stack_types)
    }

    fn check(&self) -> Result<()> {
        check_lens(&self.stack_types, &self.n_blocks)?;
        self.blocks().check(["n_polynomials", "n_harmonics"])
    }
}
