//! Needs `protoc` (Debian: `protobuf-compiler`).
//! `cargo run --manifest-path crates/mayfly-mesh/codegen/Cargo.toml [-- --check]`: the code of the protos, written anew or compared.

use std::error::Error;
use std::path::Path;

const FILES: [&str; 8] = [
    "mvccpb.rs",
    "authpb.rs",
    "etcdserverpb.rs",
    "meshpb.rs",
    "linkpb.rs",
    "v3lockpb.rs",
    "v3electionpb.rs",
    "modelspb.rs",
];
const PROTOS: [&str; 9] = [
    "kv.proto",
    "rpc.proto",
    "auth.proto",
    "auth_rpc.proto",
    "mesh.proto",
    "link.proto",
    "v3lock.proto",
    "v3election.proto",
    "models.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let kept = root.join("src/proto/generated");
    let scratch = std::env::temp_dir().join(format!("mayfly-mesh-codegen-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)?;
    let protos = PROTOS.map(|name| root.join("proto").join(name));
    tonic_prost_build::configure()
        .out_dir(&scratch)
        .build_transport(false)
        .compile_protos(&protos, &[root.join("proto")])?;
    let check = std::env::args().any(|argument| argument == "--check");
    for name in FILES {
        let new = std::fs::read_to_string(scratch.join(name))?;
        if !check {
            std::fs::write(kept.join(name), new)?;
        } else if new != std::fs::read_to_string(kept.join(name))? {
            return Err(format!("{name} is not what the protos say: run this without --check").into());
        }
    }
    std::fs::remove_dir_all(scratch)?;
    Ok(())
}
