//! What makes a [`FannFile`] a network.

use std::ops::Range;

use super::{FannConnection, FannFile, FannScale, FannTopology, FannVersion, MAX_DECIMAL_POINT};
use crate::error::{FormatError, Position, Result};

/// What is wrong with a net, before it is known which file it is from.
struct Wrong {
    place: String,
    want: String,
    got: String,
}

type Checked = std::result::Result<(), Wrong>;

fn wrong(place: impl Into<String>, want: impl Into<String>, got: impl ToString) -> Wrong {
    Wrong { place: place.into(), want: want.into(), got: got.to_string() }
}

impl FannFile {
    /// Checks that this is a network that the C library can hold and run, and that our reading of it and the C library's agree.
    ///
    /// Readers and writers call it; call it yourself after changing fields.
    ///
    /// # Errors
    /// [`FormatError::Malformed`], which says where, what was expected and what is there.
    pub fn check(&self) -> Result<()> {
        self.check_in("FANN net")
    }

    /// [`FannFile::check`] with the name of the file for the message.
    pub(super) fn check_in(&self, file: &str) -> Result<()> {
        self.check_all()
            .map_err(|Wrong { place, want, got }| FormatError::malformed(file, Position::Part(place), want, &got))
    }

    fn check_all(&self) -> Checked {
        self.check_version()?;
        self.check_layers()?;
        self.check_neurons()?;
        self.check_sources()?;
        self.check_numbers()?;
        self.check_scaling()
    }

    fn check_version(&self) -> Checked {
        match self.version.decimal_point() {
            Some(point) if point > MAX_DECIMAL_POINT => {
                Err(wrong("decimal_point", format!("at most {MAX_DECIMAL_POINT}"), point))
            }
            _ => Ok(()),
        }
    }

    fn check_layers(&self) -> Checked {
        if self.layer_sizes.len() < 2 {
            return Err(wrong("layer_sizes", "at least 2 layers", self.layer_sizes.len()));
        }
        if let Some(layer) = self.layer_sizes.iter().position(|&n| n == 0) {
            return Err(wrong(format!("layer {layer}"), "at least 1 neuron", "none"));
        }
        if self.input_count() == 0 {
            return Err(wrong("layer 0", "at least 1 input and the bias", "1 neuron"));
        }
        if self.output_count() == 0 {
            return Err(wrong("the last layer", "at least 1 output and the bias", "1 neuron"));
        }
        let total: u64 = self.layer_sizes.iter().map(|&n| u64::from(n)).sum();
        if total != self.neurons.len() as u64 || u32::try_from(total).is_err() {
            return Err(wrong("neurons", format!("{total}, the sum of layer_sizes"), self.neurons.len()));
        }
        Ok(())
    }

    fn check_neurons(&self) -> Checked {
        for (index, layer) in self.layers().enumerate() {
            let first_bias = match (index, self.topology) {
                (0, _) => layer.start,
                (_, FannTopology::Layered) => layer.end.saturating_sub(1),
                (_, FannTopology::Shortcut) => layer.end,
            };
            for neuron in first_bias..layer.end {
                let inputs = self.neurons.get(neuron).map_or(0, |n| n.inputs);
                if inputs != 0 {
                    return Err(wrong(
                        format!("neuron {neuron} (layer {index})"),
                        "no connections, for it is an input or a bias",
                        inputs,
                    ));
                }
            }
        }
        let claimed: u64 = self.neurons.iter().map(|n| u64::from(n.inputs)).sum();
        if claimed != self.connections.len() as u64 {
            return Err(wrong("connections", format!("{claimed}, the sum of num_inputs"), self.connections.len()));
        }
        Ok(())
    }

    fn check_sources(&self) -> Checked {
        let mut of_neuron = self.connections_by_neuron().enumerate();
        let mut previous = 0..0;
        for layer in self.layers() {
            for (neuron, connections) in of_neuron.by_ref().take(layer.len()) {
                self.check_sources_of(neuron, connections, &previous)?;
            }
            previous = layer;
        }
        Ok(())
    }

    /// In a fully connected net the C library takes sources by position and ignores what is stored, so the two must agree.
    fn check_sources_of(&self, neuron: usize, connections: &[FannConnection], previous: &Range<usize>) -> Checked {
        let base = if self.topology == FannTopology::Shortcut { 0 } else { previous.start };
        for (k, connection) in connections.iter().enumerate() {
            let source = connection.source as usize;
            let place = || format!("connection {k} of neuron {neuron}");
            if source >= previous.end {
                return Err(wrong(place(), format!("a source in an earlier layer, below {}", previous.end), source));
            }
            if self.connection_rate >= 1.0 && source != base + k {
                return Err(wrong(place(), format!("source {}, as the net is fully connected", base + k), source));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Checked {
        if let Some((name, value)) = self.parameters().find(|(_, value)| !value.is_finite()) {
            return Err(wrong(name, "a finite number", value));
        }
        if self.connection_rate < 0.0 {
            return Err(wrong("connection_rate", "0 to 1", self.connection_rate));
        }
        if let Some((i, n)) = self.neurons.iter().enumerate().find(|(_, n)| !n.steepness.is_finite()) {
            return Err(wrong(format!("steepness of neuron {i}"), "a finite number", n.steepness));
        }
        if let Some((i, c)) = self.connections.iter().enumerate().find(|(_, c)| !c.weight.is_finite()) {
            return Err(wrong(format!("weight of connection {i}"), "a finite number", c.weight));
        }
        Ok(())
    }

    fn parameters(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        let (t, c) = (&self.training, &self.cascade);
        let singles = [
            ("connection_rate", self.connection_rate),
            ("learning_rate", t.learning_rate),
            ("learning_momentum", t.learning_momentum),
            ("quickprop_decay", t.quickprop_decay),
            ("quickprop_mu", t.quickprop_mu),
            ("rprop_increase_factor", t.rprop_increase_factor),
            ("rprop_decrease_factor", t.rprop_decrease_factor),
            ("rprop_delta_min", t.rprop_delta_min),
            ("rprop_delta_max", t.rprop_delta_max),
            ("rprop_delta_zero", t.rprop_delta_zero),
            ("cascade_output_change_fraction", c.output_change_fraction),
            ("cascade_candidate_change_fraction", c.candidate_change_fraction),
        ];
        let doubles = [
            ("bit_fail_limit", t.bit_fail_limit),
            ("cascade_candidate_limit", c.candidate_limit),
            ("cascade_weight_multiplier", c.weight_multiplier),
        ];
        let steepnesses = c.activation_steepnesses.iter().map(|&s| ("cascade_activation_steepnesses", s));
        singles.into_iter().map(|(name, x)| (name, f64::from(x))).chain(doubles).chain(steepnesses)
    }

    fn check_scaling(&self) -> Checked {
        let Some(scaling) = &self.scaling else {
            return Ok(());
        };
        if self.version != FannVersion::Float21 {
            return Err(wrong("scaling", "none, for only FANN_FLO_2.1 has it", "scaling parameters"));
        }
        check_scale("in", &scaling.input, self.input_count())?;
        check_scale("out", &scaling.output, self.output_count())
    }
}

fn check_scale(side: &str, scale: &FannScale, count: usize) -> Checked {
    for (name, values) in
        [("mean", &scale.mean), ("deviation", &scale.deviation), ("new_min", &scale.new_min), ("factor", &scale.factor)]
    {
        let place = || format!("scale_{name}_{side}");
        if values.len() != count {
            return Err(wrong(place(), format!("{count} numbers"), values.len()));
        }
        if let Some(i) = values.iter().position(|x| !x.is_finite()) {
            return Err(wrong(
                format!("{}[{i}]", place()),
                "a finite number",
                values.get(i).map_or_else(String::new, f32::to_string),
            ));
        }
    }
    Ok(())
}
