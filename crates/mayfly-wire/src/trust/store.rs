//! The trust list and the token book, on disk and shared by everything that asks.

use super::{Admitted, Change, JoinToken, Merge, SignedRecord, TokenBook, TrustList};
use crate::{Identity, PublicKey, Result, WireError, fs};
use mayfly_base::NodeId;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

const LIST: &str = "trust.list";
const BOOK: &str = "tokens.book";
/// 131,072 records of at most 12 kB.
const MOST_LIST_BYTES: u64 = 131_072 * 12_000;
/// Where an identity lies by convention.
const KEY: &str = "identity.key";
const MOST_BOOK_BYTES: u64 = 64 << 20;

/// Whom this node trusts now. Every change is on disk before it counts; whoever watches hears of it.
#[derive(Debug)]
pub struct TrustStore {
    folder: Option<PathBuf>,
    inner: Mutex<Inner>,
    /// Held by whoever changes something, so that readers do not wait for signatures and disks.
    changing: Mutex<()>,
    changes: watch::Sender<u64>,
}

#[derive(Clone, Debug)]
struct Inner {
    list: TrustList,
    book: TokenBook,
}

impl TrustStore {
    /// A store that forgets everything at the end, for tests and simulations.
    pub fn in_memory(list: TrustList) -> Self {
        Self::new(None, list, TokenBook::default())
    }

    /// Puts a list into a folder that has none: of a swarm just founded or just joined.
    ///
    /// # Errors
    /// [`WireError::Exists`], [`WireError::Io`].
    pub fn create(folder: &Path, list: TrustList) -> Result<Self> {
        let path = folder.join(LIST);
        if path.exists() {
            return Err(WireError::Exists { path });
        }
        fs::write_atomic(&path, &list.to_bytes()?)?;
        Ok(Self::new(Some(folder.into()), list, TokenBook::default()))
    }

    /// The store of a folder; nothing when the node has not founded or joined a swarm there.
    ///
    /// # Errors
    /// [`WireError::Damaged`] naming the file, [`WireError::Io`].
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let Some(bytes) = fs::read_if_there(&folder.join(LIST), MOST_LIST_BYTES)? else { return Ok(None) };
        let list = TrustList::from_bytes(&bytes).map_err(damaged(folder.join(LIST)))?;
        let book = match fs::read_if_there(&folder.join(BOOK), MOST_BOOK_BYTES)? {
            Some(bytes) => TokenBook::from_bytes(&bytes).map_err(damaged(folder.join(BOOK)))?,
            None => TokenBook::default(),
        };
        Ok(Some(Self::new(Some(folder.into()), list, book)))
    }

    /// Removes what a killed process left half written in a node's folder. For whoever knows that no other process is at work there. Returns how many files.
    ///
    /// # Errors
    /// [`WireError::Io`].
    pub fn clean(folder: &Path) -> Result<usize> {
        mayfly_base::atomic::clean(folder, &[LIST, BOOK, KEY]).map_err(WireError::io("tidy", folder))
    }

    fn new(folder: Option<PathBuf>, list: TrustList, book: TokenBook) -> Self {
        Self {
            folder,
            inner: Mutex::new(Inner { list, book }),
            changing: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// The list as it is now.
    pub fn list(&self) -> TrustList {
        self.lock().list.clone()
    }

    /// Something of the list, without a copy of it.
    pub(super) fn with_list<T>(&self, look: impl FnOnce(&TrustList) -> T) -> T {
        look(&self.lock().list)
    }

    /// How many records the list has; see [`TrustStore::news`].
    pub fn record_count(&self) -> usize {
        self.with_list(|list| list.records().len())
    }

    /// How many members there are.
    pub fn member_count(&self) -> usize {
        self.with_list(|list| list.members().len())
    }

    /// The swarm's name.
    pub fn swarm(&self) -> NodeId {
        self.lock().list.swarm()
    }

    /// The key of a member.
    ///
    /// # Errors
    /// [`WireError::Revoked`], [`WireError::NotMember`].
    pub fn member(&self, id: NodeId) -> Result<PublicKey> {
        self.lock().list.member(id).cloned()
    }

    /// See [`TrustList::digest`]: equal digests mean that two nodes need not exchange lists.
    pub fn digest(&self) -> [u8; 32] {
        self.lock().list.digest()
    }

    /// Counts changes of the list, for whoever must act on them.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes in what is new among another node's records.
    ///
    /// # Errors
    /// [`WireError::Io`]; then nothing is changed.
    pub fn merge(&self, records: &[SignedRecord]) -> Result<Merge> {
        self.change(|inner| Ok(inner.list.merge(records)))
    }

    /// Lets a key in. See [`TrustList::admit`].
    ///
    /// # Errors
    /// Those of [`TrustList::apply`], and [`WireError::Io`].
    pub fn admit(&self, by: &Identity, key: &PublicKey, now_ms: u64) -> Result<Change> {
        self.change(|inner| inner.list.admit(by, key, now_ms))
    }

    /// Shuts a key out; live links of it are closed. See [`TrustList::revoke`].
    ///
    /// # Errors
    /// Those of [`TrustList::apply`], and [`WireError::Io`].
    pub fn revoke(&self, by: &Identity, id: NodeId, now_ms: u64) -> Result<Change> {
        self.change(|inner| inner.list.revoke(by, id, now_ms))
    }

    /// As [`TrustStore::revoke`], and says what becomes of those whom the key let in. See [`TrustList::revoke_with`].
    ///
    /// # Errors
    /// Those of [`TrustList::apply`], and [`WireError::Io`].
    pub fn revoke_with(&self, by: &Identity, id: NodeId, admitted: Admitted, now_ms: u64) -> Result<Change> {
        self.change(|inner| inner.list.revoke_with(by, id, admitted, now_ms))
    }

    /// Puts a new key in an old one's place. See [`TrustList::rotate`]. Keep the new key on disk first: [`Identity::create`] under another name,
    /// then this, then rename the key file over the old one; a crash in between leaves both keys there.
    ///
    /// # Errors
    /// Those of [`TrustList::apply`], and [`WireError::Io`].
    pub fn rotate(&self, old: &Identity, new: &Identity, now_ms: u64) -> Result<Change> {
        self.change(|inner| inner.list.rotate(old, new, now_ms))
    }

    /// A token that lets one node in through `issuer`, which must be this node.
    ///
    /// # Errors
    /// [`WireError::NotMember`], [`WireError::Revoked`], [`WireError::TooLong`] for more than eight contacts, [`WireError::Io`].
    pub fn issue_token(
        &self,
        issuer: &Identity,
        valid_ms: u64,
        contacts: &[SocketAddr],
        now_ms: u64,
    ) -> Result<JoinToken> {
        self.change(|inner| {
            inner.list.member(issuer.id())?;
            let token = JoinToken::issue(inner.list.swarm(), issuer, now_ms.saturating_add(valid_ms), contacts)?;
            inner.book.note(&token, now_ms);
            Ok(token)
        })
    }

    /// May an unknown key knock, because a token is out?
    pub(crate) fn expects_joins(&self, now_ms: u64) -> bool {
        self.lock().book.has_open(now_ms)
    }

    /// Spends a token and lets the key in; both are on disk when this returns the list to hand over.
    ///
    /// # Errors
    /// [`WireError::TokenIssuer`], [`WireError::TokenExpired`], [`WireError::TokenUsed`], [`WireError::Signature`], [`WireError::OtherSwarm`],
    /// those of [`TrustList::apply`], and [`WireError::Io`].
    pub fn redeem(&self, here: &Identity, token: &JoinToken, key: &PublicKey, now_ms: u64) -> Result<TrustList> {
        self.change(|inner| {
            let want = inner.list.swarm();
            if token.swarm() != want {
                return Err(WireError::OtherSwarm { what: "the join token", want, got: token.swarm() });
            }
            inner.book.spend(token, here, now_ms)?;
            inner.list.admit(here, key, now_ms)?;
            Ok(inner.list.clone())
        })
    }

    /// Changes a copy, writes it, and only then lets it count. The book is written first: a crash in between may waste a token, never spend it twice.
    fn change<T>(&self, work: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.lock().clone();
        let mut next = before.clone();
        let out = work(&mut next)?;
        let is_list_new = next.list.records().len() != before.list.records().len();
        if let Some(folder) = &self.folder {
            if next.book != before.book {
                fs::write_atomic(&folder.join(BOOK), &next.book.to_bytes())?;
            }
            if is_list_new {
                fs::write_atomic(&folder.join(LIST), &next.list.to_bytes()?)?;
            }
        }
        *self.lock() = next;
        if is_list_new {
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(out)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn damaged(path: PathBuf) -> impl FnOnce(WireError) -> WireError {
    move |error| WireError::Damaged { path, what: error.to_string() }
}
