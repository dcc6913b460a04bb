//! Which way a new block of 500 bytes reaches a peer fastest: pushed on the session's stream, or by gossip.
//!
//! `cargo run --release -p p2pdb-node --example push_or_gossip`. Two swarms in one process on loopback, over TCP and over
//! QUIC. Sync pushes to all members while they are few because of what this shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use p2pdb_model::NodeId;
use p2pdb_node::net::{Access, Lane, NetConfig, NetEvent, NetEvents, NetHandle, Verdict, start};

const ROUNDS: usize = 500;
const BLOCK_BYTES: usize = 500;

fn begin(
    seed: u8,
    listen: &str,
    bootstrap: Vec<libp2p::Multiaddr>,
) -> anyhow::Result<(NetHandle, NetEvents)> {
    let config = NetConfig {
        node_key: [seed; 32],
        listen: vec![listen.parse()?],
        bootstrap,
        realm: "measure".to_owned(),
        mdns: false,
        private_addresses: true,
        network_key: None,
    };
    Ok(start(config, Arc::new(|_: &NodeId| Access::Member))?)
}

async fn until<T>(events: &mut NetEvents, mut f: impl FnMut(NetEvent) -> Option<T>) -> anyhow::Result<T> {
    loop {
        let event = events.recv().await.context("the swarm has stopped")?;
        if let Some(found) = f(event) {
            return Ok(found);
        }
    }
}

async fn measure(listen: &str) -> anyhow::Result<()> {
    let (a, mut a_events) = begin(1, listen, Vec::new())?;
    let address = until(&mut a_events, |e| match e {
        NetEvent::Listening { address } => Some(address),
        _ => None,
    })
    .await?;
    let (b, mut b_events) = begin(2, listen, vec![address])?;
    until(&mut b_events, |e| matches!(e, NetEvent::Connected { .. }).then_some(())).await?;
    until(&mut a_events, |e| matches!(e, NetEvent::Connected { .. }).then_some(())).await?;
    // Gossip's mesh takes a moment to form.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (name, gossip) in [("pushed", false), ("gossip", true)] {
        let mut times = Vec::with_capacity(ROUNDS);
        for n in 0..ROUNDS {
            let mut message = vec![0; BLOCK_BYTES];
            message[..8].copy_from_slice(&n.to_be_bytes());
            let begun = Instant::now();
            match gossip {
                true => a.publish(message).await?,
                false => {
                    if let Err(e) = a.try_send(&b.local(), Lane::Control, message) {
                        bail!("cannot push: {e}");
                    }
                }
            }
            let received = until(&mut b_events, |e| match e {
                NetEvent::Gossip { node, id, .. } => Some(Some((node, id))),
                NetEvent::Frame { .. } => Some(None),
                _ => None,
            });
            let received = received.await?;
            times.push(begun.elapsed());
            if let Some((node, id)) = received {
                b.gossip_verdict(id, node, Verdict::Accept).await?;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.sort_unstable();
        println!("{listen:30} {name}: p50 {:?}, p99 {:?}", times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
    }
    a.shutdown().await;
    b.shutdown().await;
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        for listen in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
            measure(listen).await?;
        }
        Ok(())
    })
}
