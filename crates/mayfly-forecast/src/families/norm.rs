//! Windows brought to mean 0 and variance 1, and back: `[batch, series, time]`.
use super::cx::ForecastCx;
use mayfly_graph::{Binary, NodeId, Shape};
use mayfly_nn::{Act, Init, Result};

/// Added to a variance.
const EPS: f32 = 1e-5;

/// What a window is moved by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Centre {
    Mean,
    /// Its last value.
    Last,
}

/// What the values of each series were moved and divided by, `[batch, series]`, and what they were multiplied by and moved afterwards, `[series]`, where that is learnt.
pub(super) struct Moments {
    centre: NodeId,
    deviation: NodeId,
    affine: Option<[NodeId; 2]>,
}

/// Under which names the scale and shift that follow a normalisation are learnt, if they are, and their dimensions.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a> {
    pub(super) weight: &'a str,
    pub(super) bias: &'a str,
    pub(super) rank: usize,
}

impl ForecastCx<'_, '_> {
    /// Each series less its mean and divided by its deviation (Kim et al. 2022), then scaled and moved as is learnt.
    pub(super) fn normalised(&mut self, x: NodeId, affine: Option<Affine<'_>>) -> Result<(NodeId, Moments)> {
        self.normalised_around(x, Centre::Mean, affine)
    }

    /// As [`ForecastCx::normalised`], around another value than the mean.
    pub(super) fn normalised_around(
        &mut self,
        x: NodeId,
        around: Centre,
        affine: Option<Affine<'_>>,
    ) -> Result<(NodeId, Moments)> {
        let n = self.width(x)?;
        let mean = self.mean(x)?;
        let means = self.spread(mean, n)?;
        let centred = self.binary(Binary::Sub, x, means)?;
        let squares = self.act(centred, Act::Square)?;
        let variance = self.mean(squares)?;
        let variance = self.act(variance, Act::Affine { mul: 1.0, add: EPS })?;
        let deviation = self.act(variance, Act::Sqrt)?;
        let deviations = self.spread(deviation, n)?;
        let (mut centre, mut moved) = (mean, centred);
        if around == Centre::Last {
            let last = self.cut(x, 2, n - 1, 1)?;
            centre = self.reshape(last, &[self.series])?;
            let centres = self.spread(centre, n)?;
            moved = self.binary(Binary::Sub, x, centres)?;
        }
        let mut y = self.binary(Binary::Div, moved, deviations)?;
        let affine = affine.map(|affine| self.affine(affine)).transpose()?;
        if let Some([weight, bias]) = affine {
            let [weight, bias] = [self.spread(weight, n)?, self.spread(bias, n)?];
            y = self.binary(Binary::Mul, y, weight)?;
            y = self.binary(Binary::Add, y, bias)?;
        }
        Ok((y, Moments { centre, deviation, affine }))
    }

    /// Takes a normalisation back: `[batch, series, n]` for any n.
    pub(super) fn restored(&mut self, mut y: NodeId, moments: &Moments) -> Result<NodeId> {
        let n = self.width(y)?;
        if let Some([weight, bias]) = moments.affine {
            let [weight, bias] = [self.spread(weight, n)?, self.spread(bias, n)?];
            y = self.binary(Binary::Sub, y, bias)?;
            y = self.binary(Binary::Div, y, weight)?;
        }
        let [centre, deviation] = [self.spread(moments.centre, n)?, self.spread(moments.deviation, n)?];
        y = self.binary(Binary::Mul, y, deviation)?;
        self.binary(Binary::Add, y, centre)
    }

    /// Scale and shift of each series, `[series]`.
    fn affine(&mut self, names: Affine<'_>) -> Result<[NodeId; 2]> {
        let mut dims = vec![1; names.rank];
        if let Some(last) = dims.last_mut() {
            *last = self.series;
        }
        let vector = Shape::fixed(&[self.series])?;
        let weight = self.cx.param(names.weight, &dims, Init::Constant(1.0))?;
        let bias = self.cx.param(names.bias, &dims, Init::Zeros)?;
        let g = self.cx.graph();
        Ok([g.reshape(weight, vector)?, g.reshape(bias, vector)?])
    }
}
