//! Whose history differs.

use super::{AGAIN, Pace, Upkeep};
use crate::engine::Engine;
use crate::error::{MeshError, Result};
use crate::etcd_error::EtcdError;
use crate::kv::{self, Answer, KvHash};
use std::collections::BTreeMap;

/// How often a member that is behind is asked again.
const TRIES: u32 = 5;
/// All members: which of them differ, nobody can tell.
const ALL: u64 = 0;

impl<E: Engine, P: Pace> Upkeep<E, P> {
    /// Asks all members what their history comes to, at one revision. Gives those who differ; [`ALL`] where no majority is the same.
    pub(super) async fn compare_now(&self) -> Vec<u64> {
        let revision = match self.read(kv::revision).await {
            Ok(revision) => revision,
            Err(error) => return self.suspects(&error),
        };
        let own = match self.read(move |state| kv::hash(state, revision)).await {
            Ok(Ok(own)) => own,
            Ok(Err(_)) => return Vec::new(), // compacted since
            Err(error) => return self.suspects(&error),
        };
        let mut found = BTreeMap::from([(self.own(), Some(own))]);
        for member in self.engine.members() {
            if member.id != self.own() && !member.name.is_empty() {
                match self.ask(member.id, revision).await {
                    Ok(Ok(hash)) => drop(found.insert(member.id, Some(hash))),
                    Ok(Err(EtcdError::Corrupt)) => drop(found.insert(member.id, None)),
                    other => {
                        tracing::debug!(member = format!("{:x}", member.id), ?other, "it is not compared this time");
                    }
                }
            }
        }
        judge(&found, own.compacted)
    }

    async fn ask(&self, member: u64, revision: i64) -> Result<Answer<KvHash>> {
        let mut told = self.engine.hash_of(member, revision).await;
        for _ in 1..TRIES {
            if !matches!(told, Ok(Err(EtcdError::FutureRev))) || !self.pace.pause(AGAIN).await {
                break;
            }
            told = self.engine.hash_of(member, revision).await;
        }
        told
    }

    /// Its own history cannot be read.
    fn suspects(&self, error: &MeshError) -> Vec<u64> {
        tracing::error!(%error, "its history cannot be read");
        if matches!(error, MeshError::Damaged { .. }) { vec![self.own()] } else { Vec::new() }
    }
}

/// Who differs from the majority of those who were asked; who cannot read its history does. What was compacted elsewhere is not comparable.
fn judge(found: &BTreeMap<u64, Option<KvHash>>, compacted: i64) -> Vec<u64> {
    let compared = found.iter().filter(|(_, hash)| hash.is_none_or(|hash| hash.compacted == compacted));
    let compared: Vec<(u64, Option<[u8; 32]>)> = compared.map(|(id, hash)| (*id, hash.map(|hash| hash.hash))).collect();
    let has = |want: &Option<[u8; 32]>| compared.iter().filter(|(_, hash)| hash == want).count();
    let most = compared.iter().map(|(_, hash)| *hash).filter(Option::is_some).max_by_key(has);
    match most {
        Some(most) if has(&most) * 2 > compared.len() => {
            compared.into_iter().filter(|(_, hash)| *hash != most).map(|(id, _)| id).collect()
        }
        _ => vec![ALL],
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, judge};
    use crate::kv::KvHash;
    use std::collections::BTreeMap;

    fn of(hashes: &[(u64, Option<u8>)]) -> Vec<u64> {
        let hash = |byte| KvHash { hash: [byte; 32], revision: 9, compacted: 3 };
        let found = hashes.iter().map(|(id, byte)| (*id, byte.map(hash))).collect::<BTreeMap<_, _>>();
        judge(&found, 3)
    }

    #[test]
    fn who_differs_from_the_majority_is_found() {
        assert_eq!(of(&[(1, Some(7))]), [0; 0]);
        assert_eq!(of(&[(1, Some(7)), (2, Some(7)), (3, Some(7))]), [0; 0]);
        assert_eq!(of(&[(1, Some(7)), (2, Some(8)), (3, Some(7))]), [2]);
        assert_eq!(of(&[(1, Some(8)), (2, Some(7)), (3, Some(7))]), [1], "also the one who asks");
        assert_eq!(of(&[(1, Some(7)), (2, None), (3, Some(7))]), [2], "who cannot read its own");
    }

    #[test]
    fn without_a_majority_nobody_can_tell() {
        assert_eq!(of(&[(1, Some(7)), (2, Some(8))]), [ALL]);
        assert_eq!(of(&[(1, Some(7)), (2, Some(8)), (3, Some(9))]), [ALL]);
        assert_eq!(of(&[(1, Some(7)), (2, None)]), [ALL]);
    }

    #[test]
    fn what_was_compacted_differently_is_not_compared() {
        let hash = |byte, compacted| Some(KvHash { hash: [byte; 32], revision: 9, compacted });
        let found = BTreeMap::from([(1, hash(7, 3)), (2, hash(8, 4)), (3, hash(7, 3))]);
        assert_eq!(judge(&found, 3), [0; 0]);
    }
}
