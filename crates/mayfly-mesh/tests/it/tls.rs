//! Clients that speak TLS, and whom their certificates say they are.

use crate::common::auth::{by, enable};
use crate::common::served::Node;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mayfly_mesh::proto::etcdserverpb::PutRequest;
use mayfly_mesh::proto::etcdserverpb::auth_client::AuthClient;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::{Clients, InClear, MeshError, Store, Tls, modules};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, NamedGroup, RootCertStore};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// A certificate and its key, in PEM.
#[derive(Clone)]
struct Pair {
    cert: String,
    key: String,
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).expect("names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Whoever signs the certificates of others.
struct Authority {
    cert: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = params("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate").der().to_vec();
        Self { cert, issuer: Issuer::new(params, key) }
    }

    fn pem(&self) -> String {
        pem("CERTIFICATE", &self.cert)
    }

    fn certify(&self, name: &str) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let cert = params(name).signed_by(&key, &self.issuer).expect("a certificate");
        Pair { cert: pem("CERTIFICATE", cert.der()), key: pem("PRIVATE KEY", &key.serialize_der()) }
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

/// The node's certificate and key in files; with an authority for clients, if they must have certificates.
fn files(folder: &Path, node: &Pair, clients: Option<&Authority>) -> Tls {
    let client_ca = clients.map(|authority| write(folder, "clients.pem", &authority.pem()));
    Tls { cert: write(folder, "node.pem", &node.cert), key: write(folder, "node.key", &node.key), client_ca }
}

async fn serving(folder: &Path, tls: Tls) -> Node {
    let store = Store::open(&folder.join("mesh"), modules()).expect("a store");
    Node::serving(store, Clients { tls: Some(tls), ..Clients::loopback(0) }).await
}

async fn dial(node: &Node, trusts: &Authority, own: Option<&Pair>) -> Result<Channel, tonic::transport::Error> {
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(trusts.pem()));
    if let Some(Pair { cert, key }) = own {
        config = config.identity(Identity::from_pem(cert, key));
    }
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", node.address.port())).expect("an address");
    endpoint.tls_config(config)?.connect().await
}

fn put(key: &str) -> PutRequest {
    PutRequest { key: key.into(), value: "v".into(), ..PutRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_one_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let [servers, clients, strangers] = [(); 3].map(|()| Authority::new());
    let node = serving(folder.path(), files(folder.path(), &servers.certify("node"), Some(&clients))).await;
    let u1 = clients.certify("u1");
    let channel = dial(&node, &servers, Some(&u1)).await.expect("let in");
    let (mut auth, mut kv) = (AuthClient::new(channel.clone()), KvClient::new(channel));
    let (root, _) = enable(&mut auth).await;
    let text = |answer: Result<_, tonic::Status>| answer.map(drop).map_err(|status| status.message().to_string());
    let denied = Err("etcdserver: permission denied".to_string());
    assert_eq!(text(kv.put(put("a")).await), Ok(()));
    assert_eq!(text(kv.put(put("b")).await), denied);
    assert_eq!(text(kv.put(by(Some(&root), put("b"))).await), Ok(()), "a token counts more than a certificate");
    assert_eq!(text(kv.put(by(Some("no.1"), put("a"))).await), Err("etcdserver: invalid auth token".into()));
    for (name, want) in [("root", Ok(())), ("nobody", denied)] {
        let channel = dial(&node, &servers, Some(&clients.certify(name))).await.expect("let in");
        assert_eq!(text(KvClient::new(channel).put(put("b")).await), want, "{name}");
    }
    // Who has no certificate, or another's, is not let in: not even to ask.
    for own in [None, Some(strangers.certify("root")), Some(servers.certify("root"))] {
        if let Ok(channel) = dial(&node, &servers, own.as_ref()).await {
            let status = KvClient::new(channel).put(put("b")).await.expect_err("not let in");
            assert!(matches!(status.code(), Code::Unknown | Code::Unavailable | Code::Cancelled), "{status}");
        }
    }
    assert!(dial(&node, &strangers, Some(&u1)).await.is_err(), "the node is not whom this client knows");
    node.stop().await.expect("a good end");
}

fn rustls_client(trusts: &Authority, groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>) -> TlsConnector {
    let provider = CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(trusts.cert.clone())).expect("a certificate");
    let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn greet(address: SocketAddr, client: TlsConnector) -> std::io::Result<Option<NamedGroup>> {
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = client.connect(name, TcpStream::connect(address).await?).await?;
    Ok(stream.get_ref().1.negotiated_key_exchange_group().map(|group| group.name()))
}

/// The hybrid where a client speaks it; another one where it does not. Whoever speaks no TLS, or greets and goes, disturbs nobody.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_agreed_on_in_a_hybrid() {
    use aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let node = serving(folder.path(), files(folder.path(), &authority.certify("node"), None)).await;
    let hybrid = rustls_client(&authority, vec![X25519MLKEM768, X25519]);
    assert_eq!(greet(node.address, hybrid).await.expect("let in"), Some(NamedGroup::X25519MLKEM768));
    let classical = rustls_client(&authority, vec![SECP256R1]);
    assert_eq!(greet(node.address, classical).await.expect("let in"), Some(NamedGroup::secp256r1));
    let channel = dial(&node, &authority, None).await.expect("no certificate is asked for");
    let mut kv = KvClient::new(channel);
    let silent = TcpStream::connect(node.address).await.expect("connected");
    for bytes in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"\x16\x03\x01\xff\xff", b""] {
        let mut stream = TcpStream::connect(node.address).await.expect("connected");
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await; // a reset is an end, too
        kv.put(put("a")).await.expect("written");
    }
    dial(&node, &authority, None).await.expect("nobody waits for the one that is silent");
    drop(silent);
    node.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = [Authority::new(), Authority::new()];
    let node = serving(folder.path(), files(folder.path(), &first.certify("node"), None)).await;
    let old = dial(&node, &first, None).await.expect("let in");
    assert!(dial(&node, &second, None).await.is_err());
    // Half of a change makes no sense: what was there holds on.
    let next = second.certify("node");
    write(folder.path(), "node.pem", &format!("{}\n", next.cert));
    assert!(dial(&node, &first, None).await.is_ok(), "the key does not fit yet");
    write(folder.path(), "node.key", &format!("{}\n", next.key));
    dial(&node, &second, None).await.expect("the new one counts");
    assert!(dial(&node, &first, None).await.is_err());
    KvClient::new(old).put(put("a")).await.expect("who is connected stays so");
    node.stop().await.expect("a good end");
}

#[tokio::test]
async fn what_cannot_be_served_is_said_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let (node, other) = (authority.certify("node"), authority.certify("other"));
    let good = files(folder.path(), &node, Some(&authority));
    let bind = async |tls: Option<Tls>, address: [u8; 4]| {
        let clients =
            Clients { address: (address, 0).into(), in_clear: InClear::Loopback, tls, ..Clients::loopback(0) };
        clients.bind().await
    };
    assert!(bind(Some(good.clone()), [0, 0, 0, 0]).await.expect("with TLS").url().starts_with("https://0.0.0.0:"));
    assert!(matches!(bind(None, [0, 0, 0, 0]).await, Err(MeshError::InClear { .. })));
    let missing = folder.path().join("missing");
    let empty = write(folder.path(), "empty", "");
    let foreign = write(folder.path(), "foreign", &other.key);
    for tls in [
        Tls { cert: missing.clone(), ..good.clone() },
        Tls { key: missing.clone(), ..good.clone() },
        Tls { client_ca: Some(missing), ..good.clone() },
        Tls { cert: empty.clone(), ..good.clone() },
        Tls { client_ca: Some(empty), ..good.clone() },
        Tls { key: foreign, ..good.clone() },
        Tls { cert: good.key.clone(), ..good.clone() },
    ] {
        let refused = bind(Some(tls.clone()), [127, 0, 0, 1]).await.expect_err("it makes no sense");
        assert!(matches!(refused, MeshError::Certificate { .. }), "{tls:?}: {refused}");
    }
}

/// Needs `etcdctl`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcdctl"]
async fn etcdctl_speaks_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let [servers, clients] = [Authority::new(), Authority::new()];
    let node = serving(folder.path(), files(folder.path(), &servers.certify("node"), Some(&clients))).await;
    let ca = write(folder.path(), "ca.pem", &servers.pem());
    for name in ["root", "u1"] {
        let Pair { cert, key } = clients.certify(name);
        write(folder.path(), &format!("{name}.pem"), &cert);
        write(folder.path(), &format!("{name}.key"), &key);
    }
    let endpoint = format!("https://localhost:{}", node.address.port());
    let run = |name: Option<&str>, args: &[&str]| {
        let mut command = std::process::Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &endpoint]).arg("--cacert").arg(&ca).args(args);
        if let Some(name) = name {
            command.arg("--cert").arg(folder.path().join(format!("{name}.pem")));
            command.arg("--key").arg(folder.path().join(format!("{name}.key")));
        }
        let output = command.output().expect("etcdctl: apt-get install etcd-client");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    };
    let root = Some("root");
    for (name, args, want) in [
        (root, &["put", "b", "1"][..], Ok("OK")),
        (root, &["user", "add", "root:r"], Ok("User root created")),
        (root, &["user", "add", "u1:p"], Ok("User u1 created")),
        (root, &["role", "add", "r1"], Ok("Role r1 created")),
        (root, &["role", "grant-permission", "r1", "readwrite", "a"], Ok("Role r1 updated")),
        (root, &["user", "grant-role", "u1", "r1"], Ok("Role r1 is granted")),
        (root, &["auth", "enable"], Ok("Authentication Enabled")),
        (root, &["get", "b"], Ok("b\n1\n")),
        (Some("u1"), &["put", "a", "1"], Ok("OK")),
        (Some("u1"), &["get", "b"], Err("etcdserver: permission denied")),
        (Some("u1"), &["get", "b", "--user", "root:r"], Ok("b\n1\n")),
        (Some("u1"), &["user", "list"], Err("etcdserver: permission denied")),
        (root, &["user", "list"], Ok("root\nu1\n")),
        (None, &["get", "a", "--command-timeout=2s"], Err("")),
        (root, &["auth", "disable"], Ok("Authentication Disabled")),
    ] {
        let (is_ok, text) = run(name, args);
        let wanted = want.unwrap_or_else(|error| error);
        assert_eq!((is_ok, text.contains(wanted)), (want.is_ok(), true), "{name:?} {args:?}: {text}");
    }
    node.stop().await.expect("a good end");
}
