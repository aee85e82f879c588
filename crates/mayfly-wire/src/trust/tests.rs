//! The rule of the trust list against an independent reading of it, over random sets of records, orders and partitions; and lists made equal page by page.

use super::exchange::{TrustAnswer, TrustAsk, TrustExchange};
use super::{PAGE_BYTES, Record, SignedRecord, TrustList, TrustStore};
use crate::{Identity, from_payload};
use mayfly_base::NodeId;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::OnceLock;

const NAMES: usize = 7;

fn identity(at: usize) -> &'static Identity {
    static ALL: OnceLock<Vec<Identity>> = OnceLock::new();
    &ALL.get_or_init(|| (0..NAMES).map(|at| Identity::from_seed(&[at as u8 + 1; 32]).unwrap()).collect())[at]
}

fn id(at: usize) -> NodeId {
    identity(at).id()
}

/// A statement by anybody about anybody: most make no sense on their own, and some are what a thief would sign.
#[derive(Clone, Copy, Debug)]
enum Says {
    Admit { by: usize, who: usize },
    Revoke { by: usize, who: usize, keeps: u8 },
    Rotate { old: usize, new: usize, keeps: u8 },
}

fn says() -> impl Strategy<Value = Says> {
    let who = || 0..NAMES;
    prop_oneof![
        4 => (who(), who()).prop_map(|(by, who)| Says::Admit { by, who }),
        1 => (who(), who(), any::<u8>()).prop_map(|(by, who, keeps)| Says::Revoke { by, who, keeps }),
        1 => (who(), who(), any::<u8>()).prop_map(|(old, new, keeps)| Says::Rotate { old, new, keeps }),
    ]
}

fn kept(mask: u8) -> Vec<NodeId> {
    (0..NAMES).filter(|at| mask >> at & 1 == 1).map(id).collect()
}

fn signed(says: Says, at_ms: u64) -> SignedRecord {
    let swarm = id(0);
    match says {
        Says::Admit { by, who } => {
            let key = identity(who).public_key().bytes().to_vec();
            SignedRecord::sign(Record::Admit { swarm, key, by: id(by), at_ms }, identity(by))
        }
        Says::Revoke { by, who, keeps } => {
            let body = Record::Revoke { swarm, id: id(who), by: id(by), at_ms, keeps: kept(keeps) };
            SignedRecord::sign(body, identity(by))
        }
        Says::Rotate { old, new, keeps } => {
            let body = Record::rotation(swarm, id(old), identity(new), at_ms, kept(keeps)).unwrap();
            SignedRecord::sign(body, identity(old))
        }
    }
    .unwrap()
}

fn founded() -> TrustList {
    static LIST: OnceLock<TrustList> = OnceLock::new();
    LIST.get_or_init(|| TrustList::found(identity(0), 1).unwrap()).clone()
}

fn members(list: &TrustList) -> BTreeSet<NodeId> {
    list.members().map(|(id, _)| id).collect()
}

/// Merges until nothing more is taken: a record that came before the one that names its signer comes again.
fn settle(list: &mut TrustList, records: &[SignedRecord]) {
    while list.merge(records).taken > 0 {}
}

/// The rule as the format page has it, by trying everything again until nothing changes.
struct ByTheBook(Vec<Says>);

impl ByTheBook {
    /// Of what was said, what counts.
    fn new(said: &[Says]) -> Self {
        let mut named = BTreeSet::from([0]);
        for _ in 0..=NAMES {
            for says in said {
                match *says {
                    Says::Admit { by, who } if named.contains(&by) => drop(named.insert(who)),
                    Says::Rotate { old, new, .. } if named.contains(&old) => drop(named.insert(new)),
                    _ => {}
                }
            }
        }
        let counts = |says: &&Says| match says {
            Says::Admit { by, .. } | Says::Revoke { by, .. } => named.contains(by),
            Says::Rotate { old, .. } => named.contains(old),
        };
        Self(said.iter().filter(counts).copied().collect())
    }

    fn successors(&self, of: usize) -> BTreeSet<usize> {
        let new = |says: &Says| match says {
            Says::Rotate { old, new, .. } if *old == of => Some(*new),
            _ => None,
        };
        self.0.iter().filter_map(new).collect()
    }

    fn chain(&self, from: usize) -> BTreeSet<usize> {
        let mut chain = BTreeSet::from([from]);
        for _ in 0..NAMES {
            let next: Vec<usize> = chain.iter().flat_map(|at| self.successors(*at)).collect();
            chain.extend(next);
        }
        chain
    }

    fn shut_out(&self) -> BTreeSet<usize> {
        let revoked = self.0.iter().filter_map(|says| match says {
            Says::Revoke { who, .. } => Some(*who),
            _ => None,
        });
        let mut shut: BTreeSet<usize> = revoked.flat_map(|who| self.chain(who)).collect();
        for two in (0..NAMES).filter(|at| self.successors(*at).len() > 1) {
            let both = self.successors(two).into_iter();
            shut.extend(both.flat_map(|new| self.chain(new)).filter(|at| *at != two));
        }
        shut
    }

    fn stays(&self, by: usize, who: usize) -> bool {
        self.0.iter().all(|says| match *says {
            Says::Revoke { who: out, keeps, .. } if self.chain(out).contains(&by) => keeps >> who & 1 == 1,
            Says::Rotate { old, keeps, .. } if old == by => keeps >> who & 1 == 1,
            _ => true,
        })
    }

    /// The keys that stand.
    fn stand(&self) -> BTreeSet<usize> {
        let (shut, mut stand) = (self.shut_out(), BTreeSet::from([0]));
        for _ in 0..=NAMES {
            for says in &self.0 {
                match *says {
                    Says::Admit { by, who } if stand.contains(&by) && self.stays(by, who) => drop(stand.insert(who)),
                    Says::Rotate { old, new, .. }
                        if stand.contains(&old) && !shut.contains(&old) && self.successors(old).len() == 1 =>
                    {
                        stand.insert(new);
                    }
                    _ => {}
                }
            }
        }
        stand
    }

    /// The members, and those who are gone.
    fn verdict(&self) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let shut = self.shut_out();
        let is_gone = |at: &usize| shut.contains(at) || !self.successors(*at).is_empty();
        let gone: BTreeSet<usize> = (0..NAMES).filter(is_gone).collect();
        (self.stand().difference(&gone).copied().collect(), gone)
    }
}

fn names(ids: impl Iterator<Item = NodeId>) -> BTreeSet<usize> {
    ids.filter_map(|found| (0..NAMES).find(|at| id(*at) == found)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("MAYFLY_HEAVY").is_some() { 500 } else { 150 }))]

    /// Whatever the order, the pieces and the detours, the members are those of the rule.
    #[test]
    fn members_follow_from_the_set_alone(
        said in prop::collection::vec(says(), 0..14),
        keys in prop::collection::vec(any::<u64>(), 14),
        piece in 1_usize..6,
    ) {
        let records: Vec<SignedRecord> = said.iter().enumerate().map(|(at, says)| signed(*says, at as u64)).collect();
        let (want, gone) = ByTheBook::new(&said).verdict();
        let mut shuffled: Vec<usize> = (0..records.len()).collect();
        shuffled.sort_by_key(|at| keys[*at]);
        let shuffled: Vec<SignedRecord> = shuffled.into_iter().map(|at| records[at].clone()).collect();
        let (mut one, mut two, mut three) = (founded(), founded(), founded());
        settle(&mut one, &records);
        while shuffled.chunks(piece).map(|piece| two.merge(piece).taken).sum::<usize>() > 0 {}
        // Partitioned, half the records each, then healed through each other.
        let (left, right) = shuffled.split_at(shuffled.len() / 2);
        let mut four = founded();
        settle(&mut three, left);
        settle(&mut four, right);
        for _ in 0..2 * NAMES {
            let (from_three, from_four) = (three.records().to_vec(), four.records().to_vec());
            settle(&mut three, &[&from_four, left].concat());
            settle(&mut four, &[&from_three, right].concat());
        }
        for list in [&one, &two, &three, &four] {
            prop_assert_eq!(names(list.members().map(|(id, _)| id)), want.clone());
            prop_assert_eq!(list.digest(), one.digest());
        }
        // What is gone is gone; of keys that were never named, only that they were revoked is known.
        prop_assert_eq!(names(one.gone()), gone);
        let again = TrustList::from_bytes(&one.to_bytes().unwrap()).unwrap();
        prop_assert_eq!((again.digest(), members(&again)), (one.digest(), members(&one)));
    }

    /// A thief may sign what it likes, with any time in it: once its key is revoked, that lets nobody in.
    #[test]
    fn a_closed_book_lets_nobody_in(
        said in prop::collection::vec(says(), 0..10),
        later in prop::collection::vec(says(), 1..8),
        thief in 1..NAMES,
        keeps in any::<u8>(),
    ) {
        let mut list = founded();
        let records: Vec<SignedRecord> = said.iter().enumerate().map(|(at, says)| signed(*says, at as u64)).collect();
        settle(&mut list, &records);
        // Whom the record keeps is a member already: to name anybody else would be to let them in.
        let is_kept = |at: &usize| keeps >> at & 1 == 1 && list.member(id(*at)).is_ok();
        let keeps = (0..NAMES).filter(is_kept).fold(0, |mask, at| mask | 1 << at);
        let were = members(&list);
        list.merge(&[signed(Says::Revoke { by: 0, who: thief, keeps }, 0)]);
        // Who is kept by name and went all the same, because somebody else had let them in, may come back: the record vouches for them.
        let all_stayed = (0..NAMES).all(|at| keeps >> at & 1 == 0 || list.member(id(at)).is_ok());
        let allowed = if all_stayed { members(&list) } else { were };
        // By the thief, and by those whom it lets in with it. Keys that stood without that are in other hands, and their books closed by other records.
        let stood = ByTheBook::new(&said).stand();
        let mut hands = BTreeSet::from([thief]);
        for says in later {
            let by = match says {
                Says::Admit { by, .. } | Says::Revoke { by, .. } => by,
                Says::Rotate { old, .. } => old,
            };
            if !hands.contains(&by) {
                continue;
            }
            let named = match says {
                Says::Admit { who, .. } => Some(who),
                Says::Rotate { new, .. } => Some(new),
                Says::Revoke { .. } => None,
            };
            hands.extend(named.filter(|who| !stood.contains(who)));
            settle(&mut list, &[signed(says, 0)]);
        }
        prop_assert!(members(&list).is_subset(&allowed));
    }

    /// Two nodes with any two parts of the records are equal after each asked the other once, and no message is over its bound.
    #[test]
    fn two_lists_become_equal(said in prop::collection::vec((says(), 0_u8..3), 0..24)) {
        let (mut ours, mut theirs) = (founded(), founded());
        for (at, (says, to)) in said.into_iter().enumerate() {
            let record = [signed(says, at as u64)];
            if to != 1 {
                ours.merge(&record);
            }
            if to != 0 {
                theirs.merge(&record);
            }
        }
        let (ours, theirs) = (TrustStore::in_memory(ours), TrustStore::in_memory(theirs));
        exchange(&ours, &theirs);
        exchange(&theirs, &ours);
        prop_assert_eq!(ours.digest(), theirs.digest());
        prop_assert_eq!(members(&ours.list()), members(&theirs.list()));
    }
}

/// Nobody is rotated into a key that is not theirs: the proof is the new key's, for this swarm and this old key.
#[test]
fn a_rotation_without_the_new_keys_proof_is_refused() {
    let rotation = |swarm, old, new: usize| Record::rotation(swarm, old, identity(new), 5, Vec::new()).unwrap();
    let proof_of = |record| match record {
        Record::Rotate { proof, .. } => proof,
        other => panic!("{other:?}"),
    };
    let foreign = [rotation(id(0), id(0), 2), rotation(id(3), id(0), 1), rotation(id(0), id(3), 1)];
    for proof in foreign.map(proof_of).into_iter().chain([Vec::new()]) {
        let key = identity(1).public_key().bytes().to_vec();
        let body = Record::Rotate { swarm: id(0), old: id(0), key, at_ms: 5, proof, keeps: Vec::new() };
        let mut list = founded();
        list.apply(SignedRecord::sign(body, identity(0)).unwrap()).unwrap_err();
        assert_eq!(members(&list), BTreeSet::from([id(0)]));
    }
    let mut list = founded();
    list.apply(SignedRecord::sign(rotation(id(0), id(0), 1), identity(0)).unwrap()).unwrap();
    assert_eq!(members(&list), BTreeSet::from([id(1)]));
}

/// Asks until the end; returns how many questions that took.
fn exchange(ours: &TrustStore, theirs: &TrustStore) -> usize {
    let (mut exchange, mut ask) = TrustExchange::start(ours).unwrap();
    for count in 1.. {
        let answer = theirs.answer(&ask).unwrap();
        assert!(ask.len() <= PAGE_BYTES && answer.len() <= PAGE_BYTES, "{} and {} bytes", ask.len(), answer.len());
        match exchange.answered(ours, &answer).unwrap() {
            Some(next) => ask = next,
            None => return count,
        }
    }
    unreachable!()
}

/// Thousands of members: the list is handed over in pages, fetched in pages, and one more revocation travels in four small messages.
#[test]
fn a_long_list_travels() {
    let count = if std::env::var_os("MAYFLY_HEAVY").is_some() { 5_000 } else { 1_000 };
    let founder = identity(0);
    let mut list = founded();
    for number in 0..count as u32 {
        let mut seed = [9; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        list.admit(founder, Identity::from_seed(&seed).unwrap().public_key(), 2).unwrap();
    }
    assert_eq!(list.members().len(), count + 1);
    let mut joined: Option<TrustList> = None;
    for page in super::pages_of(&list) {
        assert!(crate::to_payload("a page", &page).unwrap().len() <= PAGE_BYTES);
        match &mut joined {
            None => joined = Some(TrustList::from_records(page.records).unwrap()),
            Some(list) => assert!(list.merge(&page.records).refused.is_empty()),
        }
    }
    let joined = TrustStore::in_memory(joined.unwrap());
    assert_eq!(joined.digest(), list.digest());
    let empty = TrustStore::in_memory(founded());
    exchange(&empty, &joined);
    assert_eq!(empty.digest(), list.digest());
    let gone = list.members().map(|(id, _)| id).find(|id| *id != founder.id()).unwrap();
    joined.revoke(founder, gone, 3).unwrap();
    assert!(exchange(&empty, &joined) <= 4);
    assert!(empty.member(gone).is_err());
    assert_eq!(empty.list().to_bytes().unwrap().len(), joined.list().to_bytes().unwrap().len());
}

/// An answer that never ends, or that is not what was asked for, is an error.
#[test]
fn answers_that_lie_are_refused() {
    let ours = TrustStore::in_memory(founded());
    let mut theirs = founded();
    theirs.merge(&[signed(Says::Admit { by: 0, who: 1 }, 5), signed(Says::Admit { by: 0, who: 2 }, 6)]);
    let theirs = TrustStore::in_memory(theirs);
    let lie = |stage: usize, lie: TrustAnswer| {
        let (mut exchange, mut ask) = TrustExchange::start(&ours).unwrap();
        for _ in 0..stage {
            ask = exchange.answered(&ours, &theirs.answer(&ask).unwrap()).unwrap().unwrap();
        }
        exchange.answered(&ours, &crate::to_payload("an answer", &lie).unwrap()).is_err()
    };
    assert!(lie(1, TrustAnswer::Hashes { hashes: Vec::new(), next: Some(1) }));
    assert!(lie(2, TrustAnswer::Records(Vec::new())));
    // A list of hashes that begins again and again.
    let hashes = vec![signed(Says::Admit { by: 0, who: 1 }, 5).hash().unwrap()];
    let page = crate::to_payload("an answer", &TrustAnswer::Hashes { hashes, next: Some(1) }).unwrap();
    let (mut exchange, ask) = TrustExchange::start(&ours).unwrap();
    exchange.answered(&ours, &theirs.answer(&ask).unwrap()).unwrap().unwrap();
    assert!(exchange.answered(&ours, &page).unwrap().is_some());
    assert!(exchange.answered(&ours, &page).is_err());
    let other = signed(Says::Admit { by: 0, who: 3 }, 7);
    assert!(lie(2, TrustAnswer::Records(vec![other.clone()])));
    let forged = SignedRecord { signature: vec![0; other.signature.len()], ..other };
    let news = TrustAsk::Take { digest: [0; 32], records: vec![forged] };
    assert!(ours.answer(&crate::to_payload("news", &news).unwrap()).is_err());
    assert_eq!(ours.digest(), founded().digest());
}

/// News are the records after those that were told before, or only word of them when they are many.
#[test]
fn news_are_what_is_new() {
    let store = TrustStore::in_memory(founded());
    let known = store.record_count();
    store.admit(identity(0), identity(1).public_key(), 5).unwrap();
    let told = store.news(known, id(0)).unwrap();
    assert_eq!((told.known, told.is_own), (known + 1, true));
    assert!(!store.news(known, id(1)).unwrap().is_own);
    let news = told.message;
    let TrustAsk::Take { digest, records } = from_payload("news", &news).unwrap() else { panic!("no news") };
    assert_eq!((digest, records.len()), (store.digest(), 1));
    let other = TrustStore::in_memory(founded());
    other.answer(&news).unwrap();
    assert_eq!(other.digest(), store.digest());
}

/// Two concurrent rotations of one key: it was in two hands, and neither gets in.
#[test]
fn a_key_rotated_twice_was_in_two_hands() {
    let mut list = founded();
    let all = [
        Says::Admit { by: 0, who: 1 },
        Says::Rotate { old: 1, new: 2, keeps: 0 },
        Says::Rotate { old: 1, new: 3, keeps: 0 },
        Says::Rotate { old: 3, new: 4, keeps: 0 },
    ];
    list.merge(&all.map(|says| signed(says, 1)));
    assert_eq!(members(&list), BTreeSet::from([id(0)]));
    assert!([1, 2, 3, 4].iter().all(|at| list.member(id(*at)).is_err()));
    assert!(list.admit(identity(0), identity(3).public_key(), 2).is_err(), "gone is gone");
}
