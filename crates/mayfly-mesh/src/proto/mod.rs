//! Messages and services, generated from `proto/*.proto` by `cargo run --manifest-path crates/mayfly-mesh/codegen/Cargo.toml`.
#![allow(missing_docs, clippy::all)]

/// etcd's key-value pair.
pub mod mvccpb {
    include!("generated/mvccpb.rs");
}

/// etcd's users and roles.
pub mod authpb {
    include!("generated/authpb.rs");
}

/// etcd's services.
pub mod etcdserverpb {
    include!("generated/etcdserverpb.rs");
}

/// What entries say.
pub mod meshpb {
    include!("generated/meshpb.rs");
}

/// What members ask each other.
#[cfg(feature = "raft")]
pub mod linkpb {
    include!("generated/linkpb.rs");
}
