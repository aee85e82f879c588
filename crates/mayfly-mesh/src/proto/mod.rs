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

/// etcd's locks.
pub mod v3lockpb {
    include!("generated/v3lockpb.rs");
}

/// etcd's elections.
pub mod v3electionpb {
    include!("generated/v3electionpb.rs");
}

/// What entries say.
pub mod meshpb {
    include!("generated/meshpb.rs");
}

/// The registry of models.
pub mod modelspb {
    include!("generated/modelspb.rs");
}

/// What members ask each other.
pub mod linkpb {
    include!("generated/linkpb.rs");
}
