//! TLS for clients, with the user's own X.509 certificates: version 1.3, and the hybrid of X25519 and ML-KEM-768 where a client speaks it.

use super::line::{ClientInfo, Line};
use super::subject::common_name;
use crate::error::{MeshError, Result};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// How long a client may take to greet.
const GREETING: Duration = Duration::from_secs(10);

/// Files in PEM. They are read again when they have changed, for those who connect from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The node's certificate, and those that lead to the one its clients know.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whose certificates clients must have; the common name in one is a user. Without it, none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// When a file was last written, and its length.
type Stamp = Option<(SystemTime, u64)>;

impl Tls {
    fn stamps(&self) -> [Stamp; 3] {
        let stamp = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len()))
        };
        [stamp(&self.cert), stamp(&self.key), self.client_ca.as_deref().and_then(stamp)]
    }

    fn load(&self) -> Result<Arc<ServerConfig>> {
        let provider = Arc::new(provider());
        let fail = |path: &Path, reason: String| MeshError::Certificate { path: path.into(), reason };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| fail(&self.cert, e.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|e| fail(path, e.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|e| fail(path, e.to_string()))?)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| fail(&self.key, e.to_string()))?;
        let config = builder.with_single_cert(certificates(&self.cert)?, key);
        let mut config = config.map_err(|e| fail(&self.cert, e.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The first that both sides speak is taken.
fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    CryptoProvider { kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1], ..aws_lc_rs::default_provider() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let fail = |reason: String| MeshError::Certificate { path: path.into(), reason };
    let found = CertificateDer::pem_file_iter(path).map_err(|e| fail(e.to_string()))?;
    let found: std::result::Result<Vec<_>, _> = found.collect();
    match found.map_err(|e| fail(e.to_string()))? {
        none if none.is_empty() => Err(fail("it has no certificate".into())),
        found => Ok(found),
    }
}

/// Greets those who connect.
#[derive(Debug)]
pub(super) struct Greeter {
    files: Tls,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    stamps: [Stamp; 3],
    config: Arc<ServerConfig>,
}

impl Greeter {
    pub(super) fn new(files: Tls) -> Result<Self> {
        let stamps = files.stamps();
        let config = files.load()?;
        Ok(Self { files, loaded: Mutex::new(Loaded { stamps, config }) })
    }

    /// What holds now. New files that make no sense are told of, and those before hold on.
    fn config(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = self.files.stamps();
        if stamps != loaded.stamps {
            match self.files.load() {
                Ok(config) => *loaded = Loaded { stamps, config },
                Err(error) => tracing::warn!(%error, "clients are served with the certificates from before"),
            }
        }
        loaded.config.clone()
    }

    pub(super) async fn greet(self: Arc<Self>, stream: TcpStream, cut: watch::Receiver<bool>) -> io::Result<Line> {
        let config = tokio::task::spawn_blocking(move || self.config()).await.map_err(io::Error::other)?;
        let greeted = tokio::time::timeout(GREETING, TlsAcceptor::from(config).accept(stream)).await;
        let stream = greeted.map_err(|_| io::ErrorKind::TimedOut)??;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let client = ClientInfo { common_name: certificate.and_then(common_name) };
        Ok(Line::new(Box::new(stream), client, cut))
    }
}
