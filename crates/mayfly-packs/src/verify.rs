//! The checks in their order: envelope, trust, manifest, gates, hashes, vetting. Nothing later is looked at before the earlier passes.

use crate::bytes::sha256_hex;
use crate::engine::{Engine, EngineKind, ModuleLimits};
use crate::envelope::Envelope;
use crate::error::{PackError, Result};
use crate::files::{ENVELOPE_FILE, MANIFEST_FILE, PackFiles};
use crate::golden::Golden;
use crate::keys::KeyId;
use crate::limits::{ENVELOPE_BYTES, GOLDEN_BYTES, HostLimits, MANIFEST_BYTES, MODULE_BYTES};
use crate::manifest::{KernelEntry, Manifest};
use crate::trust::TrustedKeys;
use crate::version::Version;
use crate::vet::{Effort, Vetted, vet};
use std::collections::BTreeMap;

/// What a pack is held against besides the trust store.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The moment of the check, seconds since 1970.
    pub now: u64,
    /// The highest counter that was ever installed under the name, if any.
    pub installed_counter: Option<u64>,
    /// The version of this runtime.
    pub runtime: Version,
    /// The engine that will run the pack; `None` checks that some engine of this build can.
    pub engine: Option<EngineKind>,
    /// The host's own limits.
    pub limits: HostLimits,
}

impl Policy {
    /// The policy of this build at a moment.
    pub fn at(now: u64) -> Self {
        Self { now, installed_counter: None, runtime: Version::runtime(), engine: None, limits: HostLimits::default() }
    }
}

/// A pack that passed every check but compilation. Only [`verify()`] makes one.
#[derive(Clone)]
pub struct VerifiedPack {
    pub(crate) manifest: Manifest,
    pub(crate) signers: Vec<KeyId>,
    pub(crate) modules: BTreeMap<String, (Vec<u8>, Vetted)>,
    pub(crate) golden: Option<Golden>,
    pub(crate) limits: HostLimits,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for VerifiedPack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pack = format!("{} {}", self.manifest.name, self.manifest.version);
        f.debug_struct("VerifiedPack").field("pack", &pack).field("signers", &self.signers).finish_non_exhaustive()
    }
}

impl VerifiedPack {
    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The trusted keys that signed it.
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// Its golden vectors, if it has some.
    pub fn golden(&self) -> Option<&Golden> {
        self.golden.as_ref()
    }

    /// Compiles every kernel that names the engine and forgets the code: what passes here can be loaded. Returns how many there were.
    ///
    /// # Errors
    /// [`PackError::Compile`].
    pub fn check_compiles(&self, engine: &dyn Engine) -> Result<usize> {
        let named = |kernel: &&KernelEntry| kernel.platforms.contains_key(engine.kind().name());
        let mut kernels = 0;
        for kernel in self.manifest.kernels.iter().filter(named) {
            let wasm = self.modules.get(&kernel.id).map_or(&[][..], |(wasm, _)| wasm);
            engine.compile(wasm, &ModuleLimits::of(kernel, &self.limits))?;
            kernels += 1;
        }
        Ok(kernels)
    }

    /// Every file that was checked, by its path in the pack.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }
}

/// Takes a pack through all checks.
///
/// # Errors
/// The first that fails, in the order of `docs/formats/kernel-pack.md`.
pub fn verify(files: &PackFiles, trust: &TrustedKeys, policy: &Policy) -> Result<VerifiedPack> {
    let manifest_bytes = files.read(MANIFEST_FILE, MANIFEST_BYTES)?;
    let envelope_bytes = read_envelope(files)?;
    let envelope = Envelope::from_json(&envelope_bytes)?;
    let signers = trust.check(&manifest_bytes, &envelope, policy.now)?;
    let manifest = Manifest::from_json(&manifest_bytes)?;
    check_author(&manifest, &envelope)?;
    trust.check_pack(&manifest.name, manifest.counter)?;
    check_gates(&manifest, policy)?;
    let mut kept =
        BTreeMap::from([(MANIFEST_FILE.to_owned(), manifest_bytes), (ENVELOPE_FILE.to_owned(), envelope_bytes)]);
    read_hashed(files, &manifest, &mut kept)?;
    let (mut modules, mut effort) = (BTreeMap::new(), Effort::default());
    for kernel in &manifest.kernels {
        let wasm = kept.get(&kernel.path).cloned().unwrap_or_default();
        let vetted = vet(&wasm, kernel, &policy.limits)?;
        check_simd(kernel, &vetted)?;
        effort.add(vetted.effort);
        effort.check_pack()?;
        modules.insert(kernel.id.clone(), (wasm, vetted));
    }
    let golden = match &manifest.golden {
        Some(file) => Some(Golden::from_json(kept.get(&file.path).map_or(&[][..], |bytes| bytes), &manifest)?),
        None => None,
    };
    Ok(VerifiedPack { manifest, signers, modules, golden, limits: policy.limits.clone(), files: kept })
}

fn read_envelope(files: &PackFiles) -> Result<Vec<u8>> {
    files.read(ENVELOPE_FILE, ENVELOPE_BYTES).map_err(|error| match error {
        PackError::Io { path, message } => {
            PackError::BadEnvelope { what: format!("cannot be read: {path}: {message}; an unsigned pack is refused") }
        }
        other => other,
    })
}

fn check_author(manifest: &Manifest, envelope: &Envelope) -> Result<()> {
    if envelope.signatures.iter().any(|s| s.key_id.as_str() == manifest.author.signing_key) {
        return Ok(());
    }
    let what = format!("key {} has not signed the pack", manifest.author.signing_key);
    Err(PackError::schema("/author/signing_key", what))
}

/// Time, counter, runtime and engine.
fn check_gates(manifest: &Manifest, policy: &Policy) -> Result<()> {
    let what = || format!("pack {} {}", manifest.name, manifest.version);
    if let Some(not_after) = manifest.not_after.filter(|end| policy.now > *end) {
        return Err(PackError::Expired { what: what(), not_after, now: policy.now });
    }
    if let Some(installed) = policy.installed_counter.filter(|highest| manifest.counter < *highest) {
        return Err(PackError::Downgrade { name: manifest.name.clone(), found: manifest.counter, installed });
    }
    let least = Manifest::parse_version("/min_runtime_version", &manifest.min_runtime_version)?;
    if policy.runtime < least {
        let (required, found) = (least.to_string(), policy.runtime.to_string());
        return Err(PackError::RuntimeTooOld { what: what(), required, found });
    }
    if let Some(text) = &manifest.max_runtime_version {
        let most = Manifest::parse_version("/max_runtime_version", text)?;
        if policy.runtime > most {
            let (limit, found) = (most.to_string(), policy.runtime.to_string());
            return Err(PackError::RuntimeTooNew { what: what(), limit, found });
        }
    }
    manifest.kernels.iter().try_for_each(|kernel| check_platform(kernel, policy.engine))
}

/// Can the engine, or any when none is named, run the kernel?
fn check_platform(kernel: &KernelEntry, engine: Option<EngineKind>) -> Result<()> {
    let on = |kind: EngineKind| {
        let missing =
            |feature: &str| PackError::MissingFeature { kernel: kernel.id.clone(), feature: feature.to_owned() };
        let platform = kernel.platforms.get(kind.name()).ok_or_else(|| missing(kind.name()))?;
        let least = Manifest::parse_version("/kernels/platforms", &platform.min_version)?;
        if kind.version() < least {
            let what = format!("kernel {} on {}", kernel.id, kind.name());
            return Err(PackError::RuntimeTooOld {
                what,
                required: least.to_string(),
                found: kind.version().to_string(),
            });
        }
        match platform.features.iter().find(|f| !kind.features().contains(&f.as_str())) {
            Some(feature) => Err(missing(feature)),
            None => Ok(()),
        }
    };
    match engine {
        Some(kind) => on(kind),
        None => on(EngineKind::Wasmtime).or_else(|first| on(EngineKind::Wasmi).map_err(|_| first)),
    }
}

/// A module must not use what its entry does not declare: the gates above looked at the declaration.
fn check_simd(kernel: &KernelEntry, vetted: &Vetted) -> Result<()> {
    let declared = kernel.platforms.values().all(|p| p.features.iter().any(|f| f == "simd"));
    if vetted.uses_simd && !declared {
        let what = "the module uses SIMD, but `features` does not say `simd`";
        return Err(PackError::schema(format!("/kernels/{}/platforms", kernel.id), what));
    }
    Ok(())
}

fn read_hashed(files: &PackFiles, manifest: &Manifest, kept: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let modules = manifest.kernels.iter().map(|k| (&k.path, k.hash_hex(), MODULE_BYTES));
    let golden = manifest.golden.iter().map(|file| (&file.path, file.hash_hex(), GOLDEN_BYTES));
    for (path, expected, limit) in modules.chain(golden) {
        let bytes = files.read(path, limit)?;
        let actual = sha256_hex(&bytes);
        if actual != expected {
            return Err(PackError::HashMismatch { path: path.clone(), expected: expected.to_owned(), actual });
        }
        kept.insert(path.clone(), bytes);
    }
    Ok(())
}
