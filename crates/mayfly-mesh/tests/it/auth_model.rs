//! Users, roles and permissions against a small model: the same answers, the same state, also after restarts and snapshots; and who may do what with keys.

use crate::common::auth::{AuthOp, RANGES, USERS, apply};
use crate::common::{apply_bytes, seeds};
use mayfly_base::Rng;
use mayfly_mesh::proto::authpb::Permission;
use mayfly_mesh::proto::authpb::permission::Type;
use mayfly_mesh::proto::etcdserverpb::compare::TargetUnion;
use mayfly_mesh::proto::etcdserverpb::request_op::Request as Op;
use mayfly_mesh::proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest,
    RequestOp, TxnRequest,
};
use mayfly_mesh::proto::meshpb::auth_command::Request as Command;
use mayfly_mesh::proto::meshpb::command::Request;
use mayfly_mesh::proto::meshpb::{Caller, NewToken, Tick, UsedTokens};
use mayfly_mesh::{EtcdError, Store, Tag, kv, modules};
use std::collections::{BTreeMap, BTreeSet};

type Answer = Result<(), EtcdError>;

/// Whose roles are which.
type Users = BTreeMap<String, BTreeSet<String>>;

/// As one would write it down.
#[derive(Clone, Default)]
struct Model {
    enabled: bool,
    revision: u64,
    users: Users,
    roles: BTreeMap<String, BTreeMap<(Vec<u8>, Vec<u8>), Type>>,
    /// Keys that hang on lease 7.
    attached: BTreeSet<Vec<u8>>,
}

impl Model {
    fn is_root(&self, user: &str) -> bool {
        self.users.get(user).is_some_and(|roles| roles.contains("root"))
    }

    fn admin(&self, caller: Option<&Caller>) -> Answer {
        match caller.map(|caller| &caller.user[..]) {
            _ if !self.enabled => Ok(()),
            None | Some("") => Err(EtcdError::UserEmpty),
            Some(user) if !self.users.contains_key(user) => Err(EtcdError::UserNotFound),
            Some(user) if self.is_root(user) => Ok(()),
            Some(_) => Err(EtcdError::PermissionDenied),
        }
    }

    fn change(&mut self, op: &AuthOp, caller: Option<&Caller>) -> Answer {
        self.admin(caller)?;
        let is_root = |user: &str, role: &str| user == "root" && role == "root";
        match op {
            AuthOp::Enable if self.enabled => return Ok(()),
            AuthOp::Enable if !self.users.contains_key("root") => return Err(EtcdError::RootUserNotFound),
            AuthOp::Enable if !self.is_root("root") => return Err(EtcdError::RootRoleNotFound),
            AuthOp::Enable => {
                self.enabled = true;
                return Ok(());
            }
            AuthOp::Disable if !self.enabled => return Ok(()),
            AuthOp::Disable => self.enabled = false,
            AuthOp::UserAdd(name, _) if name.is_empty() => return Err(EtcdError::UserEmpty),
            AuthOp::UserAdd(name, _) if self.users.contains_key(name) => return Err(EtcdError::UserExists),
            AuthOp::UserAdd(name, _) => drop(self.users.insert(name.clone(), BTreeSet::new())),
            AuthOp::UserDelete(name) if self.enabled && name == "root" => {
                return Err(EtcdError::InvalidAuthManagement);
            }
            AuthOp::UserDelete(name) => drop(self.users.remove(name).ok_or(EtcdError::UserNotFound)?),
            AuthOp::Password(name) => drop(self.users.get(name).ok_or(EtcdError::UserNotFound)?),
            AuthOp::GrantRole(user, role) => {
                let is_role = role == "root" || self.roles.contains_key(role);
                let roles = self.users.get_mut(user).ok_or(EtcdError::UserNotFound)?;
                if !is_role {
                    return Err(EtcdError::RoleNotFound);
                }
                if !roles.insert(role.clone()) {
                    return Ok(());
                }
            }
            AuthOp::RevokeRole(user, role) if self.enabled && is_root(user, role) => {
                return Err(EtcdError::InvalidAuthManagement);
            }
            AuthOp::RevokeRole(user, role) => {
                let roles = self.users.get_mut(user).ok_or(EtcdError::UserNotFound)?;
                if !roles.remove(role) {
                    return Err(EtcdError::RoleNotGranted);
                }
            }
            AuthOp::RoleAdd(name) if name.is_empty() => return Err(EtcdError::RoleEmpty),
            AuthOp::RoleAdd(name) if self.roles.contains_key(name) => return Err(EtcdError::RoleExists),
            AuthOp::RoleAdd(name) => drop(self.roles.insert(name.clone(), BTreeMap::new())),
            AuthOp::RoleDelete(name) if self.enabled && name == "root" => {
                return Err(EtcdError::InvalidAuthManagement);
            }
            AuthOp::RoleDelete(name) => {
                self.roles.remove(name).ok_or(EtcdError::RoleNotFound)?;
                for roles in self.users.values_mut() {
                    roles.remove(name);
                }
            }
            AuthOp::Grant(name, permission) => {
                let role = self.roles.get_mut(name).ok_or(EtcdError::RoleNotFound)?;
                role.insert((permission.key.clone(), permission.range_end.clone()), permission.perm_type());
            }
            AuthOp::Revoke(name, Permission { key, range_end, .. }) => {
                let role = self.roles.get_mut(name).ok_or(EtcdError::RoleNotFound)?;
                role.remove(&(key.clone(), range_end.clone())).ok_or(EtcdError::PermissionNotGranted)?;
            }
            AuthOp::UserGet(_) | AuthOp::UserList | AuthOp::RoleGet(_) | AuthOp::RoleList => unreachable!("no entry"),
        }
        self.revision += 1;
        Ok(())
    }

    /// Each key that a request could mean must be in some permission. Between those that are used there are others: the ones just behind each stand for them.
    fn may(&self, caller: Option<&Caller>, kind: Type, key: &[u8], end: &[u8]) -> Answer {
        if !self.enabled {
            return Ok(());
        }
        let caller = caller.ok_or(EtcdError::UserEmpty)?;
        if caller.auth_revision < self.revision {
            return Err(EtcdError::AuthOldRevision);
        }
        let roles = self.users.get(&caller.user).ok_or(EtcdError::PermissionDenied)?;
        let granted: Vec<_> = roles.iter().filter_map(|role| self.roles.get(role)).flatten().collect();
        let is_granted = |one: &[u8]| {
            granted.iter().any(|((key, end), has)| {
                (**has == kind || **has == Type::Readwrite) && crate::common::model::is_meant(one, key, end)
            })
        };
        let asked: Vec<Vec<u8>> =
            universe().into_iter().filter(|one| crate::common::model::is_meant(one, key, end)).collect();
        match roles.contains("root") || asked.iter().all(|one| is_granted(one)) {
            true => Ok(()),
            false => Err(EtcdError::PermissionDenied),
        }
    }

    fn put(&mut self, caller: Option<&Caller>, put: &PutRequest) -> Answer {
        self.may(caller, Type::Write, &put.key, &[])?;
        if put.lease == 7 {
            self.attached.iter().try_for_each(|key| self.may(caller, Type::Write, key, &[]))?;
        }
        if put.prev_kv { self.may(caller, Type::Read, &put.key, &[]) } else { Ok(()) }
    }

    fn txn(&mut self, caller: Option<&Caller>, txn: &TxnRequest) -> Answer {
        txn.compare.iter().try_for_each(|compare| self.may(caller, Type::Read, &compare.key, &compare.range_end))?;
        for op in txn.success.iter().chain(&txn.failure) {
            match op.request.as_ref().expect("an operation") {
                Op::RequestRange(range) => self.may(caller, Type::Read, &range.key, &range.range_end)?,
                Op::RequestPut(request) => self.put(caller, request)?,
                Op::RequestDeleteRange(delete) => {
                    if delete.prev_kv {
                        self.may(caller, Type::Read, &delete.key, &delete.range_end)?;
                    }
                    self.may(caller, Type::Write, &delete.key, &delete.range_end)?;
                }
                Op::RequestTxn(request) => self.txn(caller, request)?,
            }
        }
        Ok(())
    }

    fn permitted(&mut self, caller: Option<&Caller>, request: &Request) -> Answer {
        let is_user = |model: &Self| match caller {
            _ if !model.enabled => Ok(()),
            None => Err(EtcdError::UserEmpty),
            Some(caller) if caller.auth_revision < model.revision => Err(EtcdError::AuthOldRevision),
            Some(caller) if !model.users.contains_key(&caller.user) => Err(EtcdError::PermissionDenied),
            Some(_) => Ok(()),
        };
        match request {
            Request::Put(request) => self.put(caller, request),
            Request::DeleteRange(delete) => {
                self.may(caller, Type::Write, &delete.key, &delete.range_end)?;
                match delete.prev_kv {
                    true => self.may(caller, Type::Read, &delete.key, &delete.range_end),
                    false => Ok(()),
                }
            }
            Request::Txn(request) => self.txn(caller, request),
            Request::Grant(_) => is_user(self),
            Request::Revoke(_) => {
                is_user(self)?;
                self.attached.iter().try_for_each(|key| self.may(caller, Type::Write, key, &[]))
            }
            Request::Compaction(_) => self.admin(caller),
            _ => unreachable!("no client asks for it"),
        }
    }
}

fn universe() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = RANGES.iter().flat_map(|(key, end)| [key.to_vec(), end.to_vec()]).collect();
    keys.extend([b"\xff\xff".to_vec(), b"b/2".to_vec()]);
    keys.retain(|key| !key.is_empty());
    let behind: Vec<Vec<u8>> = keys.iter().map(|key| [&key[..], &[0]].concat()).collect();
    keys.extend(behind);
    keys
}

fn pick<T: Clone>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.below(of.len() as u64) as usize].clone()
}

fn random_range(rng: &mut Rng) -> (Vec<u8>, Vec<u8>) {
    let (key, end) = pick(rng, &RANGES);
    match rng.below(3) {
        0 => (key.to_vec(), Vec::new()),
        1 => (key.to_vec(), end.to_vec()),
        _ => {
            let (mut a, mut b) = (pick(rng, &universe()), pick(rng, &universe()));
            if a > b {
                std::mem::swap(&mut a, &mut b);
            }
            if a == b || b == [0] { (a, Vec::new()) } else { (a, b) }
        }
    }
}

fn random_put(rng: &mut Rng) -> PutRequest {
    let lease = if rng.below(4) == 0 { 7 } else { 0 };
    PutRequest { key: random_range(rng).0, lease, prev_kv: rng.below(4) == 0, ..PutRequest::default() }
}

fn random_delete(rng: &mut Rng) -> DeleteRangeRequest {
    let (key, range_end) = random_range(rng);
    DeleteRangeRequest { key, range_end, prev_kv: rng.below(3) == 0 }
}

fn random_txn(rng: &mut Rng, depth: u32) -> TxnRequest {
    let compare = |rng: &mut Rng| {
        let (key, range_end) = random_range(rng);
        Compare { key, range_end, target_union: Some(TargetUnion::Version(0)), ..Compare::default() }
    };
    let op = |rng: &mut Rng| {
        let request = match rng.below(4) {
            0 => Op::RequestPut(random_put(rng)),
            1 => Op::RequestDeleteRange(random_delete(rng)),
            2 if depth > 0 => Op::RequestTxn(random_txn(rng, depth - 1)),
            _ => {
                let (key, range_end) = random_range(rng);
                Op::RequestRange(RangeRequest { key, range_end, ..RangeRequest::default() })
            }
        };
        RequestOp { request: Some(request) }
    };
    TxnRequest {
        compare: (0..rng.below(2)).map(|_| compare(rng)).collect(),
        success: (0..rng.below(3)).map(|_| op(rng)).collect(),
        failure: (0..rng.below(2)).map(|_| op(rng)).collect(),
    }
}

fn random_request(rng: &mut Rng) -> Request {
    match rng.below(12) {
        0..4 => Request::Put(random_put(rng)),
        4 | 5 => Request::DeleteRange(random_delete(rng)),
        6..9 => Request::Txn(random_txn(rng, 2)),
        9 => Request::Grant(LeaseGrantRequest { id: 7, ttl: 600 }),
        10 => Request::Revoke(LeaseRevokeRequest { id: 7 }),
        _ => Request::Compaction(CompactionRequest { revision: i64::MAX, physical: false }),
    }
}

const REFUSED: [EtcdError; 4] =
    [EtcdError::UserEmpty, EtcdError::UserNotFound, EtcdError::PermissionDenied, EtcdError::AuthOldRevision];

/// Asks for keys; only what has to do with who asks is compared, since what else comes of it other tests know.
fn ask(store: &Store, model: &mut Model, caller: Option<Caller>, request: &Request, seed: u64) -> bool {
    let want = model.permitted(caller.as_ref(), request);
    let before = store.hash(Tag::KV).expect("readable").expect("a module").1;
    let entry = kv::entry_by(caller.clone(), request.clone()).encode();
    let outcome = apply_bytes(store, &[entry]).expect("applied").remove(0);
    let got = kv::outcome(&outcome).expect("an outcome");
    let refused = got.as_ref().err().copied().filter(|error| REFUSED.contains(error));
    assert_eq!(refused, want.err(), "seed {seed}: {caller:?} {request:#?}");
    if refused.is_some() {
        assert_eq!(store.hash(Tag::KV).expect("readable").expect("a module").1, before, "refused, and changed");
    }
    model.attached = store
        .read(|transaction| {
            let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
            let kvs = kv::range(transaction, &all)?.expect("all keys").kvs;
            Ok(kvs.into_iter().filter(|kv| kv.lease == 7).map(|kv| kv.key).collect())
        })
        .expect("readable");
    refused.is_some()
}

fn disturb(rng: &mut Rng, store: Store, folder: &std::path::Path) -> Store {
    match rng.below(60) {
        0 => {
            drop(store);
            Store::open(folder, modules()).expect("it opens again")
        }
        1 => {
            let mut bytes = Vec::new();
            let written = store.snapshot(&mut bytes).expect("written");
            let before = store.hash(Tag::AUTH).expect("readable");
            assert_eq!(store.restore(&mut &bytes[..]).expect("restored"), written);
            assert_eq!(store.hash(Tag::AUTH).expect("readable"), before);
            store
        }
        _ => store,
    }
}

/// etcd#14571: a member that was started had an empty cache of permissions, and refused entries that the others applied.
#[test]
fn users_and_permissions_are_those_of_the_model() {
    let mut counts = [0_u64; 4];
    for seed in 0..seeds(15) {
        let mut rng = Rng::new(seed);
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(folder.path(), modules()).expect("a store");
        let mut model = Model { revision: 1, ..Model::default() };
        let begin = [AuthOp::UserAdd("root".into(), false), AuthOp::GrantRole("root".into(), "root".into())];
        let begin = begin.into_iter().chain((0..40).map(|_| AuthOp::random(&mut rng))).chain([AuthOp::Enable]);
        for op in begin.collect::<Vec<_>>() {
            let Some(command) = op.command() else { continue };
            let root = Some(Caller { user: "root".into(), auth_revision: 0, is_member: false });
            assert_eq!(apply(&store, command, root.clone()).map(drop), model.change(&op, root.as_ref()), "{op:?}");
        }
        for _ in 0..150 {
            let user = if rng.below(12) == 0 { "nobody".into() } else { pick(&mut rng, &USERS).to_string() };
            let auth_revision = model.revision - if model.revision > 1 { u64::from(rng.below(15) == 0) } else { 0 };
            let caller = (rng.below(10) > 0).then_some(Caller { user, auth_revision, is_member: false });
            if rng.below(3) == 0 {
                let op = AuthOp::random(&mut rng);
                let Some(command) = op.command() else { continue };
                let root =
                    (rng.below(3) > 0).then(|| Caller { user: "root".into(), auth_revision: 0, is_member: false });
                let caller = root.or(caller);
                let want = model.change(&op, caller.as_ref());
                assert_eq!(apply(&store, command, caller.clone()).map(drop), want, "seed {seed}: {caller:?} {op:?}");
                counts[usize::from(want.is_err())] += 1;
            } else {
                let request = random_request(&mut rng);
                let is_refused = ask(&store, &mut model, caller, &request, seed);
                counts[2 + usize::from(is_refused)] += 1;
            }
            store = disturb(&mut rng, store, folder.path());
        }
    }
    let [changed, not_changed, done, refused] = counts;
    println!("{changed} changes, {not_changed} refused; {done} requests let through, {refused} refused");
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

/// Whose tokens are gone: those of a user that is deleted or has a new password, all when callers are looked at no more, and what nobody used for a life.
#[test]
fn tokens_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), modules()).expect("a store");
    let run = |op: AuthOp| {
        let root = Caller { user: "root".into(), auth_revision: 0, is_member: false };
        apply(&store, op.command().expect("an entry"), Some(root)).expect("done")
    };
    let token = |user: &str, auth_revision: u64| {
        let digest = vec![user.as_bytes()[0]; 32];
        apply(&store, Command::NewToken(NewToken { user: user.into(), auth_revision, digest }), None)
    };
    let tick = |from| {
        apply(&store, Command::Tick(Tick { from }), None).expect("done");
    };
    // By the digests in a snapshot: of u1, and of root.
    let tokens = || {
        let mut bytes = Vec::new();
        store.snapshot(&mut bytes).expect("written");
        [b'u', b'r'].map(|first| bytes.windows(32).filter(|window| *window == [first; 32]).count())
    };
    for name in ["root", "u1"] {
        run(AuthOp::UserAdd(name.into(), false));
    }
    assert_eq!(token("u1", 3), Err(EtcdError::AuthNotEnabled));
    run(AuthOp::GrantRole("root".into(), "root".into()));
    run(AuthOp::Enable);
    assert_eq!(token("u1", 3), Err(EtcdError::AuthOldRevision));
    let first = token("u1", 4).expect("a token");
    token("root", 4).expect("a token");
    assert_eq!(tokens(), [1, 1]);
    (0..6).for_each(tick);
    let before = store.hash(Tag::AUTH).expect("readable").expect("a module").1;
    tick(0);
    tick(7);
    assert_eq!(store.hash(Tag::AUTH).expect("readable").expect("a module").1, before, "a tick counts once");
    apply(&store, Command::UsedTokens(UsedTokens { token: vec![first, 99] }), None).expect("done");
    (6..10).for_each(tick);
    assert_eq!(tokens(), [1, 1]);
    tick(10);
    assert_eq!(tokens(), [1, 0], "the one that was not used is gone");
    (11..16).for_each(tick);
    assert_eq!(tokens(), [1, 0]);
    tick(16);
    assert_eq!(tokens(), [0, 0]);
    for (op, revision, want) in [
        (AuthOp::Password("u1".into()), 4, [0, 1]),
        (AuthOp::RoleAdd("r1".into()), 5, [1, 2]),
        (AuthOp::UserDelete("u1".into()), 6, [0, 3]),
        (AuthOp::Disable, 7, [0, 0]),
    ] {
        for user in ["u1", "root"] {
            token(user, revision).expect("a token");
        }
        run(op.clone());
        assert_eq!(tokens(), want, "{op:?}");
    }
}
