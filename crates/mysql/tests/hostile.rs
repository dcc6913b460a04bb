//! Peers that mean no good: any bytes, and valid conversations with bytes changed, cut, or repeated. Nothing
//! may panic, and what is held stays under the limits.

mod pair;
#[path = "survive/mod.rs"]
mod shell;

use p2pdb_mysql::client::{Client, ClientConfig};
use p2pdb_mysql::frame::BACKLOG_BYTES_MAX;
use p2pdb_mysql::{Command, Connection, Event, ServerConfig};
use pair::{config, frame, server_with};
use quickcheck::{Gen, QuickCheck, quickcheck};
use shell::*;

/// A valid login and one of every command, each with its frame.
fn conversation(capabilities: u32) -> Vec<Vec<u8>> {
    let mut login = capabilities.to_le_bytes().to_vec();
    login.extend_from_slice(&[0, 0, 0, 1, 255]);
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(b"open\0\0music\0caching_sha2_password\0\x0A\x04name\x04test");
    let execute =
        b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x0F\0\x0C\0\x03foo\x0B\xDA\x07\x0A\x11\x13\x1B\x1E\x01\0\0\0";
    let with_attributes: &[&[u8]] = &[
        b"\x03\x01\x01\0\x01\xFE\0\x01a\x011select 1",
        b"\x17\x01\0\0\0\x08\x01\0\0\0\x03\0\x01\x0F\0\0\x0C\0\0\xFE\0\x01a\x03foo\0\x011",
    ];
    let mut packets = vec![frame(1, &login)];
    let commands: &[&[u8]] = &[
        b"\x16select ?, ?",
        b"\x03select 1",
        execute,
        b"\x18\x01\0\0\0\0\0long",
        b"\x18\x01\0\0\0\x01\0data",
        execute,
        b"\x17\x01\0\0\0\0\x01\0\0\0\0\0\x03foo\0",
        b"\x1A\x01\0\0\0",
        b"\x02music",
        b"\x04albums\0%",
        b"\x09",
        b"\x0A",
        b"\x0C\x01\0\0\0",
        b"\x0D",
        b"\x0E",
        b"\x1B\0\0",
        b"\x1C\x01\0\0\0\x01\0\0\0",
        b"\x19\x01\0\0\0",
        b"\x11open\0\0music\0\xFF\0caching_sha2_password\0\x0A\x04name\x04test",
    ];
    for command in commands.iter().chain(with_attributes) {
        // The login of COM_CHANGE_USER is answered within its own sequence; all others begin anew.
        packets.push(frame(0, command));
    }
    packets
}

const CAPABILITIES: [u32; 3] = [0x0018_8208, 0x0918_8208, 0x0118_8A08];

#[test]
fn the_conversation_is_valid_before_it_is_changed() {
    let mut server = Connection::new(ServerConfig { tls_available: false, ..small_config() });
    let packets = conversation(CAPABILITIES[0]);
    for packet in &packets[..packets.len() - 2] {
        assert!(survive(&mut server, packet, 7));
        assert!(!server.is_closed(), "{packet:?}");
    }
}

quickcheck! {
    fn any_bytes_before_the_login(stream: Vec<u8>, chunk_bytes: u8) -> bool {
        survive(&mut Connection::new(small_config()), &stream, usize::from(chunk_bytes))
    }

    fn any_payload_before_the_login(payload: Vec<u8>, capabilities: u32) -> bool {
        let capabilities = capabilities | 0x8200;
        let payload = [&capabilities.to_le_bytes()[..], &payload].concat();
        survive(&mut Connection::new(small_config()), &frame(1, &payload), 64)
    }

    fn any_bytes_after_the_login(stream: Vec<u8>, chunk_bytes: u8, capabilities: u32) -> bool {
        let mut server = server_with(0x8200 | capabilities & (1 << 27 | 1 << 24), small_config());
        survive(&mut server, &stream, usize::from(chunk_bytes))
    }

    fn any_commands_after_the_login(payloads: Vec<Vec<u8>>, capabilities: u32) -> bool {
        let mut server = server_with(0x8200 | capabilities & (1 << 27 | 1 << 24), small_config());
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(0, payload)).collect();
        survive(&mut server, &stream, 64)
    }

    fn any_execute(block: Vec<u8>, params: u8, capabilities: u32) -> bool {
        let mut server = server_with(0x8200 | capabilities & 1 << 27, small_config());
        let prepare = frame(0, &[&[0x16], &vec![b'?'; usize::from(params)][..]].concat());
        let execute = frame(0, &[b"\x17\x01\0\0\0\x08\x01\0\0\0", &block[..]].concat());
        survive(&mut server, &prepare, 64) && survive(&mut server, &execute, 64)
    }

    fn a_client_survives_any_server(stream: Vec<u8>, skip_greeting: bool) -> bool {
        let mut client = Client::new(ClientConfig::new("both", "geheim"));
        if skip_greeting {
            client.receive(Connection::new(config()).output()).expect("a greeting is no surprise");
        }
        for chunk in stream.chunks(10) {
            if client.receive(chunk).is_err() {
                break;
            }
            while let Ok(Some(_)) = client.poll() {}
        }
        true
    }
}

/// Changes to a stream: where, how, and with what.
type Edits = Vec<(u16, u8, u8)>;

fn edited(mut stream: Vec<u8>, edits: &Edits) -> Vec<u8> {
    for &(at, how, with) in edits {
        if stream.is_empty() {
            break;
        }
        let at = usize::from(at) % stream.len();
        match how % 5 {
            0 => stream[at] = with,
            1 => stream[at] ^= 1 << (with % 8),
            2 => stream.truncate(at),
            3 => {
                stream.remove(at);
            }
            _ => {
                let end = (at + usize::from(with)).min(stream.len());
                let copy = stream[at..end].to_vec();
                stream.splice(at..at, copy);
            }
        }
    }
    stream
}

#[test]
fn changed_conversations_never_panic() {
    fn holds(edits: Edits, which: u8, chunk_bytes: u8) -> bool {
        let capabilities = CAPABILITIES[usize::from(which) % CAPABILITIES.len()];
        let stream = edited(conversation(capabilities).concat(), &edits);
        survive(&mut Connection::new(small_config()), &stream, usize::from(chunk_bytes))
    }
    let check = holds as fn(Edits, u8, u8) -> bool;
    QuickCheck::new().tests(3000).rng(Gen::new(6)).quickcheck(check);
}

#[test]
fn every_packet_survives_each_of_its_bytes_changed() {
    for capabilities in CAPABILITIES {
        let packets = conversation(capabilities);
        for index in 0..packets.len() {
            for at in 4..packets[index].len() {
                for with in [0, 1, 0x7F, 0x80, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF] {
                    let mut packets = packets.clone();
                    packets[index][at] = with;
                    let mut server = Connection::new(small_config());
                    assert!(
                        survive(&mut server, &packets.concat(), 1 << 16),
                        "packet {index}, byte {at}, {with:#x}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_client_that_never_listens_meets_a_limit() {
    let mut server = server_with(0x8200, small_config());
    server.receive(&frame(0, b"\x03select 1")).unwrap();
    assert!(matches!(server.poll(), Ok(Some(Event::Command(Command::Query(_))))));
    let pings = frame(0, b"\x0E").repeat(1000);
    let mut sent = 0;
    while server.receive(&pings).is_ok() {
        sent += pings.len();
        assert!(sent <= BACKLOG_BYTES_MAX);
    }
    assert!(server.is_closed());
}
