//! Weights of the classes: `--class-weights`.
use super::rows::Rows;
use anyhow::{Result, bail};
use mayfly_nn::class_of;

/// One weight for each class of the target: `balanced`, or `a=1,b=2`, where classes that are not named weigh 1.
pub(super) fn class_weights(text: &str, rows: &mut Rows) -> Result<Vec<f32>> {
    let labels = rows.encoder.labels().to_vec();
    if labels.is_empty() {
        bail!("--class-weights goes with classes; numbers are predicted here (--task classify makes classes of them)");
    }
    if text == "balanced" {
        return balanced(labels.len(), rows);
    }
    let mut weights = vec![1.0; labels.len()];
    for part in text.split(',') {
        let named = part.rsplit_once('=').and_then(|(label, weight)| Some((label, weight.trim().parse::<f32>().ok()?)));
        let Some((label, weight)) = named.filter(|(_, w)| w.is_finite() && *w >= 0.0) else {
            bail!(
                "--class-weights {text}: {part:?} is no weight of a class; write balanced, or CLASS=WEIGHT,CLASS=WEIGHT"
            );
        };
        let Some(class) = labels.iter().position(|known| known == label) else {
            bail!("--class-weights {text}: there is no class {label:?}; there are {}", labels.join(", "));
        };
        weights[class] = weight;
    }
    if weights.iter().all(|w| *w == 0.0) {
        bail!("--class-weights {text}: no class has a weight");
    }
    Ok(weights)
}

/// `rows / (classes · rows of the class)`: every class counts the same.
fn balanced(classes: usize, rows: &mut Rows) -> Result<Vec<f32>> {
    let mut counts = vec![0_usize; classes];
    let width = rows.encoder.target_width().max(1);
    rows.training.each(|_, targets| {
        targets.chunks_exact(width).for_each(|row| counts[class_of(row)] += 1);
        Ok(())
    })?;
    let all: usize = counts.iter().sum();
    Ok(counts.iter().map(|n| if *n == 0 { 1.0 } else { all as f32 / (classes * n) as f32 }).collect())
}
