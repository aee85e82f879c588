//! Copies of artefacts: each lies on two members before it is registered, on the two that its digest chooses, and on all while it is live or tried.

use super::answer::read;
use crate::engine::{Engine, Piece, PieceAsk};
use crate::models::{self, Blobs, CHUNK, Manifest, ModelHost};
use crate::proto::modelspb::Stage;
use blake3::Hash;
use futures_util::{StreamExt, stream};
use std::io;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// Members that keep an artefact which nobody uses.
const KEEPERS: usize = 2;
/// After a change, for others that come with it.
const MOMENT: Duration = Duration::from_millis(50);
/// What could not be fetched is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Pieces that are under way at once: while one is written down, or the question for it is on a long way, the link is not idle. More would come too late
/// on a slow link.
const AHEAD: usize = 2;
/// How often in a row another member may have given a piece that was being fetched.
const GIVEN_MEANWHILE: u32 = 100;
/// How often what nobody wants is let go of, and how old it must be.
const SWEEP: Duration = Duration::from_secs(600);
const YOUNG: Duration = Duration::from_secs(3_600);

pub(super) struct Copies<E> {
    pub(super) engine: E,
    pub(super) host: ModelHost,
}

/// An artefact that is wanted.
struct Wanted {
    digest: Hash,
    size: u64,
    /// On every member.
    is_used: bool,
}

impl<E: Engine> Copies<E> {
    async fn aside<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Blobs) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let blobs = self.host.blobs.clone();
        tokio::task::spawn_blocking(move || act(&blobs)).await.map_err(io::Error::other)?
    }

    /// The members in the order in which they are to keep an artefact.
    fn ranked(&self, digest: Hash) -> Vec<u64> {
        let weight = |member: u64| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(digest.as_bytes()).update(&member.to_be_bytes());
            *hasher.finalize().as_bytes()
        };
        let members = self.engine.members().into_iter().filter(|member| !member.name.is_empty());
        let mut ranked: Vec<u64> = members.map(|member| member.id).collect();
        ranked.sort_by_key(|member| weight(*member));
        ranked
    }

    fn own(&self) -> u64 {
        self.engine.store().owner().member
    }

    /// Gives an artefact to one other member at least, where there are others.
    pub(super) async fn give(&self, digest: Hash, size: u64) -> Result<(), Status> {
        let own = self.own();
        let mut why = None;
        for member in self.ranked(digest).into_iter().filter(|member| *member != own) {
            match self.give_to(member, digest, size).await {
                Ok(()) => return Ok(()),
                Err(error) => why = Some(format!("{member:x}: {error}")),
            }
        }
        why.map_or(Ok(()), |why| Err(Status::unavailable(format!("no other member has taken a copy: {why}"))))
    }

    async fn give_to(&self, member: u64, digest: Hash, size: u64) -> Result<(), String> {
        let ask = PieceAsk::Get { digest: *digest.as_bytes(), offset: u64::MAX };
        let mut there = self.engine.piece(member, ask).await.map_err(|e| e.to_string())?;
        while there.size != size {
            let offset = there.received;
            let bytes = self.aside(move |blobs| blobs.read(digest, offset, CHUNK)).await.map_err(|e| e.to_string())?;
            if bytes.is_empty() {
                return Err("it has more of it than there is".into());
            }
            let ask = PieceAsk::Give { digest: *digest.as_bytes(), size, offset, bytes };
            there = self.engine.piece(member, ask).await.map_err(|e| e.to_string())?;
            if there.size != size && there.received <= offset {
                return Err("it does not take it".into());
            }
        }
        Ok(())
    }

    /// Gets an artefact that somebody has, of whatever length. Its length, if it is here then.
    pub(super) async fn find(&self, digest: Hash) -> Option<u64> {
        let own = self.own();
        for member in self.ranked(digest).into_iter().filter(|member| *member != own) {
            let ask = PieceAsk::Get { digest: *digest.as_bytes(), offset: u64::MAX };
            let Ok(Piece { size: size @ 1.., .. }) = self.engine.piece(member, ask).await else { continue };
            if self.fetch_from(member, digest, size).await == Ok(true) {
                return Some(size);
            }
        }
        None
    }

    /// Gets an artefact from whoever has it. Is it here then?
    async fn fetch(&self, digest: Hash, size: u64) -> bool {
        let own = self.own();
        for member in self.ranked(digest).into_iter().filter(|member| *member != own) {
            match self.fetch_from(member, digest, size).await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%digest, member = format!("{member:x}"), %error, "an artefact has not come")
                }
            }
        }
        false
    }

    /// What somebody else is fetching is waited for; what another member gives meanwhile is gone on from.
    async fn fetch_from(&self, member: u64, digest: Hash, size: u64) -> Result<bool, String> {
        let _turn = self.host.blobs.fetching.lock().await;
        let mut given = 0;
        loop {
            match self.fetch_rest(member, digest, size).await {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && given < GIVEN_MEANWHILE => {
                    given += 1;
                    tokio::time::sleep(MOMENT).await;
                }
                fetched => return fetched.map_err(|e| e.to_string()),
            }
        }
    }

    /// Gets what is not here yet of an artefact. Is it whole then?
    async fn fetch_rest(&self, member: u64, digest: Hash, size: u64) -> io::Result<bool> {
        if self.aside(move |blobs| blobs.len(digest)).await? == Some(size) {
            return Ok(true);
        }
        let received = self.aside(move |blobs| blobs.received(digest)).await?;
        let ask = |offset| async move {
            let ask = PieceAsk::Get { digest: *digest.as_bytes(), offset };
            (offset, self.engine.piece(member, ask).await)
        };
        let offsets = (received..size).step_by(CHUNK);
        let mut pieces = stream::iter(offsets).map(ask).buffered(AHEAD);
        while let Some((offset, piece)) = pieces.next().await {
            let Piece { size: there, bytes, .. } = piece.map_err(io::Error::other)?;
            if there != size || bytes.is_empty() {
                return Ok(false);
            }
            self.aside(move |blobs| blobs.receive(digest, offset, &bytes)).await?;
        }
        self.aside(move |blobs| blobs.finish(digest)).await?;
        Ok(true)
    }

    /// Keeps what this member is to keep, for as long as it is let.
    pub(super) async fn run(self) {
        self.engine.keep_artefacts(self.host.blobs.clone());
        let mut commits = self.engine.store().commits();
        let (mut seen, mut swept) = (None, Instant::now());
        let mut missed: Option<(_, Instant)> = None;
        loop {
            let members: Vec<u64> = self.engine.members().into_iter().map(|member| member.id).collect();
            let now =
                read(&self.engine, |state| models::event_count(state).map(Ok)).await.ok().map(|count| (count, members));
            let is_tried = missed.as_ref().is_some_and(|(what, at)| *what == now && at.elapsed() < AGAIN);
            if now != seen && !is_tried {
                match self.catch_up().await {
                    true => (seen, missed) = (now, None),
                    false => missed = Some((now, Instant::now())),
                }
            }
            if swept.elapsed() > SWEEP {
                swept = Instant::now();
                self.sweep().await;
            }
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(AGAIN) => {}
            }
            tokio::time::sleep(MOMENT).await;
        }
    }

    async fn wanted(&self) -> Result<Vec<Wanted>, Status> {
        let versions = read(&self.engine, |state| models::wanted(state).map(Ok)).await?;
        let wanted = versions.into_iter().filter_map(|version| {
            let is_used = matches!(version.stage(), Stage::Live | Stage::Canary);
            let manifest = Manifest::read(&version.signed?.manifest).ok()?;
            Some(Wanted { digest: manifest.digest().ok()?, size: manifest.size, is_used })
        });
        Ok(wanted.collect())
    }

    /// Is all here that is to be here?
    async fn catch_up(&self) -> bool {
        let Ok(wanted) = self.wanted().await else { return false };
        let mut is_all = true;
        for Wanted { digest, size, is_used } in wanted {
            let keeps = is_used || self.ranked(digest).iter().take(KEEPERS).any(|member| *member == self.own());
            let is_here = self.aside(move |blobs| blobs.len(digest)).await.is_ok_and(|len| len == Some(size));
            if keeps && !is_here {
                is_all &= self.fetch(digest, size).await;
            }
        }
        is_all
    }

    /// Not by a member that is behind, or has no state yet: it does not know what is wanted.
    async fn sweep(&self) {
        if self.engine.read_barrier().await.is_err() {
            return;
        }
        let Ok(wanted) = self.wanted().await else { return };
        let wanted: Vec<Hash> = wanted.into_iter().map(|wanted| wanted.digest).collect();
        match self.aside(move |blobs| blobs.sweep(&wanted, YOUNG)).await {
            Ok(0) => {}
            Ok(bytes) => tracing::info!(bytes, "let go of artefacts that nobody wants"),
            Err(error) => tracing::warn!(%error, "artefacts that nobody wants are not let go of"),
        }
    }
}
