//! Prometheus text over HTTP.

use super::Node;
use anyhow::{Context, Result};
use mayfly_swarm::membership::MemberState;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves until the process ends.
pub async fn serve(runtime: Node, addr: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind(addr).await.with_context(|| format!("cannot serve metrics on {addr}"))?;
    let bound = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let runtime = runtime.clone();
            tokio::spawn(tokio::time::timeout(Duration::from_secs(5), answer(runtime, stream)));
        }
    });
    Ok(bound)
}

/// One request, one answer. Whatever is asked below /metrics gets the metrics; the rest does not exist.
async fn answer(runtime: Node, mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 2048];
    let mut len = 0;
    while len < request.len() && !request[..len].windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut request[len..]).await? {
            0 => break,
            n => len += n,
        }
    }
    let is_metrics = request[..len].starts_with(b"GET /metrics");
    let (status, body) =
        if is_metrics { ("200 OK", text(&runtime)) } else { ("404 Not Found", "see /metrics\n".into()) };
    let head = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nConnection: close";
    let answer = format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

fn text(runtime: &Node) -> String {
    let (status, traffic) = (runtime.status(), runtime.traffic());
    let alive = status.members.iter().filter(|member| member.state == MemberState::Alive).count();
    let mut out = String::new();
    let mut one = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = write!(out, "# HELP mayfly_{name} {help}\n# TYPE mayfly_{name} {kind}\nmayfly_{name} {value}\n");
    };
    one("members_alive", "gauge", "Other members who are alive.", alive as u64);
    one("members_known", "gauge", "Other members, alive or not.", status.members.len() as u64);
    one("neighbours", "gauge", "Members this node talks to.", status.neighbours.len() as u64);
    one("memory_keys", "gauge", "Keys with a value.", status.keys as u64);
    one("memory_tombstones", "gauge", "Deleted keys not collected yet.", status.tombstones as u64);
    one("memory_bytes", "gauge", "Bytes of keys and values.", status.memory_bytes);
    one("messages_total", "counter", "Messages about the memory sent.", traffic.messages);
    one("message_bytes_total", "counter", "Their bytes before compression.", traffic.message_bytes);
    one("datagrams_total", "counter", "Membership packets sent.", traffic.datagrams);
    one("datagram_bytes_total", "counter", "Their bytes.", traffic.datagram_bytes);
    one("refused_total", "counter", "Incoming messages that could not be read.", traffic.refused);
    one("uptime_milliseconds", "counter", "Since the node started.", status.up_ms);
    links(runtime, &mut out);
    out
}

fn links(runtime: &Node, out: &mut String) {
    let links = runtime.links();
    let mut many = |name: &str, kind: &str, help: &str, value: &dyn Fn(&mayfly_wire::LinkStats) -> f64| {
        let _ = write!(out, "# HELP mayfly_{name} {help}\n# TYPE mayfly_{name} {kind}\n");
        for link in &links {
            let _ = writeln!(out, "mayfly_{name}{{peer=\"{}\"}} {}", link.peer.id, value(link));
        }
    };
    many("link_rtt_seconds", "gauge", "Smoothed round-trip time.", &|link| link.rtt_ms / 1e3);
    many("link_sent_bytes_total", "counter", "UDP payload sent.", &|link| link.sent_bytes as f64);
    many("link_received_bytes_total", "counter", "UDP payload received.", &|link| link.received_bytes as f64);
    many("link_lost_packets_total", "counter", "Packets lost on the way out.", &|link| link.lost_packets as f64);
}
