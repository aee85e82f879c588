//! How the point forecast of a step changes with what a network gives for it.
use super::ForecastLoss;
use crate::windows::Fitted;

/// Half the distance of a difference: outputs are exact there, and means are smooth and computed in f64.
const STEP: f32 = 1.0 / 512.0;

impl ForecastLoss {
    /// The first column of a step, its point forecast on the scale of the data, by each of the step's outputs.
    pub(crate) fn slopes(&self, outputs: &[f32], scale: Fitted) -> Vec<f32> {
        match self {
            ForecastLoss::Distribution(loss) => {
                let mut moved = outputs.to_vec();
                let mean = |outputs: &[f32]| loss.law(outputs, scale.into()).mean();
                let mut one = |i: usize| {
                    let before = moved[i];
                    let [high, low] = [before + STEP, before - STEP].map(|at| {
                        moved[i] = at;
                        (mean(&moved), f64::from(at))
                    });
                    moved[i] = before;
                    ((high.0 - low.0) / (high.1 - low.1)) as f32
                };
                (0..outputs.len()).map(&mut one).collect()
            }
            _ => {
                let at = self.chosen(outputs);
                (0..outputs.len()).map(|i| if i == at { scale.slope(outputs[i]) } else { 0.0 }).collect()
            }
        }
    }

    /// Which output the point forecast is: of quantiles the one that is the median once they are sorted.
    fn chosen(&self, outputs: &[f32]) -> usize {
        if self.spread().is_none() {
            return 0;
        }
        let below = self.quantiles().iter().filter(|q| **q < 0.5).count();
        let mut order: Vec<usize> = (0..outputs.len()).collect();
        order.sort_by(|a, b| outputs[*a].total_cmp(&outputs[*b]));
        order.get(below).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::Told;

    #[test]
    fn slopes_are_those_of_the_first_column() {
        let scale = Fitted::line(5.0, 2.0);
        for name in ForecastLoss::NAMES {
            let loss = ForecastLoss::by_name(name, &[]).unwrap();
            let outputs: Vec<f32> = (0..loss.outputs()).map(|i| 0.3 + (i as f32 * 1.7 + 1.0).sin()).collect();
            let column = |outputs: &[f32]| {
                let mut columns = Vec::new();
                loss.read(&Told { outputs, scale, shares: &[] }, &mut columns);
                f64::from(columns[0])
            };
            let slopes = loss.slopes(&outputs, scale);
            assert_eq!(slopes.len(), outputs.len(), "{name}");
            for i in 0..outputs.len() {
                let at = |by: f32| {
                    let mut moved = outputs.clone();
                    moved[i] += by;
                    column(&moved)
                };
                let want = (at(0.01) - at(-0.01)) / 0.02;
                assert!(
                    (f64::from(slopes[i]) - want).abs() < 2e-3 * (1.0 + want.abs()),
                    "{name} {i}: {slopes:?} {want}"
                );
            }
            assert!(slopes.iter().any(|slope| *slope != 0.0), "{name}: {slopes:?}");
        }
    }
}
