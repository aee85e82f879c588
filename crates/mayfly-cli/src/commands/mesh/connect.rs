//! The way to a node.

use super::advice::{self, cause, is_passing};
use super::target::Target;
use anyhow::{Result, anyhow};
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
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

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
    channel: Channel,
    limit: Duration,
}

impl Reached {
    pub fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn leases(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn locks(&self) -> LockClient<Channel> {
        LockClient::new(self.channel.clone())
    }

    pub fn elections(&self) -> ElectionClient<Channel> {
        ElectionClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn models(&self) -> ModelsClient<Channel> {
        ModelsClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone())
    }

    pub fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone())
    }

    /// The answer to one question, or what to do about there being none.
    pub async fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T> {
        let answer = self.within(call).await.map_err(|status| self.failed(&status))?;
        Ok(answer.into_inner())
    }

    /// What comes of a call in the time that --timeout gives it.
    pub async fn within<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(result) => result,
            Err(_) => Err(Status::deadline_exceeded(late(self.limit))),
        }
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

/// The first of the endpoints that answers.
pub async fn connect(target: &Target) -> Result<Reached> {
    let addresses: Vec<&str> = target.endpoints.iter().map(String::as_str).collect();
    first(&addresses, target.limit()).await
}

/// A node after one was lost: another one if there is another. It is looked for until it is found.
pub async fn again(target: &Target, lost: &str) -> Reached {
    let all = target.endpoints.iter().map(String::as_str);
    let (same, mut addresses): (Vec<&str>, Vec<&str>) = all.partition(|address| *address == lost);
    addresses.extend(same);
    loop {
        tokio::time::sleep(PAUSE).await;
        if let Ok(reached) = first(&addresses, target.limit()).await {
            return reached;
        }
    }
}

/// Connects to one address, or says why not.
pub async fn reach(address: &str, limit: Duration) -> Result<Reached, String> {
    let endpoint = Endpoint::from_shared(url(address)?).map_err(|e| cause(&e))?;
    let endpoint = endpoint.http2_keep_alive_interval(ALIVE).keep_alive_timeout(SILENT).keep_alive_while_idle(true);
    match tokio::time::timeout(limit, endpoint.connect()).await {
        Ok(Ok(channel)) => Ok(Reached { address: address.into(), channel, limit }),
        Ok(Err(error)) => Err(cause(&error)),
        Err(_) => Err(late(limit)),
    }
}

/// The first that answers and knows a leader; if none knows one, the first that answers.
async fn first(addresses: &[&str], limit: Duration) -> Result<Reached> {
    let (mut tried, mut leaderless) = (Vec::new(), None);
    for address in addresses {
        let reached = match reach(address, limit).await {
            Ok(reached) if addresses.len() == 1 => return Ok(reached),
            Ok(reached) => reached,
            Err(reason) => {
                tried.push(format!("{address} ({reason})"));
                continue;
            }
        };
        match reached.standing().await {
            Ok(standing) if standing.leader == 0 => leaderless = leaderless.or(Some(reached)),
            Err(status) if is_passing(&status) => tried.push(format!("{address} ({})", advice::said(&status))),
            // Also one that answers, though not this question.
            _ => return Ok(reached),
        }
    }
    leaderless.ok_or_else(|| nobody(&tried))
}

pub fn nobody(tried: &[String]) -> anyhow::Error {
    let at = tried.join(", ");
    anyhow!("no node answers at {at}: is a node running there? `mayfly node --mesh` starts one")
}

fn late(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs())
}

/// Of HOST:PORT, or of a URL as members tell it.
fn url(address: &str) -> Result<String, String> {
    if address.starts_with("https://") {
        return Err("`mayfly mesh` does not speak TLS: reach the node from its own machine, or through a tunnel".into());
    }
    let host = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => Ok(format!("http://{host}")),
        _ => Err("this is not HOST:PORT".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_urls() {
        assert_eq!(url("localhost:2379").unwrap(), "http://localhost:2379");
        assert_eq!(url("http://10.0.0.1:2379/").unwrap(), "http://10.0.0.1:2379");
        assert_eq!(url("[::1]:2379").unwrap(), "http://[::1]:2379");
        for wrong in ["", "localhost", ":2379", "localhost:", "localhost:70000", "https://localhost:2379"] {
            assert!(url(wrong).is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn all_that_was_tried_is_named() {
        let target = Target { endpoints: vec!["nowhere".into(), "https://b:1".into()], timeout_s: 1 };
        let error = connect(&target).await.map(|reached| reached.address).unwrap_err().to_string();
        for part in ["nowhere (this is not HOST:PORT)", "https://b:1 (", "mayfly node --mesh"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
