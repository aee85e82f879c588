//! Layers and losses of the user's own, by the name that files know them by.
use crate::error::{NnError, Result};
use crate::layers::{ActivationLayer, CustomLayer};
use mayfly_graph::{CustomActivation, CustomOp};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

type LayerMaker = Arc<dyn Fn(&Value, &Registry) -> Result<Arc<dyn CustomLayer>> + Send + Sync>;

/// What a program adds to the built-in layers and losses. Files name them; loading looks them up here.
#[derive(Clone, Default)]
pub struct Registry {
    layers: BTreeMap<String, LayerMaker>,
    losses: BTreeMap<String, Arc<dyn CustomOp>>,
}

impl Registry {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer: `make` gets what [`CustomLayer::config`] gave when the network was saved.
    #[must_use]
    pub fn with_layer(
        mut self,
        name: impl Into<String>,
        make: impl Fn(&Value) -> Result<Arc<dyn CustomLayer>> + Send + Sync + 'static,
    ) -> Self {
        self.layers.insert(name.into(), Arc::new(move |config: &Value, _: &Registry| make(config)));
        self
    }

    /// Adds a layer that holds other layers: `make` gets the registry too, to find theirs ([`LayerSpec::bind`](crate::LayerSpec::bind)).
    #[must_use]
    pub fn with_container(
        mut self,
        name: impl Into<String>,
        make: impl Fn(&Value, &Registry) -> Result<Arc<dyn CustomLayer>> + Send + Sync + 'static,
    ) -> Self {
        self.layers.insert(name.into(), Arc::new(make));
        self
    }

    /// What another registry has too, as a crate of layers offers it.
    #[must_use]
    pub fn with_all(mut self, other: Registry) -> Self {
        self.layers.extend(other.layers);
        self.losses.extend(other.losses);
        self
    }

    /// Adds a layer whose settings, as [`CustomLayer::config`] gives them, serde can read back.
    #[must_use]
    pub fn with_layer_type<L: CustomLayer + DeserializeOwned + 'static>(self, name: impl Into<String>) -> Self {
        self.with_layer(name, |config| {
            let layer: L = serde_json::from_value(config.clone())
                .map_err(|source| NnError::Json { what: "the settings of a layer of the user's own", source })?;
            Ok(Arc::new(layer))
        })
    }

    /// Adds an activation, under its own name.
    #[must_use]
    pub fn with_activation(self, act: impl CustomActivation + 'static) -> Self {
        let layer: Arc<dyn CustomLayer> = Arc::new(ActivationLayer(Arc::new(act)));
        self.with_layer(layer.name().to_owned(), move |_| Ok(layer.clone()))
    }

    /// Adds a loss, under its own name.
    #[must_use]
    pub fn with_loss(mut self, op: impl CustomOp + 'static) -> Self {
        self.losses.insert(op.name().to_owned(), Arc::new(op));
        self
    }

    pub(crate) fn layer(&self, name: &str, config: &Value) -> Result<Arc<dyn CustomLayer>> {
        let make =
            self.layers.get(name).ok_or_else(|| NnError::Unregistered { kind: "layer", name: name.to_owned() })?;
        make(config, self)
    }

    pub(crate) fn loss(&self, name: &str) -> Result<Arc<dyn CustomOp>> {
        self.losses.get(name).cloned().ok_or_else(|| NnError::Unregistered { kind: "loss", name: name.to_owned() })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry of layers {:?} and losses {:?}", self.layers.keys(), self.losses.keys())
    }
}
