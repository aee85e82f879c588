//! What monitors ask in plain HTTP, on the port of the clients: `/health`, `/ready` and `/metrics`, in etcd's names where it has one.

use super::Shared;
use super::answer::read;
use super::calls::Method;
use crate::engine::Engine;
use crate::kv;
use crate::timing::Histogram;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A read that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn add<E: Engine>(router: Router, shared: &Shared<E>) -> Router {
    let [for_health, for_ready, for_metrics] = [(); 3].map(|()| shared.clone());
    router
        .route("/health", get(async move || answer("health", for_health.health().await)))
        .route("/ready", get(async move || answer("ready", for_ready.ready().await)))
        .route("/metrics", get(async move || metrics(&for_metrics).await))
}

/// Yes, or why not.
fn answer(what: &str, is: Result<(), String>) -> impl IntoResponse + use<> {
    let (status, told) = match is {
        Ok(()) => (StatusCode::OK, serde_json::json!({ what: "true", "reason": "" })),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({ what: "false", "reason": reason })),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], told.to_string())
}

impl<E: Engine> Shared<E> {
    /// Ready, and no alarm is up.
    async fn health(&self) -> Result<(), String> {
        let alarms = read(&self.engine, |state| kv::alarms(state).map(Ok)).await;
        match alarms.map_err(|status| status.message().to_string())?.first() {
            Some(alarm) => Err(format!("ALARM {}", alarm.alarm().as_str_name())),
            None => self.ready().await,
        }
    }

    /// Would it answer a client?
    async fn ready(&self) -> Result<(), String> {
        if self.condition.differs() {
            return Err("ALARM CORRUPT".into());
        }
        if self.engine.standing().is_ok_and(|standing| standing.leader.is_none()) {
            return Err("RAFT NO LEADER".into());
        }
        match tokio::time::timeout(PATIENCE, self.engine.read_barrier()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("a read takes too long".into()),
        }
    }
}

async fn metrics<E: Engine>(shared: &Shared<E>) -> impl IntoResponse + use<E> {
    let text = match gather(shared).await {
        Ok(text) => (StatusCode::OK, text),
        Err(status) => (StatusCode::SERVICE_UNAVAILABLE, status.message().to_string()),
    };
    (text.0, [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.1)
}

async fn gather<E: Engine>(shared: &Shared<E>) -> Result<String, tonic::Status> {
    let Shared { engine, hub, condition, .. } = shared;
    let standing = engine.standing().map_err(|e| super::answer::status(&e))?;
    let (clock, used, leases) =
        read(engine, |state| Ok(Ok((kv::clock(state)?, kv::used(state)?, kv::count(state)?)))).await?;
    let own = engine.store().owner().member;
    let is_learner = engine.members().iter().any(|member| member.id == own && !member.is_voter);
    let (pending, failed) = condition.requests();
    let mut text = Text::default();
    let lag = standing.committed.saturating_sub(standing.applied.index);
    text.gauge("etcd_server_has_leader", "1 if a leader is known", u64::from(standing.leader.is_some()));
    text.gauge("etcd_server_is_leader", "1 if this member leads", u64::from(standing.leader == Some(own)));
    text.gauge("etcd_server_is_learner", "1 if this member has no vote", u64::from(is_learner));
    text.counter("etcd_server_leader_changes_seen_total", "Leaders, one after the other", condition.leader_changes());
    text.counter("etcd_server_proposals_committed_total", "Entries on a majority's disks", standing.committed);
    text.counter("etcd_server_proposals_applied_total", "Entries applied here", standing.applied.index);
    text.gauge("mayfly_mesh_apply_lag_entries", "Entries that are committed and not applied here", lag);
    text.gauge("etcd_server_proposals_pending", "Requests of clients that wait", u64::try_from(pending).unwrap_or(0));
    text.counter("etcd_server_proposals_failed_total", "Requests of clients that failed", failed);
    text.gauge("etcd_server_quota_backend_bytes", "From here on nothing more is taken", condition.quota());
    text.gauge("etcd_mvcc_db_total_size_in_bytes", "The file of the database", engine.store().bytes());
    text.gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of rows in it", used);
    text.gauge("etcd_debugging_mvcc_current_revision", "The newest revision", clock.revision.unsigned_abs());
    let compacted = u64::try_from(clock.compacted).unwrap_or(0);
    text.gauge("etcd_debugging_mvcc_compact_revision", "Up to where history is compacted", compacted);
    text.gauge("etcd_debugging_mvcc_watcher_total", "Watchers", hub.watchers() as u64);
    text.gauge("mayfly_mesh_leases", "Leases that live", leases);
    let (name, help) = ("mayfly_mesh_refused_questions_total", "Questions of other members that were refused");
    text.by("why", name, help, engine.store().refused().all());
    let times = engine.store().times();
    text.histogram(
        "etcd_disk_wal_fsync_duration_seconds",
        "Flushes of the log, or of the database where there is none",
        &times.flushes,
    );
    text.histogram("etcd_disk_backend_commit_duration_seconds", "All transactions", &times.commits);
    text.histogram("mayfly_mesh_request_duration_seconds", "Writes, from the asking on", &condition.proposals);
    text.calls(shared.calls.all());
    Ok(text.0)
}

/// Prometheus' text.
#[derive(Default)]
struct Text(String);

impl Text {
    fn one(&mut self, kind: &str, name: &str, help: &str, value: u64) {
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name} {value}"); // a string takes all
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.one("gauge", name, help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.one("counter", name, help, value);
    }

    /// A counter for each of the values of a label.
    fn by(&mut self, label: &str, name: &str, help: &str, counts: impl Iterator<Item = (&'static str, u64)>) {
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} counter");
        for (value, count) in counts {
            let _ = writeln!(self.0, "{name}{{{label}=\"{value}\"}} {count}");
        }
    }

    /// What was called, in the names of go-grpc-prometheus, which etcd's dashboards and alerts read.
    fn calls(&mut self, methods: &[Arc<Method>]) {
        let labels = |method: &Method| {
            format!("grpc_method=\"{}\",grpc_service=\"{}\",grpc_type=\"{}\"", method.name, method.service, method.kind)
        };
        let name = "grpc_server_started_total";
        let _ = writeln!(self.0, "# HELP {name} Calls of clients.\n# TYPE {name} counter");
        for method in methods {
            let _ = writeln!(self.0, "{name}{{{}}} {}", labels(method), method.started());
        }
        let name = "grpc_server_handled_total";
        let _ = writeln!(self.0, "# HELP {name} Calls that are over, however they ended.\n# TYPE {name} counter");
        for method in methods {
            for (code, count) in method.ended() {
                let _ = writeln!(self.0, "{name}{{grpc_code=\"{code}\",{}}} {count}", labels(method));
            }
        }
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        let (steps, count, sum) = histogram.read();
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} histogram");
        for (step, upto) in steps {
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{step}\"}} {upto}");
        }
        let _ = writeln!(self.0, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}");
    }
}
