//! Which methods were called, and how that ended: for monitors, in the names of etcd's and Go's gRPC.

use http_body::{Body as HttpBody, Frame, SizeHint};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::{Bytes, http};
use tonic::{Code, Status};

const UNARY: &str = "unary";
const ANSWERS: &str = "server_stream";
const QUESTIONS: &str = "client_stream";
const BOTH: &str = "bidi_stream";

/// All methods, as the protos have them.
const METHODS: &[(&str, &str, &[&str])] = &[
    ("etcdserverpb.KV", UNARY, &["Range", "Put", "DeleteRange", "Txn", "Compact"]),
    ("etcdserverpb.Watch", BOTH, &["Watch"]),
    ("etcdserverpb.Lease", UNARY, &["LeaseGrant", "LeaseRevoke", "LeaseTimeToLive", "LeaseLeases"]),
    ("etcdserverpb.Lease", BOTH, &["LeaseKeepAlive"]),
    ("etcdserverpb.Cluster", UNARY, &["MemberAdd", "MemberRemove", "MemberUpdate", "MemberPromote", "MemberList"]),
    ("etcdserverpb.Maintenance", UNARY, &["Alarm", "Status", "Defragment", "Hash", "HashKV", "MoveLeader"]),
    ("etcdserverpb.Maintenance", ANSWERS, &["Snapshot"]),
    ("etcdserverpb.Auth", UNARY, &["AuthEnable", "AuthDisable", "AuthStatus", "Authenticate"]),
    ("etcdserverpb.Auth", UNARY, &["UserAdd", "UserGet", "UserList", "UserDelete", "UserChangePassword"]),
    ("etcdserverpb.Auth", UNARY, &["UserGrantRole", "UserRevokeRole", "RoleAdd", "RoleGet", "RoleList", "RoleDelete"]),
    ("etcdserverpb.Auth", UNARY, &["RoleGrantPermission", "RoleRevokePermission"]),
    ("v3lockpb.Lock", UNARY, &["Lock", "Unlock"]),
    ("v3electionpb.Election", UNARY, &["Campaign", "Proclaim", "Leader", "Resign"]),
    ("v3electionpb.Election", ANSWERS, &["Observe"]),
    ("modelspb.Models", UNARY, &["Register", "SetStage", "Rollback", "Alias", "Forget", "Get", "List", "Log", "Blob"]),
    ("modelspb.Models", ANSWERS, &["Follow", "Download"]),
    ("modelspb.Models", QUESTIONS, &["Upload"]),
];

/// The codes in their order, as Go writes them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// A method, and what became of its calls.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    started: AtomicU64,
    /// By their codes.
    ended: [AtomicU64; CODES.len()],
}

impl Method {
    pub(super) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// How many calls ended with which code: OK, and whatever else there was.
    pub(super) fn ended(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.ended.iter().map(|count| count.load(Ordering::Relaxed));
        CODES.into_iter().zip(counts).filter(|(code, count)| *code == "OK" || *count > 0)
    }
}

/// Every method that there is: whatever else is called has no place, so that nobody fills memory with names.
#[derive(Debug)]
pub(super) struct Calls {
    by_path: HashMap<String, Arc<Method>>,
    methods: Vec<Arc<Method>>,
}

impl Calls {
    pub(super) fn new() -> Self {
        let of = |(service, kind, names): &(&'static str, &'static str, &'static [&'static str])| {
            let (service, kind) = (*service, *kind);
            let method = move |name: &&'static str| {
                let (started, ended) = (AtomicU64::new(0), std::array::from_fn(|_| AtomicU64::new(0)));
                Arc::new(Method { service, name, kind, started, ended })
            };
            names.iter().map(method).collect::<Vec<_>>()
        };
        let methods: Vec<_> = METHODS.iter().flat_map(of).collect();
        let path = |method: &Arc<Method>| (format!("/{}/{}", method.service, method.name), method.clone());
        Self { by_path: methods.iter().map(path).collect(), methods }
    }

    pub(super) fn all(&self) -> &[Arc<Method>] {
        &self.methods
    }

    /// A call begins.
    pub(super) fn begin(&self, path: &str) -> Option<Call> {
        let method = self.by_path.get(path)?.clone();
        method.started.fetch_add(1, Ordering::Relaxed);
        Some(Call(Some(method)))
    }
}

/// A call that is under way. Whoever drops it before its end was left by the client.
#[derive(Debug)]
pub(super) struct Call(Option<Arc<Method>>);

impl Call {
    fn end(&mut self, code: Code) {
        if let Some(method) = self.0.take() {
            method.ended[code as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sees the answer to its end.
    pub(super) fn see(mut self, response: http::Response<Body>) -> http::Response<Body> {
        if let Some(code) = code_in(response.headers()) {
            self.end(code); // there is nothing but the reason why not
            return response;
        }
        response.map(|body| Body::new(Seen { body, call: self }))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

fn code_in(headers: &http::HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

struct Seen {
    body: Body,
    call: Call,
}

impl HttpBody for Seen {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(code) = frame.trailers_ref().and_then(code_in) {
                    self.call.end(code);
                }
            }
            Poll::Ready(Some(Err(status))) => self.call.end(status.code()),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::{CODES, Calls};
    use std::collections::BTreeSet;
    use tonic::Code;

    #[test]
    fn every_method_of_the_protos_has_its_place() {
        let protos = [
            include_str!("../../proto/rpc.proto"),
            include_str!("../../proto/auth_rpc.proto"),
            include_str!("../../proto/v3lock.proto"),
            include_str!("../../proto/v3election.proto"),
            include_str!("../../proto/models.proto"),
        ];
        let mut want = BTreeSet::new();
        for proto in protos {
            let (mut package, mut service) = ("", "");
            for line in proto.lines() {
                let words: Vec<_> = line.split([' ', '(', ';']).filter(|word| !word.is_empty()).collect();
                match words[..] {
                    ["package", name, ..] => package = name,
                    ["service", name, ..] => service = name,
                    ["rpc", name, ..] => {
                        let kind = match (line.contains("(stream"), line.contains("returns (stream")) {
                            (false, _) => "unary",
                            (true, false) => "client_stream",
                            (true, true) if line.matches("(stream").count() == 2 => "bidi_stream",
                            (true, true) => "server_stream",
                        };
                        want.insert((format!("{package}.{service}"), name, kind));
                    }
                    _ => {}
                }
            }
        }
        let calls = Calls::new();
        let have: BTreeSet<_> =
            calls.all().iter().map(|method| (method.service.to_string(), method.name, method.kind)).collect();
        assert_eq!(have, want);
        assert!(calls.begin("/etcdserverpb.KV/Nothing").is_none());
    }

    #[test]
    fn codes_are_in_their_places() {
        for (i, name) in CODES.iter().enumerate() {
            let code = format!("{:?}", Code::from(i as i32));
            assert!(
                code.eq_ignore_ascii_case(name) || (code, *name) == ("Cancelled".into(), "Canceled"),
                "{i}: {name}"
            );
        }
    }
}
