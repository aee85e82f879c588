//! What the fuzz targets check; the tests drive it with damage of their own.

use crate::{Envelope, HostLimits, KernelEntry, Manifest, vet};

/// Any bytes as a manifest: an error or a manifest that reads the same from its own text.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::from_json(bytes) {
        let again = Manifest::from_json(manifest.to_json().as_bytes());
        assert_eq!(again.as_ref(), Ok(&manifest), "a manifest does not survive its own text");
    }
}

/// Any bytes as an envelope: an error or an envelope that reads the same from its own text.
pub fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::from_json(bytes) {
        assert_eq!(Envelope::from_json(envelope.to_json().as_bytes()), Ok(envelope), "an envelope changes");
    }
}

/// Any bytes as the module of a kernel: vetting ends, and what passes has what calls rely on.
pub fn module(bytes: &[u8], kernel: &KernelEntry) {
    if let Ok(vetted) = vet(bytes, kernel, &HostLimits::default()) {
        assert!(vetted.has_heap_base || vetted.has_alloc);
        assert!(vetted.min_pages <= kernel.resource_limits.max_memory_pages);
    }
}
