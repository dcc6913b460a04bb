//! The composed libp2p behaviour and its settings: every number that is not libp2p's default stands here.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::Transport as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::pnet::{PnetConfig, PreSharedKey};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, StreamProtocol, Swarm, SwarmBuilder};
use libp2p::{dns, gossipsub, identify, kad, mdns, noise, ping, quic, tcp, yamux};
use sha2::{Digest, Sha256};

use super::members::Members;
use super::streams::{self, Classes};
use super::{CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX, GOSSIP_MESSAGE_BYTES_MAX, Gate, NetConfig, NetError};

/// A connection without streams (a stranger that asks for nothing) lives this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes in progress, each way.
const PENDING_MAX: u32 = 64;
/// Bytes of an RPC around a gossip message.
const GOSSIP_RPC_OVERHEAD_BYTES: usize = 4096;
/// How long a gossip message is remembered as seen.
const GOSSIP_SEEN_TIME: Duration = Duration::from_secs(120);

/// Behaviours in the order in which they see events; `streams` decides who a peer is and must come first.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) streams: streams::Behaviour,
    pub(super) blocked: allow_block_list::Behaviour<BlockedPeers>,
    limits: connection_limits::Behaviour,
    pub(super) identify: identify::Behaviour,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) members: Members<Inner>,
}

/// What only members take part in.
#[derive(NetworkBehaviour)]
pub(super) struct Inner {
    pub(super) gossipsub: gossipsub::Behaviour,
    pub(super) kad: kad::Behaviour<MemoryStore>,
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn transport_error(e: impl Into<AnyError>) -> NetError {
    NetError::Transport(e.into())
}

/// A swarm that listens nowhere yet.
pub(super) fn swarm(
    key: Keypair,
    config: &NetConfig,
    gate: Arc<dyn Gate>,
) -> Result<Swarm<Behaviour>, NetError> {
    let local = key.public().to_peer_id();
    let behaviour = Behaviour::new(&key, local, config, gate)?;
    let transport = transport(&key, config.network_key)?;
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_other_transport(move |_| transport)
        .map_err(transport_error)?
        .with_behaviour(move |_| behaviour)
        .map_err(transport_error)?
        .with_swarm_config(|c| c.with_idle_connection_timeout(IDLE_TIMEOUT));
    Ok(swarm.build())
}

/// TCP with Noise and Yamux, and QUIC. With a network key TCP alone, every byte of it under that key (libp2p's private
/// networks, spec `pnet/Private-Networks-PSK-V1.md`): who has it not cannot even begin to speak.
fn transport(
    key: &Keypair,
    network_key: Option<[u8; 32]>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetError> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let noise = noise::Config::new(key).map_err(transport_error)?;
    let transport = match network_key.map(PreSharedKey::new) {
        Some(shared) => tcp
            .and_then(move |socket, _| PnetConfig::new(shared).handshake(socket))
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
            .multiplex(yamux::Config::default())
            .boxed(),
        None => {
            let tcp = tcp.upgrade(Version::V1Lazy).authenticate(noise).multiplex(yamux::Config::default());
            let quic = quic::tokio::Transport::new(quic::Config::new(key))
                .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
            quic.or_transport(tcp.boxed()).map(|either, _| either.into_inner()).boxed()
        }
    };
    // libp2p's resolver does not start without a readable resolv.conf; a node with numeric addresses needs none.
    match dns::tokio::Transport::system(()) {
        Ok(_) => Ok(dns::tokio::Transport::system(transport).map_err(transport_error)?.boxed()),
        Err(error) => {
            tracing::warn!(%error, "no system resolver: peer addresses with host names cannot be dialled");
            Ok(transport)
        }
    }
}

impl Behaviour {
    fn new(key: &Keypair, local: PeerId, config: &NetConfig, gate: Arc<dyn Gate>) -> Result<Self, NetError> {
        let classes = Classes::default();
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(PENDING_MAX))
            .with_max_pending_outgoing(Some(PENDING_MAX))
            .with_max_established(Some(CONNECTIONS_MAX))
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
        let identify = identify::Config::new("/p2pdb/1".to_owned(), key.public())
            .with_agent_version(concat!("p2pdb-node/", env!("CARGO_PKG_VERSION")).to_owned());
        let mdns = match config.mdns {
            true => {
                Some(mdns::tokio::Behaviour::new(mdns::Config::default(), local).map_err(transport_error)?)
            }
            false => None,
        };
        let inner = Inner { gossipsub: gossipsub(&config.realm)?, kad: kademlia(local, &config.realm)? };
        Ok(Self {
            streams: streams::Behaviour::new(gate, classes.clone()),
            blocked: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(limits),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(
                ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT),
            ),
            mdns: mdns.into(),
            members: Members::new(inner, classes),
        })
    }
}

/// The gossip topic of a realm.
pub(super) fn topic(realm: &str) -> gossipsub::IdentTopic {
    gossipsub::IdentTopic::new(format!("/p2pdb/gossip/1/{realm}"))
}

/// Messages are named by their content and not signed by libp2p: the blocks inside are signed, and the wrapper
/// lets members' messages in only. A message goes on only after the consumer's verdict.
fn gossipsub(realm: &str) -> Result<gossipsub::Behaviour, NetError> {
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix("/p2pdb/meshsub")
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|m: &gossipsub::Message| gossipsub::MessageId::new(&Sha256::digest(&m.data)[..20]))
        .duplicate_cache_time(GOSSIP_SEEN_TIME)
        .max_transmit_size(GOSSIP_MESSAGE_BYTES_MAX + GOSSIP_RPC_OVERHEAD_BYTES)
        .build()
        .map_err(transport_error)?;
    let mut behaviour = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config)
        .map_err(transport_error)?;
    behaviour
        .with_peer_score(score(realm), gossipsub::PeerScoreThresholds::default())
        .map_err(transport_error)?;
    behaviour.subscribe(&topic(realm)).map_err(transport_error)?;
    Ok(behaviour)
}

/// What is held against a peer: messages that were rejected, whose number counts in its square, and gossipsub's own rules. From
/// the third one on it is not listened to (the default threshold is -80); after some seconds to minutes that is forgiven.
/// Nobody is better for being fast or busy, or worse for sharing an address.
fn score(realm: &str) -> gossipsub::PeerScoreParams {
    let topic_score = gossipsub::TopicScoreParams {
        topic_weight: 1.0,
        invalid_message_deliveries_weight: -10.0,
        // A second.
        invalid_message_deliveries_decay: 0.99,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        ..gossipsub::TopicScoreParams::default()
    };
    gossipsub::PeerScoreParams {
        topics: [(topic(realm).hash(), topic_score)].into(),
        ip_colocation_factor_weight: 0.0,
        slow_peer_weight: 0.0,
        behaviour_penalty_threshold: 6.0,
        ..gossipsub::PeerScoreParams::default()
    }
}

/// Kademlia finds members; it stores no records for anybody.
fn kademlia(local: PeerId, realm: &str) -> Result<kad::Behaviour<MemoryStore>, NetError> {
    let name = StreamProtocol::try_from_owned(format!("/p2pdb/kad/1/{realm}")).map_err(transport_error)?;
    let mut config = kad::Config::new(name);
    config
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_caching(kad::Caching::Disabled)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_replication_factor(NonZeroUsize::new(20).expect("invariant: 20 is not zero"))
        .set_periodic_bootstrap_interval(Some(Duration::from_secs(60)));
    let store = MemoryStoreConfig { max_records: 0, max_provided_keys: 0, ..MemoryStoreConfig::default() };
    let mut kad = kad::Behaviour::with_config(local, MemoryStore::with_config(local, store), config);
    kad.set_mode(Some(kad::Mode::Server));
    Ok(kad)
}
