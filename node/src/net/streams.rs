//! The streams of sessions: negotiated per lane, and only those that the peer's standing allows.
//!
//! This behaviour also asks the [`Gate`] once per connection and keeps the answer ([`Classes`]), so that everything
//! on one connection agrees about who is at the other end; a change of standing needs a new connection. It stands
//! first in the composed behaviour for that reason.
//!
//! libp2p's own generic stream behaviour is not used: it picks a connection at random, drops inbound streams that
//! arrive while its one slot is taken, and cannot tell members from strangers.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::futures::future::{Ready, ready};
use libp2p::swarm::handler::{
    ConnectionEvent, ConnectionHandlerEvent, DialUpgradeError, FullyNegotiatedInbound,
    FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, Stream,
    StreamProtocol, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use parking_lot::Mutex;

use super::identity::node_of;
use super::{Access, Gate, Lane, STREAM_OPEN_TIMEOUT};

/// Events of one connection that wait for the behaviour; more inbound streams than that are dropped.
const HANDLER_EVENTS_MAX: usize = 16;

fn protocol(lane: Lane) -> StreamProtocol {
    StreamProtocol::new(match lane {
        Lane::Control => "/p2pdb/sync/1",
        Lane::Bulk => "/p2pdb/sync-bulk/1",
        Lane::Join => "/p2pdb/join/1",
    })
}

/// The standing of each connection's peer, as it was when the connection was made.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes(Arc<Mutex<HashMap<ConnectionId, Access>>>);

impl Classes {
    pub(super) fn of(&self, connection: ConnectionId) -> Access {
        self.0.lock().get(&connection).copied().unwrap_or(Access::Refused)
    }
}

/// The peer has no business here: removed, banned, or its key is not ed25519.
#[derive(Debug, thiserror::Error)]
#[error("{0} is refused by the realm")]
struct Refused(PeerId);

/// See the module.
pub(super) struct Behaviour {
    gate: Arc<dyn Gate>,
    classes: Classes,
    actions: VecDeque<ToSwarm<StreamEvent, Lane>>,
}

/// What happened to a stream.
#[derive(Debug)]
pub(super) struct StreamEvent {
    pub(super) peer: PeerId,
    pub(super) connection: ConnectionId,
    pub(super) event: HandlerEvent,
}

#[derive(Debug)]
pub(super) enum HandlerEvent {
    /// A stream that we asked for.
    Opened(Lane, Stream),
    /// A stream that the peer opened.
    Accepted(Lane, Stream),
    /// The peer does not speak this lane (to us), or the connection is failing.
    OpenFailed(Lane, String),
}

impl Behaviour {
    pub(super) fn new(gate: Arc<dyn Gate>, classes: Classes) -> Self {
        Self { gate, classes, actions: VecDeque::new() }
    }

    /// Opens a stream on this connection.
    pub(super) fn open(&mut self, peer_id: PeerId, connection: ConnectionId, lane: Lane) {
        let handler = NotifyHandler::One(connection);
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id, handler, event: lane });
    }

    /// The standing of the peer on this connection.
    pub(super) fn access(&self, connection: ConnectionId) -> Access {
        self.classes.of(connection)
    }

    fn admit(&mut self, connection: ConnectionId, peer: PeerId) -> Result<Handler, ConnectionDenied> {
        let access = node_of(&peer).map_or(Access::Refused, |node| self.gate.access(&node));
        if access == Access::Refused {
            return Err(ConnectionDenied::new(Refused(peer)));
        }
        self.classes.0.lock().insert(connection, access);
        let lanes: &'static [Lane] = match access {
            Access::Member => &Lane::ALL,
            Access::Stranger | Access::Refused => &[Lane::Join],
        };
        Ok(Handler { lanes, to_open: VecDeque::new(), events: VecDeque::new() })
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = StreamEvent;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(connection, peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(connection, peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        let gone = match event {
            FromSwarm::ConnectionClosed(e) => e.connection_id,
            FromSwarm::DialFailure(e) => e.connection_id,
            FromSwarm::ListenFailure(e) => e.connection_id,
            _ => return,
        };
        self.classes.0.lock().remove(&gone);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.actions.push_back(ToSwarm::GenerateEvent(StreamEvent { peer, connection, event }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // No waker: actions are added only by calls from the task that polls the swarm next.
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The streams of one connection.
pub(super) struct Handler {
    lanes: &'static [Lane],
    to_open: VecDeque<Lane>,
    events: VecDeque<HandlerEvent>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Lane;
    type ToBehaviour = HandlerEvent;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Lane;

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(Upgrade(self.lanes.to_vec()), ()).with_timeout(STREAM_OPEN_TIMEOUT)
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Upgrade, Lane, HandlerEvent>> {
        // No waker: the connection polls its handlers again after each of the calls below.
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        if let Some(lane) = self.to_open.pop_front() {
            let protocol =
                SubstreamProtocol::new(Upgrade(vec![lane]), lane).with_timeout(STREAM_OPEN_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, lane: Lane) {
        self.to_open.push_back(lane);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Upgrade, Upgrade, (), Lane>) {
        let event = match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, lane),
                ..
            }) => {
                if self.events.len() >= HANDLER_EVENTS_MAX {
                    return;
                }
                HandlerEvent::Accepted(lane, stream)
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, lane),
                ..
            }) => HandlerEvent::Opened(lane, stream),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: lane, error }) => {
                let reason = match error {
                    StreamUpgradeError::Timeout => "no answer in time".to_owned(),
                    StreamUpgradeError::NegotiationFailed => "not spoken by the peer".to_owned(),
                    StreamUpgradeError::Io(e) => e.to_string(),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                HandlerEvent::OpenFailed(lane, reason)
            }
            _ => return,
        };
        self.events.push_back(event);
    }
}

/// Negotiates one of these lanes and yields the bare stream.
#[derive(Clone, Debug)]
pub(super) struct Upgrade(Vec<Lane>);

/// A lane's protocol name that remembers the lane.
#[derive(Clone, Debug)]
pub(super) struct Named(Lane, StreamProtocol);

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.1.as_ref()
    }
}

impl UpgradeInfo for Upgrade {
    type Info = Named;
    type InfoIter = std::vec::IntoIter<Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().map(|&lane| Named(lane, protocol(lane))).collect::<Vec<_>>().into_iter()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, Lane);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, named: Named) -> Self::Future {
        ready(Ok((stream, named.0)))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, Lane);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, named: Named) -> Self::Future {
        ready(Ok((stream, named.0)))
    }
}
