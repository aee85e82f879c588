//! `modelspb.Models`: the registry of models.

use super::answer::{read, status};
use super::copies::Copies;
use crate::engine::Engine;
use crate::models::{self, CHUNK, ModelHost, ModelRefusal, Told, Which};
use crate::proto::modelspb::command::Request as Command;
use crate::proto::modelspb::models_server::Models;
use crate::proto::modelspb::{
    AliasRequest, Asked, BlobRequest, BlobResponse, DownloadRequest, DownloadResponse, FollowRequest, Followed,
    ForgetRequest, GetRequest, ListRequest, ListResponse, LogRequest, LogResponse, RegisterRequest, RollbackRequest,
    Signed, StageRequest, UploadRequest, Version,
};
use crate::watch::Hub;
use blake3::Hash;
use futures_util::stream::{self, Stream, StreamExt};
use redb::ReadTransaction;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tonic::{Code, Request, Response, Status, Streaming};

pub(super) struct ModelsService<E> {
    pub(super) engine: E,
    pub(super) hub: Arc<Hub>,
    pub(super) host: ModelHost,
    pub(super) copies: Copies<E>,
}

type Answered<T> = Result<Response<T>, Status>;
type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn refused(refusal: ModelRefusal) -> Status {
    Status::new(refusal.code(), refusal.text())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// When it is asked is said by this member's clock.
fn at_now(asked: Option<Asked>) -> Option<Asked> {
    Some(Asked { time_ms: now_ms(), ..asked.unwrap_or_default() })
}

fn digest_of(bytes: &[u8]) -> Result<Hash, Status> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| Status::invalid_argument("a digest has 32 bytes"))?;
    Ok(bytes.into())
}

fn disk(error: &io::Error) -> Status {
    let code = match error.kind() {
        io::ErrorKind::NotFound => Code::NotFound,
        io::ErrorKind::InvalidInput => Code::OutOfRange,
        io::ErrorKind::InvalidData => Code::DataLoss,
        io::ErrorKind::StorageFull => Code::ResourceExhausted,
        _ => Code::Internal,
    };
    Status::new(code, format!("the store of artefacts: {error}"))
}

impl<E: Engine> ModelsService<E> {
    async fn propose(&self, request: Command) -> Answered<Version> {
        let outcome = self.engine.propose(models::entry(request)).await.map_err(|e| status(&e))?;
        let told = models::answer(&outcome).map_err(Status::internal)?;
        Ok(Response::new(told.map_err(refused)?))
    }

    async fn look<T: Send + 'static>(
        &self,
        is_serializable: bool,
        act: impl FnOnce(&ReadTransaction) -> Result<Told<T>, crate::Fault> + Send + 'static,
    ) -> Answered<T> {
        if !is_serializable {
            self.engine.read_barrier().await.map_err(|e| status(&e))?;
        }
        let told = read(&self.engine, move |transaction| act(transaction).map(Ok)).await?;
        Ok(Response::new(told.map_err(refused)?))
    }

    /// Works with the store of artefacts, where that holds nobody up.
    async fn aside<T: Send + 'static>(
        &self,
        act: impl FnOnce(&models::Blobs) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Status> {
        let blobs = self.host.blobs.clone();
        let done = tokio::task::spawn_blocking(move || act(&blobs)).await;
        done.map_err(|_| Status::internal("the store of artefacts has panicked"))?.map_err(|e| disk(&e))
    }

    /// Is it signed by someone who is trusted, and are the bytes here that were signed?
    async fn check(&self, signed: &Signed) -> Result<(), Status> {
        let manifest = models::check(signed, |signer| (self.host.trusts)(signer), now_ms() / 1_000)
            .map_err(|unfit| Status::permission_denied(unfit.to_string()))?;
        let digest = manifest.digest().map_err(Status::invalid_argument)?;
        let size = self.aside(move |blobs| blobs.len(digest)).await?;
        if size != Some(manifest.size) {
            let what = format!("the artefact {digest} of {} bytes is not here: upload it first", manifest.size);
            return Err(Status::failed_precondition(what));
        }
        self.copies.give(digest, manifest.size).await
    }
}

/// What is live and tried of a model.
fn followed(transaction: &ReadTransaction, name: &str) -> Result<Followed, crate::Fault> {
    let live = models::version(transaction, name, Which::Alias("live"))?.ok();
    let canary = models::version(transaction, name, Which::Alias("canary"))?.ok();
    Ok(Followed { live, canary })
}

#[tonic::async_trait]
impl<E: Engine> Models for ModelsService<E> {
    async fn register(&self, request: Request<RegisterRequest>) -> Answered<Version> {
        let RegisterRequest { signed, asked } = request.into_inner();
        let signed = signed.unwrap_or_default();
        self.check(&signed).await?;
        self.propose(Command::Register(RegisterRequest { signed: Some(signed), asked: at_now(asked) })).await
    }

    async fn set_stage(&self, request: Request<StageRequest>) -> Answered<Version> {
        let request = request.into_inner();
        let asked = at_now(request.asked.clone());
        self.propose(Command::Stage(StageRequest { asked, ..request })).await
    }

    async fn rollback(&self, request: Request<RollbackRequest>) -> Answered<Version> {
        let request = request.into_inner();
        let asked = at_now(request.asked.clone());
        self.propose(Command::Rollback(RollbackRequest { asked, ..request })).await
    }

    async fn alias(&self, request: Request<AliasRequest>) -> Answered<Version> {
        self.propose(Command::Alias(request.into_inner())).await
    }

    async fn forget(&self, request: Request<ForgetRequest>) -> Answered<Version> {
        self.propose(Command::Forget(request.into_inner())).await
    }

    async fn get(&self, request: Request<GetRequest>) -> Answered<Version> {
        let GetRequest { name, version, alias, serializable } = request.into_inner();
        self.look(serializable, move |transaction| {
            let which = if version == 0 { Which::Alias(&alias) } else { Which::Number(version) };
            models::version(transaction, &name, which)
        })
        .await
    }

    async fn list(&self, request: Request<ListRequest>) -> Answered<ListResponse> {
        let ListRequest { name, serializable } = request.into_inner();
        self.look(serializable, move |transaction| {
            Ok(Ok(ListResponse { versions: models::versions(transaction, &name)? }))
        })
        .await
    }

    async fn log(&self, request: Request<LogRequest>) -> Answered<LogResponse> {
        let LogRequest { name, serializable } = request.into_inner();
        self.look(serializable, move |transaction| {
            let events = models::events(transaction, &name)?;
            Ok(if events.is_empty() { Err(ModelRefusal::NoSuchModel) } else { Ok(LogResponse { events }) })
        })
        .await
    }

    type FollowStream = Streamed<Followed>;

    async fn follow(&self, request: Request<FollowRequest>) -> Answered<Self::FollowStream> {
        let FollowRequest { name } = request.into_inner();
        let (engine, hub) = (self.engine.clone(), self.hub.clone());
        let (out, told) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut commits = engine.store().commits();
            let mut last = None;
            loop {
                let name = name.clone();
                let now = read(&engine, move |transaction| followed(transaction, &name).map(Ok)).await;
                let is_over = now.is_err();
                if now.as_ref().ok() != last.as_ref() || is_over {
                    last = now.as_ref().ok().cloned();
                    if out.send(now).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    changed = commits.changed() => if changed.is_err() || is_over { return },
                    reason = hub.ended() => {
                        let _ = out.send(Err(status(&reason))).await; // the client may be gone
                        return;
                    }
                    () = out.closed() => return,
                }
            }
        });
        let told = stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) });
        Ok(Response::new(Box::pin(told)))
    }

    async fn blob(&self, request: Request<BlobRequest>) -> Answered<BlobResponse> {
        let digest = digest_of(&request.into_inner().digest)?;
        let (size, received) = self.aside(move |blobs| Ok((blobs.len(digest)?, blobs.received(digest)?))).await?;
        Ok(Response::new(BlobResponse { size: size.unwrap_or(0), received }))
    }

    async fn upload(&self, request: Request<Streaming<UploadRequest>>) -> Answered<BlobResponse> {
        let mut parts = request.into_inner();
        let mut whole = None;
        while let Some(UploadRequest { digest, size, offset, bytes }) = parts.message().await? {
            let digest = digest_of(&digest)?;
            if offset + bytes.len() as u64 > size || whole.is_some_and(|whole| whole != (digest, size)) {
                return Err(Status::invalid_argument("the parts of an upload belong to one artefact, and end with it"));
            }
            whole = Some((digest, size));
            if self.aside(move |blobs| blobs.len(digest)).await? == Some(size) {
                return Ok(Response::new(BlobResponse { size, received: 0 }));
            }
            let received = self.aside(move |blobs| blobs.receive(digest, offset, &bytes)).await?;
            if received == size {
                let size = self.aside(move |blobs| blobs.finish(digest)).await?;
                return Ok(Response::new(BlobResponse { size, received: 0 }));
            }
        }
        let Some((digest, _)) = whole else { return Err(Status::invalid_argument("an upload has bytes")) };
        let received = self.aside(move |blobs| blobs.received(digest)).await?;
        Ok(Response::new(BlobResponse { size: 0, received }))
    }

    type DownloadStream = Streamed<DownloadResponse>;

    async fn download(&self, request: Request<DownloadRequest>) -> Answered<Self::DownloadStream> {
        let DownloadRequest { digest, offset } = request.into_inner();
        let digest = digest_of(&digest)?;
        let size = self.aside(move |blobs| blobs.len(digest)).await?;
        let size = if size.is_some() { size } else { self.copies.find(digest).await };
        let Some(size) = size else { return Err(Status::not_found(format!("no member has the artefact {digest}"))) };
        let blobs = self.host.blobs.clone();
        let parts = stream::iter((offset..size).step_by(CHUNK)).then(move |offset| {
            let blobs = blobs.clone();
            async move {
                let read = tokio::task::spawn_blocking(move || blobs.read(digest, offset, CHUNK)).await;
                let bytes = read.map_err(|_| Status::internal("the store of artefacts has panicked"))?;
                Ok(DownloadResponse { size, offset, bytes: bytes.map_err(|e| disk(&e))? })
            }
        });
        Ok(Response::new(Box::pin(parts)))
    }
}
