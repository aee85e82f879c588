//! The one place with `unsafe`: machine code that this machine made earlier goes back to wasmtime.
#![allow(
    unsafe_code,
    reason = "wasmtime trusts a serialised module, so loading one is unsafe; it is authenticated first"
)]

use crate::bytes::{hmac_sha256, same};
use std::fmt;

const MAC_BYTES: usize = 32;
/// Where the code begins in a sealed artefact.
pub(super) const CODE_AT: usize = MAC_BYTES;
const DOMAIN: &[u8] = b"mayfly-pack-artefact-v1\0";

/// What an artefact was made from: module hash, engine configuration, target and version, as one string.
pub(super) struct ArtefactId<'a>(pub(super) &'a str);

/// Why an artefact is not used. It is compiled anew then.
#[derive(Debug)]
pub(super) enum Unusable {
    Short,
    NotOurs,
    Stale(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("too short"),
            Self::NotOurs => f.write_str("not made by this machine for this module"),
            Self::Stale(why) => f.write_str(why),
        }
    }
}

/// Compiled code with a MAC by the machine's key before it, over id and code.
pub(super) fn seal(code: &[u8], id: &ArtefactId<'_>, key: &[u8; 32]) -> Vec<u8> {
    let mut sealed = mac(code, id, key).to_vec();
    sealed.extend_from_slice(code);
    sealed
}

/// The module of a sealed artefact, if this machine's key made it for this id.
pub(super) fn open(
    sealed: &[u8],
    id: &ArtefactId<'_>,
    key: &[u8; 32],
    engine: &wasmtime::Engine,
) -> Result<wasmtime::Module, Unusable> {
    let (found, code) = sealed.split_first_chunk::<MAC_BYTES>().ok_or(Unusable::Short)?;
    if !same(found, &mac(code, id, key)) {
        return Err(Unusable::NotOurs);
    }
    // SAFETY: `deserialize` asks that the bytes are unmodified output of `Module::serialize` of a compatible engine.
    // - Unmodified output: the MAC above was made by `seal` alone, which is called on nothing but fresh output of
    //   `Module::serialize` (`WasmtimeEngine::compile_fresh`) or of `Engine::precompile_module`, which gives the same bytes
    //   (`compile_for_parent`). The key of the first is 32 bytes of system randomness in a file that only the user of this
    //   process can read. The key of the second was made by this process for one module, and went through a pipe to a program
    //   that the owner of this process has named (`CompilerProcess::program`; the command line names itself). Whoever can read
    //   the one or be the other can already replace this program. `code` is a private copy in memory, so nobody changes it
    //   between the check and the use, as could happen with a file mapped from disk.
    // - Compatible: the MAC covers `id`, which holds the module's SHA-256, wasmtime's own compatibility hash of the engine,
    //   its version and the target; wasmtime checks version and settings once more and fails instead of guessing.
    let module = unsafe { wasmtime::Module::deserialize(engine, code) };
    module.map_err(|e| Unusable::Stale(e.to_string()))
}

fn mac(code: &[u8], id: &ArtefactId<'_>, key: &[u8; 32]) -> [u8; 32] {
    let length = (id.0.len() as u64).to_le_bytes();
    hmac_sha256(key, &[DOMAIN, &length, id.0.as_bytes(), code])
}
