//! Artefacts in a cluster of three: copied before they are registered, and to whoever needs them.

use crate::common::memory::{Member, peer, seat, until};
use crate::common::served::channel;
use mayfly_base::NodeId;
use mayfly_mesh::models::{self, Blobs, Manifest, ModelHost, SIGNED_AS};
use mayfly_mesh::proto::modelspb::models_client::ModelsClient;
use mayfly_mesh::proto::modelspb::{DownloadRequest, RegisterRequest, Signed, Stage, StageRequest, UploadRequest};
use mayfly_mesh::{Arrival, Clients, ConsensusConfig, Engine, Store, Surroundings, modules, serve};
use mayfly_wire::{Identity, MemoryNet};
use std::path::Path;
use std::sync::Arc;
use tonic::Code;
use tonic::transport::Channel;

/// A member that keeps models.
struct Served {
    member: Member,
    models: ModelsClient<Channel>,
    blobs: Blobs,
}

async fn start(net: &MemoryNet, folder: &Path, place: u8, trusted: NodeId) -> Served {
    let endpoint = net.endpoint(peer(place).id, peer(place).addr);
    let store = match place {
        1 => Store::open(folder, modules()),
        _ => {
            let owner = Member::join(&endpoint, &[peer(1)], &seat(place), Arrival::First).await;
            Store::join(folder, owner.expect("let in").expect("somebody leads"), modules())
        }
    };
    let config = ConsensusConfig::default();
    let member = Member::start(store.expect("a store"), endpoint, seat(place), config, Surroundings::default());
    let member = member.await.expect("started");
    let blobs = Blobs::open(&folder.join("models")).expect("a folder");
    let host = ModelHost { blobs: blobs.clone(), trusts: Arc::new(move |id| *id == trusted) };
    let clients = Clients::loopback(0).bind().await.expect("a port").with_models(host);
    let address = clients.address();
    drop(tokio::spawn(serve(member.clone(), clients, std::future::pending())));
    let models = ModelsClient::new(channel(address).await).max_decoding_message_size(8 << 20);
    Served { member, models, blobs }
}

/// Registers bytes as a version, with the member that is asked.
async fn push(served: &mut Served, signer: &Identity, version: u64, bytes: &[u8]) -> Result<(), tonic::Status> {
    let (digest, size) = (models::digest(bytes).to_vec(), bytes.len() as u64);
    let parts: Vec<UploadRequest> = bytes
        .chunks(models::CHUNK)
        .enumerate()
        .map(|(i, part)| {
            let offset = (i * models::CHUNK) as u64;
            UploadRequest { digest: digest.clone(), size, offset, bytes: part.to_vec() }
        })
        .collect();
    served.models.upload(futures_util::stream::iter(parts)).await?;
    let manifest = Manifest::new("pumps", version, bytes, signer.id().to_string(), 0).write();
    let signature = signer.sign(SIGNED_AS, &manifest).expect("signed");
    let signed = Signed { manifest, signature, public_key: signer.public_key().bytes().to_vec() };
    served.models.register(RegisterRequest { signed: Some(signed), asked: None }).await.map(drop)
}

fn has(served: &Served, bytes: &[u8]) -> bool {
    served.blobs.len(models::digest(bytes).into()).expect("looked") == Some(bytes.len() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn artefacts_are_where_they_are_needed() {
    let net = MemoryNet::new(1);
    let folders = [(); 4].map(|()| tempfile::tempdir().expect("a folder"));
    let signer = Identity::generate().expect("a key");
    let a = start(&net, folders[0].path(), 1, signer.id()).await;
    until("the founder leads", || a.member.leader() == Some(1)).await;
    let b = start(&net, folders[1].path(), 2, signer.id()).await;
    let c = start(&net, folders[2].path(), 3, signer.id()).await;
    let mut all = [a, b, c];
    let voters = |served: &Served| served.member.members().iter().filter(|member| member.is_voter).count();
    until("all have votes", || all.iter().all(|served| voters(served) == 3)).await;

    // What is registered is on two members when that is answered; longer than one piece.
    let long: Vec<u8> = (0..2_500_000_u32).map(|i| (i % 251) as u8).collect();
    push(&mut all[1], &signer, 1, &long).await.expect("registered");
    assert!(all.iter().filter(|served| has(served, &long)).count() >= 2, "acknowledged with one copy");
    // Whoever is asked for it gets it from the others.
    for served in &mut all {
        let request = DownloadRequest { digest: models::digest(&long).to_vec(), offset: 0 };
        let mut parts = served.models.download(request).await.expect("found").into_inner();
        let mut bytes = Vec::new();
        while let Some(part) = parts.message().await.expect("sent") {
            bytes.extend(part.bytes);
        }
        assert!(bytes == long);
    }
    // What is live, all have; also one that comes later.
    push(&mut all[0], &signer, 2, b"a short one").await.expect("registered");
    let live = StageRequest { name: "pumps".into(), version: 2, to: Stage::Live.into(), ..StageRequest::default() };
    all[2].models.set_stage(live).await.expect("live");
    until("all have what is live", || all.iter().all(|served| has(served, b"a short one"))).await;
    let late = start(&net, folders[3].path(), 4, signer.id()).await;
    until("who comes late has it", || has(&late, b"a short one")).await;

    // Cut off from all others, there is nobody for a copy and no majority: not registered.
    for other in [2, 3, 4] {
        net.cut(peer(1).id, peer(other).id);
    }
    let refused = push(&mut all[0], &signer, 3, b"alone").await.expect_err("one copy is none");
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    for served in all.iter().chain([&late]) {
        served.member.close().await;
    }
}
