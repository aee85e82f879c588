//! Shapes with symbols: bound by the tensors of a call, or computed from those that are.

use crate::limits::ELEMENTS;

/// One dimension: factors joined from left to right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dim(Vec<(Join, Term)>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Join {
    Times,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Term {
    Number(u64),
    /// Index into the kernel's symbols.
    Symbol(usize),
}

/// What the symbols of a kernel stand for in one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bindings(Vec<Option<u64>>);

impl Bindings {
    pub(crate) fn clear(&mut self, symbols: usize) {
        self.0.clear();
        self.0.resize(symbols, None);
    }
}

impl Dim {
    /// Reads `32`, `n` or `rows*dim/32`; new symbols are added to `symbols`.
    pub(crate) fn parse(text: &str, symbols: &mut Vec<String>) -> Result<Self, String> {
        let (mut terms, mut join, mut rest) = (Vec::new(), Join::Times, text);
        loop {
            let end = rest.find(['*', '/']).unwrap_or(rest.len());
            terms.push((join, Term::parse(&rest[..end], symbols)?));
            match rest.as_bytes().get(end) {
                Some(b'*') => join = Join::Times,
                Some(_) => join = Join::Over,
                None => return Ok(Self(terms)),
            }
            rest = &rest[end + 1..];
        }
    }

    pub(crate) fn number(value: u64) -> Self {
        Self(vec![(Join::Times, Term::Number(value))])
    }

    /// The symbol, if the dimension is one and nothing more.
    fn symbol(&self) -> Option<usize> {
        match self.0[..] {
            [(_, Term::Symbol(index))] => Some(index),
            _ => None,
        }
    }

    /// Binds a lone symbol that is still free.
    pub(crate) fn bind(&self, value: u64, bindings: &mut Bindings) {
        if let Some(index) = self.symbol()
            && let Some(slot @ None) = bindings.0.get_mut(index)
        {
            *slot = Some(value);
        }
    }

    /// Its value; `None` when a symbol is free, a division does not go out even, or it passes 2^30.
    pub(crate) fn value(&self, bindings: &Bindings) -> Option<u64> {
        let mut value = 1u64;
        for (join, term) in &self.0 {
            let factor = match term {
                Term::Number(n) => *n,
                Term::Symbol(index) => bindings.0.get(*index).copied().flatten()?,
            };
            value = match join {
                Join::Times => value.checked_mul(factor)?,
                Join::Over => (factor != 0 && value.is_multiple_of(factor)).then(|| value / factor)?,
            };
        }
        (value <= ELEMENTS).then_some(value)
    }

    /// The least it can be: every symbol 1, and 1 for whatever is divided.
    pub(crate) fn least(&self) -> u64 {
        if self.0.iter().any(|(join, _)| *join == Join::Over) {
            return 1;
        }
        let number = |(_, term): &(Join, Term)| match term {
            Term::Number(n) => *n,
            Term::Symbol(_) => 1,
        };
        self.0.iter().map(number).fold(1, u64::saturating_mul)
    }

    /// The symbols that it is made of.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().filter_map(|(_, term)| match term {
            Term::Symbol(index) => Some(*index),
            Term::Number(_) => None,
        })
    }

    /// Does `bind` bind a symbol here?
    pub(crate) fn binds(&self) -> Option<usize> {
        self.symbol()
    }
}

impl Term {
    fn parse(text: &str, symbols: &mut Vec<String>) -> Result<Self, String> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let number = text.parse().ok().filter(|n| (1..=ELEMENTS).contains(n));
            return number.map(Self::Number).ok_or_else(|| format!("`{text}`: expected a number from 1 to {ELEMENTS}"));
        }
        let first_is_letter = text.starts_with(|c: char| c.is_ascii_lowercase());
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !first_is_letter || !plain {
            return Err(format!("`{text}`: expected a symbol such as `rows`, or a number"));
        }
        let known = symbols.iter().position(|s| s == text);
        Ok(Self::Symbol(known.unwrap_or_else(|| {
            symbols.push(text.to_owned());
            symbols.len() - 1
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let mut symbols = Vec::new();
        let blocks = Dim::parse("rows*dim/32", &mut symbols).unwrap();
        let rows = Dim::parse("rows", &mut symbols).unwrap();
        let dim = Dim::parse("dim", &mut symbols).unwrap();
        assert_eq!(symbols, ["rows", "dim"]);
        let mut bindings = Bindings::default();
        bindings.clear(2);
        assert_eq!(blocks.value(&bindings), None);
        rows.bind(4, &mut bindings);
        dim.bind(64, &mut bindings);
        rows.bind(5, &mut bindings);
        assert_eq!(blocks.value(&bindings), Some(8), "the first binding stays");
        bindings.clear(2);
        rows.bind(1, &mut bindings);
        dim.bind(33, &mut bindings);
        assert_eq!(blocks.value(&bindings), None, "does not go out even");
        bindings.clear(2);
        rows.bind(1 << 30, &mut bindings);
        dim.bind(1 << 40, &mut bindings);
        assert_eq!(blocks.value(&bindings), None, "too large");
    }

    #[test]
    fn bad_ones() {
        for bad in ["", "0", "n*", "*n", "n//2", "N", "n-1", "1073741825", "99999999999999999999", "2n"] {
            assert!(Dim::parse(bad, &mut Vec::new()).is_err(), "{bad}");
        }
    }
}
