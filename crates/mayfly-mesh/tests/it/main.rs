//! The crate's tests in one program: each program more would be the services and their dependencies compiled once more.

#[cfg(all(feature = "grpc", feature = "raft"))]
mod auth_cluster;
#[cfg(feature = "grpc")]
mod auth_grpc;
#[cfg(feature = "grpc")]
mod auth_model;
#[cfg(all(feature = "grpc", feature = "raft"))]
mod backup;
#[cfg(feature = "raft")]
mod check;
mod checker;
#[cfg(feature = "raft")]
mod cluster;
mod common;
#[cfg(feature = "raft")]
mod compare;
#[cfg(all(feature = "grpc", feature = "raft"))]
mod copies;
#[cfg(feature = "grpc")]
mod differential;
mod faults;
mod files;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "grpc")]
mod kill;
#[cfg(feature = "grpc")]
mod lease_grpc;
mod leases;
#[cfg(feature = "grpc")]
mod lock_grpc;
#[cfg(feature = "grpc")]
mod maintenance_grpc;
#[cfg(feature = "raft")]
mod members;
mod model;
#[cfg(all(feature = "grpc", feature = "raft"))]
mod models;
#[cfg(all(feature = "grpc", feature = "raft"))]
mod processes;
#[cfg(feature = "raft")]
mod recover;
#[cfg(feature = "config")]
mod settings;
#[cfg(feature = "raft")]
mod sim;
#[cfg(feature = "raft")]
mod simulation;
#[cfg(feature = "grpc")]
mod tls;
mod upkeep;
#[cfg(feature = "grpc")]
mod watch_grpc;
mod watching;
