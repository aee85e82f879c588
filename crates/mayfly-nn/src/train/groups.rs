//! Parameter groups: parts of a network that are trained in their own way, or not at all.
use crate::algorithm::Algorithm;
use crate::error::{NnError, Result};
use crate::optimiser::Stretch;
use mayfly_graph::{ParamInfo, Role};
use serde::{Deserialize, Serialize};

/// Parameters that are trained in their own way. A parameter belongs to the first group that names it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParamGroup {
    /// Names of parameters, `*` for any characters: `layers.0.*`, `*.bias`.
    pub names: Vec<String>,
    /// Whether they stay as they are.
    pub frozen: bool,
    /// Factor on the learning rate.
    pub rate: f32,
    /// Weight decay in place of the algorithm's.
    pub weight_decay: Option<f32>,
}

impl Default for ParamGroup {
    fn default() -> Self {
        ParamGroup { names: Vec::new(), frozen: false, rate: 1.0, weight_decay: None }
    }
}

impl ParamGroup {
    /// The parameters of these names, trained as all others until something is changed.
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        ParamGroup { names: names.into_iter().map(Into::into).collect(), ..ParamGroup::default() }
    }

    /// The same parameters, left as they are.
    #[must_use]
    pub fn frozen(self) -> Self {
        ParamGroup { frozen: true, ..self }
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| matches(pattern, name))
    }

    fn check(&self, algorithm: &Algorithm, layout: &[ParamInfo]) -> Result<()> {
        let unknown = self.names.iter().find(|pattern| !layout.iter().any(|info| matches(pattern, &info.name)));
        if let Some(pattern) = unknown {
            let known = layout.iter().map(|info| info.name.clone()).collect();
            return Err(NnError::UnknownName { kind: "parameter", name: pattern.clone(), known });
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return Err(NnError::option("rate of a group", self.rate, "it must be positive; frozen groups say so"));
        }
        if self.rate != 1.0 && algorithm.learning_rate().is_none() {
            let want = format!("{} has no learning rate", algorithm.name());
            return Err(NnError::option("rate of a group", self.rate, want));
        }
        let Some(decay) = self.weight_decay else { return Ok(()) };
        if !(decay >= 0.0 && decay.is_finite()) || algorithm.clone().with_weight_decay(decay).is_none() {
            let want = format!("{} takes none, or it is negative", algorithm.name());
            return Err(NnError::option("weight decay of a group", decay, want));
        }
        Ok(())
    }
}

/// What the optimiser moves, and how: all parameters but running statistics and frozen groups.
pub(super) fn stretches(layout: &[ParamInfo], groups: &[ParamGroup], algorithm: &Algorithm) -> Result<Vec<Stretch>> {
    groups.iter().try_for_each(|group| group.check(algorithm, layout))?;
    let mut all: Vec<Stretch> = Vec::new();
    for info in layout.iter().filter(|info| info.role != Role::RunningStat) {
        let group = groups.iter().find(|group| group.has(&info.name));
        if group.is_some_and(|group| group.frozen) {
            continue;
        }
        let (rate, weight_decay) = group.map_or((1.0, None), |group| (group.rate, group.weight_decay));
        let range = info.range();
        match all.last_mut() {
            Some(last) if (last.range.end, last.rate, last.weight_decay) == (range.start, rate, weight_decay) => {
                last.range.end = range.end;
            }
            _ => all.push(Stretch { range, rate, weight_decay }),
        }
    }
    all.retain(|stretch| !stretch.range.is_empty());
    if all.is_empty() && layout.iter().any(|info| info.role != Role::RunningStat) {
        return Err(NnError::option("groups", "all frozen", "some parameters must be trained"));
    }
    Ok(all)
}

/// Whether all parameters are trained alike.
pub(super) fn is_plain(stretches: &[Stretch], params: usize) -> bool {
    matches!(stretches, [all] if *all == Stretch::from(0..params))
}

/// Whether a name fits a pattern, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    while let Some((part, behind)) = rest.split_once('*') {
        let Some(at) = name.find(part) else { return false };
        (name, rest) = (&name[at + part.len()..], behind);
    }
    name.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        let names = ["layers.0.weight", "layers.0.bias", "layers.10.weight"];
        let found = |pattern: &str| names.iter().filter(|name| matches(pattern, name)).count();
        assert_eq!(
            ["*", "layers.0.*", "*.weight", "layers.*.weight", "layers.1*t", "*a*e*s*0*", "layers.0.bias"].map(found),
            [3, 2, 2, 2, 1, 3, 1]
        );
        assert_eq!(["", "layers.0", "*weigh", "weight", "layers.0.bias*s", "**bia"].map(found), [0; 6]);
    }
}
