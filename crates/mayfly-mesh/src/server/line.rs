//! Connections that can be cut.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tonic::transport::server::Connected;

/// What a client's connection is made of.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A client's connection. Once it is cut it ends for whoever serves it, even if the client takes nothing.
pub(super) struct Line {
    stream: Box<dyn Wire>,
    client: ClientInfo,
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_cut: bool,
}

/// What is known of a client before it says anything.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientInfo {
    /// The name in its certificate, which was verified.
    pub(super) common_name: Option<Arc<str>>,
}

impl Line {
    /// The connection, until `cut` says true.
    pub(super) fn new(stream: Box<dyn Wire>, client: ClientInfo, mut cut: watch::Receiver<bool>) -> Self {
        let cut = Box::pin(async move { drop(cut.wait_for(|cut| *cut).await) });
        Self { stream, client, cut, is_cut: false }
    }

    /// Whoever waits for the client is woken when it is cut.
    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_cut = self.is_cut || self.cut.as_mut().poll(cx).is_ready();
        self.is_cut
    }

    fn stream(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut dyn Wire>> {
        match self.is_cut(cx) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(Pin::new(&mut *self.stream)),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream(cx)?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_shutdown(cx)
    }
}

impl Connected for Line {
    type ConnectInfo = ClientInfo;

    fn connect_info(&self) -> ClientInfo {
        self.client.clone()
    }
}
