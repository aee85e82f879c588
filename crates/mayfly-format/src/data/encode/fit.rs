//! The one pass over the rows in which all is found that an encoder is made of.

use super::collect::{Collected, INPUT_HINT, TARGET_HINT, input_stats, is_missing, missing_value, target_stats};
use super::options::{FitOptions, MissingPolicy};
use super::roles::{self, Roles};
use super::strata::Strata;
use super::survey::Survey;
use crate::data::chunk::Chunk;
use crate::data::schema::Schema;
use crate::data::source::Source;
use crate::data::split::Part;
use crate::error::Result;

/// Rows per chunk of the pass.
const CHUNK_ROWS: usize = 1 << 10;

impl Survey {
    /// Looks at a file, in one pass.
    ///
    /// # Errors
    /// As [`Encoder::fit`], but for what is not learnable: of one class, or without a training row, a file may be one of several.
    pub fn take(source: &mut dyn Source, options: &FitOptions) -> Result<Self> {
        options.split.check()?;
        let name = source.name().to_owned();
        let schema = source.schema().clone();
        let roles = roles::assign(&name, &schema, &source.reading(), options)?;
        let collected = Pass::new(&name, &schema, &roles, options)?.run(source)?;
        Ok(collected.survey(source, roles))
    }
}

/// The pass over the rows.
struct Pass<'a> {
    name: &'a str,
    schema: &'a Schema,
    roles: &'a Roles,
    options: &'a FitOptions,
    strata: Strata,
    collected: Collected,
}

impl<'a> Pass<'a> {
    fn new(name: &'a str, schema: &'a Schema, roles: &'a Roles, options: &'a FitOptions) -> Result<Self> {
        let inputs = roles.inputs.iter().filter_map(|&position| input_stats(schema, position)).collect();
        let targets = target_stats(name, schema, roles, options)?;
        Ok(Self {
            strata: Strata::new(schema, &roles.targets),
            collected: Collected { inputs, targets, training_rows: 0, rows: 0 },
            name,
            schema,
            roles,
            options,
        })
    }

    fn run(mut self, source: &mut dyn Source) -> Result<Collected> {
        let mut splitter = self.options.split.splitter();
        let mut chunk = Chunk::default();
        source.rewind()?;
        while source.read(&mut chunk, CHUNK_ROWS)? > 0 {
            self.strata.update(source);
            for row in 0..chunk.rows {
                let part = splitter.next_part(self.strata.class_of(self.schema, &chunk, row));
                self.row(&chunk, row, part)?;
            }
        }
        source.rewind()?;
        Ok(self.collected)
    }

    fn row(&mut self, chunk: &Chunk, row: usize, part: Part) -> Result<()> {
        let (numbers, codes) = (chunk.numbers_of(self.schema, row), chunk.codes_of(self.schema, row));
        self.collected.rows += 1;
        if self.must_drop(chunk, row)? {
            return Ok(());
        }
        let training = part == Part::Training;
        self.collected.targets.add(numbers, codes, u64::from(training));
        if training {
            self.collected.training_rows += 1;
            for input in &mut self.collected.inputs {
                input.add(numbers, codes);
            }
        }
        Ok(())
    }

    /// Whether the row is to be left out for what is missing in it.
    fn must_drop(&self, chunk: &Chunk, row: usize) -> Result<bool> {
        let policy = self.options.missing;
        let missing = |&&position: &&usize| is_missing(self.schema, chunk, row, position);
        let target = self.roles.targets.iter().find(missing);
        let input = match policy {
            MissingPolicy::Impute => None,
            MissingPolicy::DropRow | MissingPolicy::Error => self.roles.inputs.iter().find(missing),
        };
        match (policy, target, input) {
            (_, None, None) => Ok(false),
            (MissingPolicy::DropRow, ..) => Ok(true),
            (_, Some(&position), _) => Err(missing_value(self.name, self.schema, chunk, row, position, TARGET_HINT)),
            (_, None, Some(&position)) => Err(missing_value(self.name, self.schema, chunk, row, position, INPUT_HINT)),
        }
    }
}
