//! A behaviour that exists for members only.
//!
//! Gossipsub and Kademlia would talk to everybody that connects, and a stranger that subscribes would be sent every
//! block. This wrapper gives connections of strangers a handler that speaks nothing, and tells the inner behaviour
//! about members' connections only. Who is what was decided once per connection by [`super::streams`].

use std::collections::{HashMap, HashSet};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::derive_prelude::Either;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::Access;
use super::streams::Classes;

/// See the module.
pub(super) struct Members<B> {
    pub(super) inner: B,
    classes: Classes,
    connections: HashMap<PeerId, HashSet<ConnectionId>>,
}

impl<B> Members<B> {
    pub(super) fn new(inner: B, classes: Classes) -> Self {
        Self { inner, classes, connections: HashMap::new() }
    }

    fn serves(&self, peer: &PeerId, connection: &ConnectionId) -> bool {
        self.connections.get(peer).is_some_and(|c| c.contains(connection))
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Members<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection_id: ConnectionId,
        local_addr: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(connection_id, local_addr, remote_addr)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection_id: ConnectionId,
        peer: PeerId,
        local_addr: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.classes.of(connection_id) != Access::Member {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let handler =
            self.inner.handle_established_inbound_connection(connection_id, peer, local_addr, remote_addr)?;
        Ok(Either::Left(handler))
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection_id: ConnectionId,
        maybe_peer: Option<PeerId>,
        addresses: &[Multiaddr],
        effective_role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(connection_id, maybe_peer, addresses, effective_role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection_id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role_override: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.classes.of(connection_id) != Access::Member {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let handler = self.inner.handle_established_outbound_connection(
            connection_id,
            peer,
            addr,
            role_override,
            port_use,
        )?;
        Ok(Either::Left(handler))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(e) => {
                if self.classes.of(e.connection_id) != Access::Member {
                    return;
                }
                let connections = self.connections.entry(e.peer_id).or_default();
                let other_established = connections.len();
                connections.insert(e.connection_id);
                let event = ConnectionEstablished { other_established, ..e };
                self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(event));
            }
            FromSwarm::ConnectionClosed(e) => {
                let Some(connections) = self.connections.get_mut(&e.peer_id) else {
                    return;
                };
                if !connections.remove(&e.connection_id) {
                    return;
                }
                let remaining_established = connections.len();
                if remaining_established == 0 {
                    self.connections.remove(&e.peer_id);
                }
                let event = ConnectionClosed { remaining_established, ..e };
                self.inner.on_swarm_event(FromSwarm::ConnectionClosed(event));
            }
            FromSwarm::AddressChange(e) if !self.serves(&e.peer_id, &e.connection_id) => {}
            event => self.inner.on_swarm_event(event),
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {
            Either::Left(event) => self.inner.on_connection_handler_event(peer, connection, event),
            Either::Right(never) => match never {},
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx).map(|action| action.map_in(Either::Left))
    }
}
