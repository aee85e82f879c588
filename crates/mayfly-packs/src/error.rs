//! The one error type of this crate: what was expected, what was found, and what to do.

/// The result of everything in this crate that can fail.
pub type Result<T, E = PackError> = std::result::Result<T, E>;

/// Why a pack was refused, or how a call of a kernel ended. None of them ends the process.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    // Reading and trust.
    /// The operating system refused.
    #[error("{path}: {message}")]
    Io {
        /// The file.
        path: String,
        /// The system's own words.
        message: String,
    },
    /// The envelope is not what the format says.
    #[error("kernels.json.sig: {what}")]
    BadEnvelope {
        /// What is wrong, and where.
        what: String,
    },
    /// A signature by a known key does not fit the manifest.
    #[error(
        "the {algorithm} signature by key {key_id} does not fit kernels.json: the manifest or the signature was changed"
    )]
    BadSignature {
        /// The key that is named as signer.
        key_id: String,
        /// Which of the two.
        algorithm: &'static str,
    },
    /// A key file that cannot be used.
    #[error("{what}")]
    BadKey {
        /// What is wrong with it.
        what: String,
    },
    /// No signer is in the trust store.
    #[error(
        "signed by {found:?}, none of which is among the {trusted} trusted keys; add the key if you trust its owner"
    )]
    NoTrustedKey {
        /// The key ids in the envelope.
        found: Vec<String>,
        /// Keys in the trust store.
        trusted: usize,
    },
    /// The key or the pack was revoked.
    #[error("{what} was revoked: {reason}")]
    Revoked {
        /// `key <id>` or `pack <name> counter <n>`.
        what: String,
        /// The reason in the trust store.
        reason: String,
    },
    /// The key or the pack is past its end.
    #[error("{what} expired at {not_after}; it is {now} (seconds since 1970)")]
    Expired {
        /// `key <id>` or `pack <name>`.
        what: String,
        /// The last moment it was good for.
        not_after: u64,
        /// The moment of the check.
        now: u64,
    },
    /// An older pack than one that was installed before.
    #[error("{name}: counter {found} is lower than {installed}, which was installed before: a downgrade is refused")]
    Downgrade {
        /// The pack's name.
        name: String,
        /// The counter in its manifest.
        found: u64,
        /// The highest counter that was installed.
        installed: u64,
    },
    /// A pack that a rollback has left.
    #[error("{name} with counter {counter} was rolled back and stays out: install a release with a higher counter")]
    RolledBack {
        /// The pack's name.
        name: String,
        /// The counter in its manifest.
        counter: u64,
    },
    /// A file is not the one that was signed.
    #[error("{path}: expected sha256:{expected}, found sha256:{actual}")]
    HashMismatch {
        /// The file in the pack.
        path: String,
        /// The hash in the manifest.
        expected: String,
        /// The hash of the file.
        actual: String,
    },
    /// The pack needs a newer runtime.
    #[error("{what}: needs at least {required}, this is {found}")]
    RuntimeTooOld {
        /// The pack, or the kernel and its engine.
        what: String,
        /// The lowest version that will do.
        required: String,
        /// The version that runs.
        found: String,
    },
    /// The pack was made for older runtimes only.
    #[error("{what}: works up to {limit}, this is {found}")]
    RuntimeTooNew {
        /// The pack.
        what: String,
        /// The highest version that will do.
        limit: String,
        /// The version that runs.
        found: String,
    },
    /// A kernel needs what the engine does not offer.
    #[error("kernel {kernel}: needs `{feature}`, which this engine does not offer")]
    MissingFeature {
        /// The kernel.
        kernel: String,
        /// The feature or engine.
        feature: String,
    },
    /// The manifest is not what the schema says.
    #[error("kernels.json at {path}: {what}")]
    SchemaViolation {
        /// JSON pointer of the place; empty for the whole.
        path: String,
        /// What is expected there, and what was found.
        what: String,
    },

    // Vetting.
    /// The module is not valid WebAssembly of the allowed features.
    #[error("{kernel}: not an allowed WebAssembly module: {what}")]
    BadModule {
        /// The kernel.
        kernel: String,
        /// What the validator says, with the offset.
        what: String,
    },
    /// The module asks for something of the host.
    #[error("{kernel}: imports `{module}.{name}`; a kernel's import section must be empty")]
    ForbiddenImport {
        /// The kernel.
        kernel: String,
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// The module would run code while being instantiated.
    #[error("{kernel}: has a start function, which is not allowed: use `kernel_init`")]
    StartFunction {
        /// The kernel.
        kernel: String,
    },
    /// An export is missing or of another type.
    #[error("{kernel}: export `{export}`: expected {expected}, found {found}")]
    MissingExport {
        /// The kernel.
        kernel: String,
        /// The export's name.
        export: String,
        /// Its type by the ABI.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The engine could not compile a module that passed the checks.
    #[error("{kernel}: the engine cannot compile it: {what}")]
    Compile {
        /// The kernel.
        kernel: String,
        /// The engine's words.
        what: String,
    },

    // Calling.
    /// No such kernel in the pack.
    #[error("no kernel `{kernel}` in pack {pack}; it has {present}")]
    NoSuchKernel {
        /// The name asked for.
        kernel: String,
        /// The pack.
        pack: String,
        /// The kernels that it has.
        present: String,
    },
    /// The tensors of a call do not fit the manifest or each other.
    #[error("kernel {kernel}, tensor `{tensor}`: expected {expected}, found {found}")]
    ShapeMismatch {
        /// The kernel.
        kernel: String,
        /// The tensor.
        tensor: String,
        /// Shape or type in the manifest.
        expected: String,
        /// What the call gave.
        found: String,
    },
    /// A parameter that the kernel does not have, or of the wrong kind.
    #[error("kernel {kernel}, parameter `{param}`: {what}")]
    BadParam {
        /// The kernel.
        kernel: String,
        /// The parameter.
        param: String,
        /// What is expected.
        what: String,
    },
    /// The time budget is used up.
    #[error("the call passed its budget of {budget_ms} ms")]
    EpochDeadline {
        /// The budget.
        budget_ms: u64,
    },
    /// The kernel reached outside its memory, or gave an offset that lies outside.
    #[error("memory access out of bounds at {offset:?} ({size} bytes)")]
    MemoryAccessViolation {
        /// Where, when the engine says so.
        offset: Option<u64>,
        /// The size of the memory for a trap, of the region for a bad offset.
        size: u64,
    },
    /// An integer operation overflowed.
    #[error("integer overflow")]
    IntegerOverflow,
    /// An integer was divided by zero.
    #[error("integer division by zero")]
    DivideByZero,
    /// A float has no integer of that type.
    #[error("conversion of a float that is no integer of that type")]
    BadConversionToInteger,
    /// The kernel reached code that it declares unreachable; Rust panics end here.
    #[error("the kernel reached `unreachable` (in Rust and C: a panic or an abort)")]
    Unreachable,
    /// Too many nested calls.
    #[error("the kernel's call stack is exhausted")]
    StackOverflow,
    /// A function was called through a table with another type.
    #[error("indirect call of a function of another type")]
    IndirectCallTypeMismatch,
    /// An index outside a table.
    #[error("table access out of bounds")]
    TableOutOfBounds,
    /// An empty table entry was called.
    #[error("call of an empty table entry")]
    NullReference,
    /// The fuel is used up.
    #[error("the call used up its fuel of {fuel}")]
    OutOfFuel {
        /// The fuel that it had.
        fuel: u64,
    },
    /// Something is larger than what is allowed.
    #[error("{what}: {asked} asked for, {limit} allowed")]
    LimitExceeded {
        /// The quantity, with the file or the kernel.
        what: String,
        /// Its value.
        asked: u64,
        /// The largest value allowed.
        limit: u64,
    },
    /// Every instance of the engine is in a call.
    #[error(
        "all {max_instances} instances of the engine are in calls: give it more (`max_instances`), or call less at a time"
    )]
    NoFreeInstance {
        /// How many may live.
        max_instances: u32,
    },
    /// The kernel itself reported an error.
    #[error("the kernel returned {code}: {message}")]
    KernelTrap {
        /// The code.
        code: i32,
        /// Its name by the ABI.
        message: String,
    },
    /// An engine's error that has no name of its own.
    #[error("{what}")]
    Other {
        /// The engine's words.
        what: String,
    },

    // Golden vectors, upgrades and the store.
    /// A kernel does not give its golden vector.
    #[error(
        "kernel {kernel}, golden case {case}, output `{output}` element {element}: expected {expected}, found {found} ({ulp} ULP apart, {max_ulp} allowed)"
    )]
    GoldenMismatch {
        /// The kernel.
        kernel: String,
        /// The case, counted from 0.
        case: usize,
        /// The output.
        output: String,
        /// The element, counted from 0.
        element: usize,
        /// The value in the golden vector.
        expected: f64,
        /// The value that the kernel gave.
        found: f64,
        /// Their distance.
        ulp: u64,
        /// The largest distance allowed.
        max_ulp: u64,
    },
    /// The canary failed: the new pack was not taken into use.
    #[error("{name} {version} failed its canary and was not taken into use: {why}")]
    CanaryFailed {
        /// The pack.
        name: String,
        /// Its version.
        version: String,
        /// The first failure.
        why: String,
    },
    /// Nothing to go back to.
    #[error("{name}: there is no previous pack to go back to")]
    NoPreviousPack {
        /// The pack's name.
        name: String,
    },
    /// No pack of that name.
    #[error("no pack `{name}` is installed")]
    NotInstalled {
        /// The name asked for.
        name: String,
    },
    /// There is one already.
    #[error("{name} is installed already; use upgrade")]
    AlreadyInstalled {
        /// The pack's name.
        name: String,
    },
    /// The store's own files are not what they should be.
    #[error("{path}: {what}")]
    StoreCorrupt {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
        /// It is of a later version of this program.
        newer: bool,
    },
    /// The folder holds something, but nothing by which a store marks itself.
    #[error(
        "{path} is not a store of packs: it holds {holds}, and no store.json. Nothing was touched; name an empty folder or one that a store has made"
    )]
    NotAStore {
        /// The folder.
        path: String,
        /// Some of what lies in it.
        holds: String,
    },
    /// Another process works on the store.
    #[error("{path}: another process is working on this store; try again when it is done")]
    StoreBusy {
        /// The lock file.
        path: String,
    },
}

impl PackError {
    /// The name of the variant, as `--json` and the metrics show it.
    pub fn kind(&self) -> String {
        let shown = format!("{self:?}");
        shown.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
    }

    /// The fields of the variant by name, for machines.
    pub fn fields(&self) -> serde_json::Map<String, serde_json::Value> {
        use serde_json::json;
        let mut fields = serde_json::Map::new();
        let mut put = |name: &str, value| drop(fields.insert(name.to_owned(), value));
        match self {
            Self::HashMismatch { path, expected, actual } => {
                put("path", json!(path));
                put("expected", json!(expected));
                put("actual", json!(actual));
            }
            Self::SchemaViolation { path, .. } => put("path", json!(path)),
            Self::MissingFeature { kernel, feature } => {
                put("kernel", json!(kernel));
                put("feature", json!(feature));
            }
            Self::LimitExceeded { what, asked, limit } => {
                put("what", json!(what));
                put("asked", json!(asked));
                put("limit", json!(limit));
            }
            Self::NoFreeInstance { max_instances } => put("max_instances", json!(max_instances)),
            Self::KernelTrap { code, .. } => put("code", json!(code)),
            Self::MemoryAccessViolation { offset, size } => {
                put("offset", json!(offset));
                put("size", json!(size));
            }
            Self::Downgrade { found, installed, .. } => {
                put("found", json!(found));
                put("installed", json!(installed));
            }
            Self::RolledBack { name, counter } => {
                put("name", json!(name));
                put("counter", json!(counter));
            }
            Self::NoTrustedKey { found, .. } => put("found", json!(found)),
            _ => {}
        }
        fields
    }

    pub(crate) fn io(path: impl AsRef<std::path::Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().display().to_string();
        move |error| Self::Io { path, message: error.to_string() }
    }

    pub(crate) fn limit(what: impl Into<String>, asked: u64, limit: u64) -> Self {
        Self::LimitExceeded { what: what.into(), asked, limit }
    }

    pub(crate) fn schema(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::SchemaViolation { path: path.into(), what: what.into() }
    }

    pub(crate) fn other(what: impl std::fmt::Display) -> Self {
        Self::Other { what: what.to_string() }
    }
}

/// Refuses what passes a limit.
pub(crate) fn check_limit(what: impl Into<String>, asked: u64, limit: u64) -> Result<()> {
    if asked > limit { Err(PackError::limit(what, asked, limit)) } else { Ok(()) }
}
