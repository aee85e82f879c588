//! The way to a node.

use super::advice::{self, cause, is_passing};
use super::login::{Bearer, Login};
use super::target::Target;
use super::tls::Tls;
use anyhow::{Result, anyhow};
use mayfly_mesh::proto::etcdserverpb::auth_client::AuthClient;
use mayfly_mesh::proto::etcdserverpb::cluster_client::ClusterClient;
use mayfly_mesh::proto::etcdserverpb::kv_client::KvClient;
use mayfly_mesh::proto::etcdserverpb::lease_client::LeaseClient;
use mayfly_mesh::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use mayfly_mesh::proto::etcdserverpb::watch_client::WatchClient;
use mayfly_mesh::proto::etcdserverpb::{StatusRequest, StatusResponse};
use mayfly_mesh::proto::modelspb::models_client::ModelsClient;
use mayfly_mesh::proto::v3electionpb::election_client::ElectionClient;
use mayfly_mesh::proto::v3lockpb::lock_client::LockClient;
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// A channel that shows who asks.
type Named = InterceptedService<Channel, Bearer>;

/// The longest answer that is taken.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// How often an idle connection is tried, and how long it may be silent then. etcd allows no less than 5 s.
const ALIVE: Duration = Duration::from_secs(10);
const SILENT: Duration = Duration::from_secs(5);
/// Between attempts to find a node again.
const PAUSE: Duration = Duration::from_millis(500);

/// A node to which there is a connection.
pub struct Reached {
    pub address: String,
    channel: Named,
    limit: Duration,
}

impl Reached {
    pub fn kv(&self) -> KvClient<Named> {
        KvClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn watch(&self) -> WatchClient<Named> {
        WatchClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn leases(&self) -> LeaseClient<Named> {
        LeaseClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn locks(&self) -> LockClient<Named> {
        LockClient::new(self.channel.clone())
    }

    pub fn elections(&self) -> ElectionClient<Named> {
        ElectionClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn models(&self) -> ModelsClient<Named> {
        ModelsClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn cluster(&self) -> ClusterClient<Named> {
        ClusterClient::new(self.channel.clone())
    }

    pub fn maintenance(&self) -> MaintenanceClient<Named> {
        MaintenanceClient::new(self.channel.clone())
    }

    pub fn auth(&self) -> AuthClient<Named> {
        AuthClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// The answer to one question, or what to do about there being none.
    pub async fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T> {
        let answer = self.within(call).await.map_err(|status| self.failed(&status))?;
        Ok(answer.into_inner())
    }

    /// The same where the answer waits for bytes on their way between nodes, however long that takes; a node that is gone ends the connection.
    pub async fn ask_at_length<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T> {
        Ok(call.await.map_err(|status| self.failed(&status))?.into_inner())
    }

    /// What comes of a call in the time that --timeout gives it.
    pub async fn within<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        within(self.limit, call).await
    }

    /// Where the node stands.
    pub async fn standing(&self) -> Result<StatusResponse, Status> {
        let mut maintenance = self.maintenance();
        Ok(self.within(maintenance.status(StatusRequest {})).await?.into_inner())
    }

    pub fn failed(&self, status: &Status) -> anyhow::Error {
        advice::failed(&self.address, status)
    }
}

/// How nodes are reached: over what, for how long, and as whom.
pub struct Way {
    limit: Duration,
    tls: Option<Tls>,
    login: Option<Login>,
}

impl Way {
    /// What a command line says. A password is asked for here, and once.
    pub fn new(target: &Target) -> Result<Self> {
        let login = target.login.as_deref().map(Login::new).transpose()?;
        Ok(Self { limit: target.limit(), tls: Tls::new(target)?, login })
    }

    /// Connects to one address and says who asks, or says why not.
    pub async fn reach(&self, address: &str) -> Result<Reached, String> {
        let channel = self.dial(address).await?;
        self.log_in(address, channel).await.map_err(|status| advice::said(&status))
    }

    async fn dial(&self, address: &str) -> Result<Channel, String> {
        let url = url(address, self.tls.is_some())?;
        let mut endpoint = Endpoint::from_shared(url).map_err(|e| cause(&e))?;
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.config()).map_err(|e| cause(&e))?;
        }
        let endpoint = endpoint.http2_keep_alive_interval(ALIVE).keep_alive_timeout(SILENT).keep_alive_while_idle(true);
        match tokio::time::timeout(self.limit, endpoint.connect()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(cause(&error)),
            Err(_) => Err(late(self.limit)),
        }
    }

    async fn log_in(&self, address: &str, channel: Channel) -> Result<Reached, Status> {
        let bearer = match &self.login {
            Some(login) => within(self.limit, login.bearer(AuthClient::new(channel.clone()))).await?,
            None => Bearer::default(),
        };
        let channel = InterceptedService::new(channel, bearer);
        Ok(Reached { address: address.into(), channel, limit: self.limit })
    }

    /// The first that answers and knows a leader; if none knows one, the first that answers.
    async fn first(&self, addresses: &[&str]) -> Result<Reached, Missed> {
        let (mut tried, mut leaderless) = (Vec::new(), None);
        for address in addresses {
            let reached = match self.dial(address).await {
                Ok(channel) => self.log_in(address, channel).await,
                Err(reason) => {
                    tried.push(format!("{address} ({reason})"));
                    continue;
                }
            };
            let standing = match &reached {
                Ok(_) if addresses.len() == 1 => None,
                Ok(reached) => Some(reached.standing().await),
                Err(_) => None,
            };
            match (reached, standing) {
                (Err(status), _) if addresses.len() > 1 && is_passing(&status) => {
                    tried.push(format!("{address} ({})", advice::said(&status)));
                }
                (Err(status), _) => return Err(Missed::Refused(advice::failed(address, &status))),
                (Ok(reached), Some(Ok(standing))) if standing.leader == 0 => {
                    leaderless = leaderless.or(Some(reached));
                }
                (Ok(_), Some(Err(status))) if is_passing(&status) => {
                    tried.push(format!("{address} ({})", advice::said(&status)));
                }
                // Also one that answers, though not this question.
                (Ok(reached), _) => return Ok(reached),
            }
        }
        leaderless.ok_or(Missed::Nobody(tried))
    }
}

/// Why no node was reached.
enum Missed {
    Nobody(Vec<String>),
    /// There is one, and it does not take the password.
    Refused(anyhow::Error),
}

impl From<Missed> for anyhow::Error {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Nobody(tried) => nobody(&tried),
            Missed::Refused(error) => error,
        }
    }
}

/// The first of the endpoints that answers.
pub async fn connect(target: &Target) -> Result<Reached> {
    let addresses: Vec<&str> = target.endpoints.iter().map(String::as_str).collect();
    Ok(Way::new(target)?.first(&addresses).await?)
}

/// The same, and the way there, for those who may have to go on elsewhere.
pub async fn connect_by(way: &Way, target: &Target) -> Result<Reached> {
    let addresses: Vec<&str> = target.endpoints.iter().map(String::as_str).collect();
    Ok(way.first(&addresses).await?)
}

/// A node after one was lost: another one if there is another. It is looked for until it is found, or one does not take the password any more.
pub async fn again(way: &Way, target: &Target, lost: &str) -> Result<Reached> {
    let all = target.endpoints.iter().map(String::as_str);
    let (same, mut addresses): (Vec<&str>, Vec<&str>) = all.partition(|address| *address == lost);
    addresses.extend(same);
    loop {
        tokio::time::sleep(PAUSE).await;
        match way.first(&addresses).await {
            Ok(reached) => return Ok(reached),
            Err(Missed::Refused(error)) => return Err(error),
            Err(Missed::Nobody(_)) => {}
        }
    }
}

pub fn nobody(tried: &[String]) -> anyhow::Error {
    let at = tried.join(", ");
    anyhow!("no node answers at {at}: is a node running there? `mayfly node --mesh` starts one")
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let done = tokio::time::timeout(limit, call).await;
    done.unwrap_or_else(|_| Err(Status::deadline_exceeded(late(limit))))
}

fn late(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs())
}

/// Of HOST:PORT, or of a URL as members tell it.
fn url(address: &str, is_tls: bool) -> Result<String, String> {
    let scheme = if is_tls { "https" } else { "http" };
    let host = match address.split_once("://") {
        None => address,
        Some(("https", _)) if !is_tls => {
            return Err(
                "it is asked over TLS: --cacert has the certificates with which those of nodes are signed".into()
            );
        }
        Some(("http", _)) if is_tls => return Err("it is asked in clear, without --cacert".into()),
        Some(("http" | "https", host)) => host,
        Some(_) => return Err("this is not HOST:PORT".into()),
    };
    let host = host.trim_end_matches('/');
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => Ok(format!("{scheme}://{host}")),
        _ => Err("this is not HOST:PORT".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_urls() {
        assert_eq!(url("localhost:2379", false).unwrap(), "http://localhost:2379");
        assert_eq!(url("http://10.0.0.1:2379/", false).unwrap(), "http://10.0.0.1:2379");
        assert_eq!(url("[::1]:2379", true).unwrap(), "https://[::1]:2379");
        assert_eq!(url("https://[::1]:2379", true).unwrap(), "https://[::1]:2379");
        for wrong in ["", "localhost", ":2379", "localhost:", "localhost:70000", "https://localhost:2379", "x://h:1"] {
            assert!(url(wrong, false).is_err(), "{wrong:?}");
        }
        assert!(url("http://localhost:2379", true).is_err());
    }

    #[tokio::test]
    async fn all_that_was_tried_is_named() {
        let target = Target {
            endpoints: vec!["nowhere".into(), "https://b:1".into()],
            timeout_s: 1,
            login: None,
            cacert: None,
            own_cert: None,
            own_key: None,
        };
        let error = connect(&target).await.map(|reached| reached.address).unwrap_err().to_string();
        for part in ["nowhere (this is not HOST:PORT)", "https://b:1 (", "mayfly node --mesh"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
