//! The packets of the connection phase: greeting, SSLRequest, handshake response, COM_CHANGE_USER, auth switch.

use crate::auth::{AuthPlugin, SALT_BYTES};
use crate::constants::{Capabilities, StatusFlags, charset};
use crate::error::ProtocolError;
use crate::wire::{Reader, put_nul_terminated, text};

/// Longest packet before the login is done, connection attributes included.
pub const LOGIN_PACKET_BYTES_MAX: usize = 72 << 10;
/// Connection attributes of one login, all names and values (MySQL has the same limit).
pub const CONNECT_ATTRIBUTES_BYTES_MAX: usize = 64 << 10;
/// Number of connection attributes of one login.
pub const CONNECT_ATTRIBUTES_MAX: usize = 512;
/// Longest user or database name accepted in a login. Longer than any that can exist (32 and 64 characters).
pub const LOGIN_NAME_BYTES_MAX: usize = 512;

const PROTOCOL_VERSION: u8 = 10;
const SSL_REQUEST_BYTES: usize = 32;
const AUTH_SWITCH_HEADER: u8 = 0xFE;
const AUTH_MORE_DATA_HEADER: u8 = 0x01;

/// Who wants to log in, by handshake response or COM_CHANGE_USER. Nothing of it is proven yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Account name; empty for the anonymous one.
    pub user: String,
    /// Database to open, if any.
    pub database: Option<String>,
    /// Collation number for the session; 0 if the client named none (COM_CHANGE_USER of old clients).
    pub charset: u16,
    /// What both sides can do.
    pub capabilities: Capabilities,
    /// Longest packet the client takes, as it says (clients mostly say 16 MiB and take more).
    pub max_packet_bytes: u32,
    /// Connection attributes (`_client_name`, `program_name`, …).
    pub attributes: Vec<(String, String)>,
    /// Whether the stream is encrypted.
    pub tls: bool,
    /// Whether this is a COM_CHANGE_USER: what the session had is gone.
    pub change_user: bool,
}

/// The login and its first proof.
pub(crate) struct LoginPacket {
    pub login: Login,
    pub plugin: Option<AuthPlugin>,
    pub response: Vec<u8>,
}

/// What the first packet of a client is.
pub(crate) enum FirstPacket {
    SslRequest,
    Login(Box<LoginPacket>),
}

/// What the greeting says.
pub(crate) struct Greeting<'a> {
    pub server_version: &'a str,
    pub connection_id: u32,
    pub salt: &'a [u8; SALT_BYTES],
    pub capabilities: Capabilities,
    pub status: StatusFlags,
}

pub(crate) fn put_greeting(out: &mut Vec<u8>, greeting: &Greeting<'_>) {
    let capabilities = greeting.capabilities.bits().to_le_bytes();
    let (salt_first, salt_rest) = greeting.salt.split_at(8);
    out.push(PROTOCOL_VERSION);
    put_nul_terminated(out, greeting.server_version.as_bytes());
    out.extend_from_slice(&greeting.connection_id.to_le_bytes());
    put_nul_terminated(out, salt_first);
    out.extend_from_slice(&capabilities[..2]);
    out.push(charset::UTF8MB4_0900_AI_CI as u8);
    out.extend_from_slice(&greeting.status.bits().to_le_bytes());
    out.extend_from_slice(&capabilities[2..]);
    out.push(SALT_BYTES as u8 + 1);
    out.extend_from_slice(&[0; 10]);
    put_nul_terminated(out, salt_rest);
    put_nul_terminated(out, AuthPlugin::CachingSha2.name().as_bytes());
}

/// Reads the answer to the greeting. `tls` says whether the stream is encrypted already.
pub(crate) fn parse_first_packet(
    payload: &[u8],
    offered: Capabilities,
    tls: bool,
) -> Result<FirstPacket, ProtocolError> {
    let bad = |_| ProtocolError::BadHandshake;
    let mut reader = Reader::new(payload);
    let low = reader.u16().map_err(bad)?;
    let low = Capabilities::from_bits_retain(u32::from(low));
    if !low.contains(Capabilities::PROTOCOL_41.union(Capabilities::SECURE_CONNECTION)) {
        return Err(ProtocolError::OldClient);
    }
    let high = reader.u16().map_err(bad)?;
    if low.contains(Capabilities::COMPRESS) && !offered.contains(Capabilities::COMPRESS) {
        return Err(ProtocolError::Compression);
    }
    let capabilities = low.union(Capabilities::from_bits_retain(u32::from(high) << 16)).intersection(offered);
    if capabilities.contains(Capabilities::SSL) && !tls {
        if payload.len() != SSL_REQUEST_BYTES {
            return Err(ProtocolError::BadHandshake);
        }
        return Ok(FirstPacket::SslRequest);
    }
    parse_login(reader, capabilities, tls).map(|login| FirstPacket::Login(Box::new(login))).map_err(bad)
}

fn parse_login(
    mut reader: Reader<'_>,
    capabilities: Capabilities,
    tls: bool,
) -> Result<LoginPacket, ProtocolError> {
    let max_packet_bytes = reader.u32()?;
    let charset = u16::from(reader.u8()?);
    reader.take(23)?;
    let user = name(reader.nul_terminated()?)?;
    let response = if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
        reader.lenenc_bytes()?
    } else {
        let length = reader.u8()?;
        reader.take(usize::from(length))?
    };
    let database = if capabilities.contains(Capabilities::CONNECT_WITH_DB) {
        Some(name(reader.nul_terminated_or_rest())?).filter(|name| !name.is_empty())
    } else {
        None
    };
    let plugin = parse_plugin(&mut reader, capabilities);
    let attributes = parse_attributes(&mut reader, capabilities)?;
    Ok(LoginPacket {
        login: Login {
            user,
            database,
            charset,
            capabilities,
            max_packet_bytes,
            attributes,
            tls,
            change_user: false,
        },
        plugin,
        response: response.to_vec(),
    })
}

/// Reads COM_CHANGE_USER behind its command byte; `before` is the login it replaces.
pub(crate) fn parse_change_user(payload: &[u8], before: &Login) -> Result<LoginPacket, ProtocolError> {
    let capabilities = before.capabilities;
    let mut reader = Reader::new(payload);
    let user = name(reader.nul_terminated()?)?;
    let length = reader.u8()?;
    let response = reader.take(usize::from(length))?;
    let database = name(reader.nul_terminated_or_rest())?;
    let charset = if reader.remaining() >= 2 { reader.u16()? } else { 0 };
    let plugin = parse_plugin(&mut reader, capabilities);
    let attributes = parse_attributes(&mut reader, capabilities)?;
    Ok(LoginPacket {
        login: Login {
            user,
            database: Some(database).filter(|name| !name.is_empty()),
            charset,
            capabilities,
            max_packet_bytes: before.max_packet_bytes,
            attributes,
            tls: before.tls,
            change_user: true,
        },
        plugin,
        response: response.to_vec(),
    })
}

/// The plugin the response was made for. Unknown ones are `None`, which leads to an auth switch.
fn parse_plugin(reader: &mut Reader<'_>, capabilities: Capabilities) -> Option<AuthPlugin> {
    if !capabilities.contains(Capabilities::PLUGIN_AUTH) {
        return Some(AuthPlugin::Native);
    }
    std::str::from_utf8(reader.nul_terminated_or_rest()).ok().and_then(AuthPlugin::from_name)
}

fn parse_attributes(
    reader: &mut Reader<'_>,
    capabilities: Capabilities,
) -> Result<Vec<(String, String)>, ProtocolError> {
    let mut attributes = Vec::new();
    if !capabilities.contains(Capabilities::CONNECT_ATTRS) || reader.is_empty() {
        return Ok(attributes);
    }
    let block = reader.lenenc_bytes()?;
    if block.len() > CONNECT_ATTRIBUTES_BYTES_MAX {
        return Err(ProtocolError::Malformed);
    }
    let mut reader = Reader::new(block);
    while !reader.is_empty() {
        if attributes.len() == CONNECT_ATTRIBUTES_MAX {
            return Err(ProtocolError::Malformed);
        }
        // Attributes are for people: what is not UTF-8 is shown as well as it can be.
        let name = String::from_utf8_lossy(reader.lenenc_bytes()?).into_owned();
        let value = String::from_utf8_lossy(reader.lenenc_bytes()?).into_owned();
        attributes.push((name, value));
    }
    Ok(attributes)
}

fn name(bytes: &[u8]) -> Result<String, ProtocolError> {
    if bytes.len() > LOGIN_NAME_BYTES_MAX {
        return Err(ProtocolError::Malformed);
    }
    text(bytes)
}

pub(crate) fn put_auth_switch(out: &mut Vec<u8>, plugin: AuthPlugin, salt: &[u8; SALT_BYTES]) {
    out.push(AUTH_SWITCH_HEADER);
    put_nul_terminated(out, plugin.name().as_bytes());
    put_nul_terminated(out, salt);
}

pub(crate) fn put_auth_more_data(out: &mut Vec<u8>, data: u8) {
    out.extend_from_slice(&[AUTH_MORE_DATA_HEADER, data]);
}
