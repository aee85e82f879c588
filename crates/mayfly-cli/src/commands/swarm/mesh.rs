//! `mayfly node --mesh`: the node as a member of the mesh.

use super::args::MeshRole;
use anyhow::{Context, Result, bail};
use mayfly_mesh::models::{self, Blobs, ModelHost};
use mayfly_mesh::{
    Arrival, Bound, Clients, Consensus, ConsensusConfig, MeshError, Owner, Profile, Seat, Store, Surroundings,
    UpkeepConfig, modules, serve_with,
};
use mayfly_wire::{Endpoint, Identity, Lane, Peer, Transport, TrustStore};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where a node keeps what it knows as a member.
pub const FOLDER: &str = "mesh";
/// Between two tries to be let in, and how many of them are made in silence.
const AGAIN: Duration = Duration::from_secs(1);
const SILENT: u32 = 3;
/// How long a node that founds a mesh looks for others who may have one.
const MEETING: Duration = Duration::from_secs(3);
/// How long another one is looked for who leads in place of a member that ends.
const HANDING_OVER: Duration = Duration::from_secs(2);

type Mesh = Consensus<Lane<Endpoint>>;

fn is_member(folder: &Path) -> bool {
    folder.join("member.json").exists()
}

/// Does a node that is no member begin a mesh?
fn founds(role: MeshRole, others: &impl Others) -> bool {
    role == MeshRole::Found || (role == MeshRole::Join && others.is_alone())
}

/// Says so when a member stays out of the mesh: the others count on its vote.
pub fn warn_if_member(data: &Path) {
    if is_member(&data.join(FOLDER)) {
        tracing::warn!(
            "this node is a member of the mesh and does not take part: add --mesh, or take it out with `mayfly mesh member remove`"
        );
    }
}

/// What was asked for, looked at before anything is written.
pub struct Wanted {
    role: MeshRole,
    folder: PathBuf,
    clients: Bound,
    upkeep: UpkeepConfig,
    profile: Profile,
}

impl Wanted {
    /// Opens the address for clients.
    pub async fn new(
        role: MeshRole,
        data: &Path,
        clients: Clients,
        upkeep: UpkeepConfig,
        profile: Profile,
    ) -> Result<Self> {
        let clients = clients.bind().await.map_err(|error| match error {
            MeshError::InClear { address } => anyhow::anyhow!(
                "--clients {address}: other machines reach it, and would be served in clear: --client-cert and --client-key serve TLS, --insecure-clients allows it"
            ),
            error @ MeshError::Certificate { .. } => {
                anyhow::Error::from(error).context("--client-cert, --client-key and --client-ca name files in PEM")
            }
            error => anyhow::Error::from(error).context("--clients ADDR chooses another address"),
        })?;
        let folder = data.join(FOLDER);
        if role == MeshRole::Anew && is_member(&folder) {
            bail!(
                "{} has the state of a member: start with --mesh to go on with it, or remove that folder first",
                folder.display()
            );
        }
        Ok(Self { role, folder, clients, upkeep, profile })
    }

    /// Where clients will be served.
    pub fn clients(&self) -> SocketAddr {
        self.clients.address()
    }

    /// Becomes true when they are; `None` when that is for the other nodes to say, who have to let this one in first.
    pub fn opened(&self, others: &impl Others) -> Option<watch::Receiver<bool>> {
        (is_member(&self.folder) || founds(self.role, others)).then(|| self.clients.opened())
    }
}

/// Who else is in the swarm.
pub trait Others: Send + Sync {
    /// Those who can be asked.
    fn peers(&self) -> Vec<Peer>;
    /// Is nobody else in the swarm's trust list?
    fn is_alone(&self) -> bool;
    /// Whose signatures count.
    fn trust(&self) -> Arc<TrustStore>;
    /// Who this node is: it signs backups.
    fn identity(&self) -> Identity;
}

/// Takes part until `shutdown`.
pub async fn take_part(
    wanted: Wanted,
    lane: Lane<Endpoint>,
    advertise: Option<SocketAddr>,
    others: impl Others,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let Wanted { role, folder, clients, upkeep, profile } = wanted;
    let trust = others.trust();
    let peer = Peer { id: lane.id(), addr: advertise.unwrap_or_else(|| lane.addr()) };
    // Where clients are served on every address of this machine, others find them where they find its links.
    let mut address = clients.address();
    if address.ip().is_unspecified() {
        address.set_ip(peer.addr.ip());
    }
    let seat = Seat {
        peer: Some(peer),
        name: peer.id.short().to_string(),
        clients: vec![clients.url_at(address)],
        wants_vote: role != MeshRole::Learner,
    };
    let mut shutdown = std::pin::pin!(shutdown);
    let store = tokio::select! {
        store = store(role, &folder, &lane, &seat, &others) => store?,
        () = &mut shutdown => return Ok(()),
    };
    let Owner { cluster, member } = store.owner();
    let mesh = Mesh::start(store, lane, seat, ConsensusConfig::of(profile), Surroundings::default()).await?;
    tracing::info!(
        member = format!("{member:x}"),
        cluster = format!("{cluster:016x}"),
        clients = %clients.address(),
        "takes part in the mesh"
    );
    let blobs = Blobs::open(&folder.join(models::FOLDER)).context("the folder of models")?;
    let trusts = trust.clone();
    let models = ModelHost { blobs, trusts: Arc::new(move |id| trusts.member(*id).is_ok()) };
    let clients = clients.with_models(models).signing_as(others.identity()).sharing_trust(trust);
    let served = serve_with(mesh.clone(), clients, upkeep, async {
        shutdown.await;
        mesh.step_down(HANDING_OVER).await;
    })
    .await;
    mesh.close().await;
    served.context("the mesh")
}

/// The state that is there, that of a new mesh, or one to be filled by those who let this node in.
async fn store(
    role: MeshRole,
    folder: &Path,
    lane: &Lane<Endpoint>,
    seat: &Seat,
    others: &impl Others,
) -> Result<Store> {
    let is_member = is_member(folder);
    if is_member && role == MeshRole::Found {
        tracing::warn!("--mesh=found has no effect: this node is a member of a mesh already");
    }
    if !is_member && role == MeshRole::Found {
        check_first(lane, others).await?;
    }
    if is_member || founds(role, others) {
        let folder = folder.to_path_buf();
        let store = tokio::task::spawn_blocking(move || Store::open(&folder, modules())).await??;
        if !is_member {
            tracing::info!("founded a mesh");
        }
        return Ok(store);
    }
    let arrival = if role == MeshRole::Anew { Arrival::Anew } else { Arrival::First };
    let mut tries = 0;
    let owner = loop {
        if let Some(owner) = Mesh::join(lane, &others.peers(), seat, arrival).await.map_err(told)? {
            break owner;
        }
        tries += 1;
        if tries % SILENT == 0 {
            tracing::info!(
                "waits for a member of a mesh to let this node in: is one running with --mesh, and reached? (the first begins one with --mesh=found)"
            );
        }
        tokio::time::sleep(AGAIN).await;
    };
    let folder = folder.to_path_buf();
    Ok(tokio::task::spawn_blocking(move || Store::join(&folder, owner, modules())).await??)
}

/// A swarm has one mesh: whoever knows of one says so to a question that nobody is let in by.
async fn check_first(lane: &Lane<Endpoint>, others: &impl Others) -> Result<()> {
    let until = tokio::time::Instant::now() + MEETING;
    while !others.is_alone() && others.peers().is_empty() && tokio::time::Instant::now() < until {
        tokio::time::sleep(AGAIN / 10).await;
    }
    let nobody = Seat { name: "is there a mesh?".into(), ..Seat::default() };
    match Mesh::join(lane, &others.peers(), &nobody, Arrival::First).await {
        Err(mayfly_mesh::MeshError::NotAdmitted { .. }) => {
            bail!("--mesh=found: another node of this swarm takes part in a mesh already: --mesh joins it")
        }
        _ => Ok(()),
    }
}

/// In the words of the command line.
fn told(error: mayfly_mesh::MeshError) -> anyhow::Error {
    let is_known = error.to_string().contains("started before");
    let error = anyhow::Error::from(error);
    if is_known { error.context("its state is lost? --mesh=anew joins as a new member") } else { error }
}
