//! Layers of the user's own.
use super::{Layer, LayerCx};
use crate::error::{NnError, Result};
use crate::registry::Registry;
use mayfly_graph::{CustomActivation, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// A layer of the user's own, built from the graph's operations and, where those do not suffice, from a [`CustomOp`](mayfly_graph::CustomOp).
pub trait CustomLayer: fmt::Debug + Send + Sync {
    /// The name that files record and a [`Registry`] looks up.
    fn name(&self) -> &str;

    /// The settings that files record.
    fn config(&self) -> Value {
        Value::Null
    }

    /// Adds nodes that compute the layer on `x` and returns its output; parameters come from [`LayerCx::weight`], [`LayerCx::bias`] and [`LayerCx::param`].
    ///
    /// # Errors
    /// An input that the layer cannot work on ([`LayerCx::refuse`] makes the error), or what the graph says.
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId>;
}

/// A [`CustomLayer`] in a network. In a file it is its name and settings; loading needs a [`Registry`] that has it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    name: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    config: Value,
    #[serde(skip)]
    layer: Option<Arc<dyn CustomLayer>>,
}

impl Custom {
    /// A layer of the user's own.
    pub fn new(layer: impl CustomLayer + 'static) -> Self {
        Self::from_arc(Arc::new(layer))
    }

    /// An elementwise activation of the user's own, as a layer without parameters.
    pub fn activation(act: impl CustomActivation + 'static) -> Self {
        Self::new(ActivationLayer(Arc::new(act)))
    }

    fn from_arc(layer: Arc<dyn CustomLayer>) -> Self {
        Custom { name: layer.name().to_owned(), config: layer.config(), layer: Some(layer) }
    }

    /// Finds the code of a layer that was read from a file.
    pub(crate) fn bind(&mut self, registry: &Registry) -> Result<()> {
        if self.layer.is_none() {
            *self = Self::from_arc(registry.layer(&self.name, &self.config)?);
        }
        Ok(())
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.config == other.config
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custom({:?}, {})", self.name, self.config)
    }
}

impl Layer for Custom {
    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        match &self.layer {
            Some(layer) => layer.build(cx, x),
            None => Err(NnError::Unregistered { kind: "layer", name: self.name.clone() }),
        }
    }
}

/// An activation as a layer.
#[derive(Debug)]
pub(crate) struct ActivationLayer(pub Arc<dyn CustomActivation>);

impl CustomLayer for ActivationLayer {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn build(&self, cx: &mut LayerCx<'_>, x: NodeId) -> Result<NodeId> {
        Ok(cx.graph().custom_act(x, self.0.clone())?)
    }
}
