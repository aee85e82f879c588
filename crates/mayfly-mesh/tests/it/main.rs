//! The crate's tests in one program: each program more would be the services and their dependencies compiled once more.

mod auth_cluster;
mod auth_grpc;
mod auth_model;
mod backup;
mod check;
mod checker;
mod cluster;
mod common;
mod compare;
mod copies;
mod differential;
mod faults;
mod files;
mod grpc;
mod kill;
mod lease_grpc;
mod leases;
mod lock_grpc;
mod maintenance_grpc;
mod members;
mod model;
mod models;
mod processes;
mod recover;
#[cfg(feature = "config")]
mod settings;
mod sim;
mod simulation;
mod tls;
mod trust;
mod upkeep;
mod watch_grpc;
mod watching;
