//! Forecasts as sums: what each stack of a family adds.
use super::cx::ForecastCx;
use mayfly_graph::{Binary, NodeId};
use mayfly_nn::Result;

impl ForecastCx<'_, '_> {
    /// Says that a node of the forecast's size is added to it, as a piece of part `i`. Parts begin in their order.
    pub(super) fn contributes(&mut self, i: usize, node: NodeId) -> Result<()> {
        if !self.parts.are_wanted {
            return Ok(());
        }
        match self.parts.sums.get(i).copied() {
            Some(sum) => self.parts.sums[i] = self.binary(Binary::Add, sum, node)?,
            None => self.parts.sums.push(node),
        }
        Ok(())
    }
}

impl ForecastCx<'_, '_> {
    /// Says that a node of `len` values a row is weights by which the network chooses.
    pub(super) fn chooses(&mut self, node: NodeId, len: usize) -> Result<()> {
        if self.choices.is_some() {
            let flat = self.reshape(node, &[len])?;
            self.choices.iter_mut().for_each(|choices| choices.push(flat));
        }
        Ok(())
    }
}

/// The level, and a name for each stack: its kind, with a number where there are several.
pub(super) fn names(kinds: &[&str]) -> Vec<String> {
    let stack = |(i, kind): (usize, &&str)| {
        let same = |kinds: &[&str]| kinds.iter().filter(|other| *other == kind).count();
        if same(kinds) == 1 { (*kind).to_owned() } else { format!("{kind}-{}", same(&kinds[..=i])) }
    };
    std::iter::once("level".to_owned()).chain(kinds.iter().enumerate().map(stack)).collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn stacks_of_one_kind_are_numbered() {
        let want = ["level", "trend", "identity-1", "identity-2"];
        assert_eq!(names(&["trend", "identity", "identity"]), want);
    }
}
