//! The messages, as DAG-CBOR of one enum. The transport frames them; its limits are in the crate's constants.

use p2pdb_block::{BODIES_MAX, BODY_BYTES_MAX, HEADER_BYTES_MAX, RawBlock, Refusal};
use p2pdb_dag::{ChainId, Frontier, Tip};
use p2pdb_model::ids::{Cid, NodeId, PublicKey};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::Error;
use crate::source::Received;
use crate::{FRONTIER_CHAINS_MAX, FRONTIER_TIPS_MAX};

/// Greatest number of CIDs in an announcement.
pub(crate) const ANNOUNCE_CIDS_MAX: usize = 256;
/// Greatest number of blocks in a push.
pub(crate) const PUSH_BLOCKS_MAX: usize = 1024;
/// Greatest number of gaps in one request for closer rungs.
pub(crate) const GAPS_MAX: usize = 1024;
/// Greatest number of tips in an answer about an author.
pub(crate) const AUTHOR_TIPS_MAX: usize = 1024;
/// Greatest length of a name or a reason in admission messages, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 1024;

/// A block as bytes: its envelope and its bodies in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireBlock(pub ByteBuf, pub Vec<ByteBuf>);

impl WireBlock {
    /// From an envelope and bodies.
    pub fn new(envelope: Vec<u8>, bodies: Vec<Vec<u8>>) -> Self {
        Self(ByteBuf::from(envelope), bodies.into_iter().map(ByteBuf::from).collect())
    }

    /// Length of envelope and bodies in bytes.
    pub fn size_bytes(&self) -> usize {
        self.0.len() + self.1.iter().map(|b| b.len()).sum::<usize>()
    }

    /// Decodes the envelope; the bodies must be as many as it lists, and of the listed lengths.
    pub(crate) fn decode(self) -> Result<Received, Error> {
        let block = RawBlock(self.0.into_vec()).decode()?;
        let listed = &block.header().bodies;
        if listed.len() != self.1.len() {
            return Err(Refusal::BodyCount { is: self.1.len(), should: listed.len() }.into());
        }
        if listed.iter().zip(&self.1).any(|(l, b)| l.bytes as usize != b.len()) {
            return Err(Refusal::Body("a body is not as long as the header says").into());
        }
        Ok(Received { block, bodies: self.1.into_iter().map(ByteBuf::into_vec).collect() })
    }
}

/// Tables at a frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProof {
    /// [`Frontier::digest`].
    #[serde(with = "serde_bytes")]
    pub frontier: [u8; 32],
    /// Fingerprint of the tables there.
    #[serde(with = "serde_bytes")]
    pub fingerprint: [u8; 32],
}

/// The first message of a session, both ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::PROTOCOL_VERSION`].
    pub version: u32,
    /// The realm's genesis block.
    pub realm: Cid,
    /// The newest rules number that the sender knows.
    pub rules: u32,
    /// Names the sender's session; another number means that it has forgotten the last one.
    pub session: u64,
    /// The receiver's session that the sender knows of.
    pub seen: Option<u64>,
    /// The sender's position.
    pub digest: Digest,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// [`Frontier::digest`].
    #[serde(with = "serde_bytes")]
    pub frontier: [u8; 32],
    /// Its last proof of state.
    pub state: Option<StateProof>,
    /// Its wall clock, milliseconds since the Unix epoch.
    pub wall_ms: u64,
}

/// Part of a chain inside which two branches part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The chain.
    pub chain: ChainId,
    /// The last seq known to be common; 0 for none.
    pub common: u64,
    /// A seq known to differ.
    pub differs: u64,
}

/// Compressed blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The receiver's round.
    pub round: u32,
    /// Its number in the round, from 0.
    pub number: u32,
    /// Length before compression, in bytes.
    pub raw_bytes: u32,
    /// True in the last bundle of the round.
    pub last: bool,
    /// zstd; see [`crate::pack`].
    pub data: ByteBuf,
}

/// A request to become a member, by the bearer of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionRequest {
    /// The node that wants in; must be the sender.
    pub node: NodeId,
    /// The realm it wants into.
    pub realm: Cid,
    /// The ticket's public key, enrolled in the log by the inviter.
    pub ticket: PublicKey,
    /// The ticket key's signature over the node (domain, realm and form are the engine's business).
    pub signature: ByteBuf,
    /// A name for the node, for people.
    pub name: String,
}

/// The answer to an [`AdmissionRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmissionAnswer {
    /// Admitted, or a member already: catch-up may begin.
    Admitted {
        /// The realm's genesis block.
        genesis: Cid,
    },
    /// Not admitted.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// The one asked is of another realm.
    OtherRealm,
    /// The receiver is no member here, and hears this first of all. It may ask with its ticket, also when it holds an admission: who
    /// admitted it may have been put back to an older state before anybody else heard of it.
    Stranger,
}

/// Everything that nodes say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Introduces the sender.
    Hello(Hello),
    /// Where the sender stands; from time to time, and after a round.
    Digest(Digest),
    /// Asks for [`Message::Frontier`].
    GetFrontier,
    /// The sender's tips.
    Frontier(Frontier),
    /// Asks for blocks.
    Want {
        /// The sender's number for this round.
        round: u32,
        /// What it has of what the receiver named.
        have: Frontier,
        /// Bundles that it will take.
        credits: u32,
    },
    /// Asks the sender of [`Message::Want`] for rungs inside these gaps.
    Narrow {
        /// The round.
        round: u32,
        /// The gaps.
        gaps: Vec<Gap>,
    },
    /// Blocks that were asked for.
    Bundle(Bundle),
    /// The receiver of bundles takes more of them.
    Credit {
        /// The round.
        round: u32,
        /// How many more.
        bundles: u32,
    },
    /// The sender breaks this round off.
    Stop {
        /// The round.
        round: u32,
        /// True when the server breaks it off, false when the receiver of bundles does.
        server: bool,
        /// Why, for people, where the sender cannot rather than will not. Nodes before this member was there leave it out, and
        /// pass over it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// New blocks.
    Push(Vec<WireBlock>),
    /// The sender holds these blocks.
    Announce {
        /// Which.
        cids: Vec<Cid>,
        /// True when they will not come by themselves.
        ask: bool,
    },
    /// Asks for [`Message::Tips`] of this author.
    GetTips(NodeId),
    /// Tips of an author's chains.
    Tips {
        /// The author.
        author: NodeId,
        /// The tips.
        tips: Vec<(ChainId, Tip)>,
    },
    /// Asks for admission.
    Admit(AdmissionRequest),
    /// Answers a request for admission.
    Admission(AdmissionAnswer),
    /// To one that does not know the sender as a member: the envelope of a block by the receiver that the sender holds. A
    /// receiver that has lost the block (it was restored) learns that the sender was given its log.
    Witness(ByteBuf),
}

impl Message {
    /// The server of a round breaks it off.
    pub(crate) fn stopped(round: u32, reason: Option<String>) -> Self {
        let cut = |mut text: String| {
            let most = (0..=TEXT_BYTES_MAX).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
            text.truncate(most);
            text
        };
        Message::Stop { round, server: true, reason: reason.map(cut) }
    }

    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_ipld_dagcbor::to_vec(self)
            .expect("invariant: messages hold nothing that DAG-CBOR cannot encode, and memory does not fail")
    }

    /// Parses what [`Self::encode`] wrote, and checks counts.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let message: Message =
            serde_ipld_dagcbor::from_slice(bytes).map_err(|e| Error::malformed("message", e))?;
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), Error> {
        let limit = |what: &'static str, n: usize, max: usize| match n > max {
            true => Err(Error::OverLimit(what)),
            false => Ok(()),
        };
        match self {
            Message::Frontier(f) | Message::Want { have: f, .. } => {
                limit("chains", f.chains().len(), FRONTIER_CHAINS_MAX)?;
                let tips = f.chains().iter().map(|c| c.tips.len()).max().unwrap_or(0);
                limit("tips of a chain", tips, FRONTIER_TIPS_MAX)?;
                if !f.chains().windows(2).all(|w| w[0].chain < w[1].chain) {
                    return Err(Error::malformed("message", "chains of a frontier out of order"));
                }
                Ok(())
            }
            Message::Narrow { gaps, .. } => limit("gaps", gaps.len(), GAPS_MAX),
            Message::Push(blocks) => {
                limit("blocks", blocks.len(), PUSH_BLOCKS_MAX)?;
                blocks.iter().try_for_each(|b| {
                    limit("envelope bytes", b.0.len(), HEADER_BYTES_MAX)?;
                    limit("bodies", b.1.len(), BODIES_MAX)?;
                    limit("body bytes", b.1.iter().map(|b| b.len()).max().unwrap_or(0), BODY_BYTES_MAX)
                })
            }
            Message::Announce { cids, .. } => limit("announced blocks", cids.len(), ANNOUNCE_CIDS_MAX),
            Message::Tips { tips, .. } => limit("tips", tips.len(), AUTHOR_TIPS_MAX),
            Message::Admit(r) => {
                limit("name", r.name.len(), TEXT_BYTES_MAX)?;
                limit("signature", r.signature.len(), TEXT_BYTES_MAX)
            }
            Message::Witness(envelope) => limit("envelope bytes", envelope.len(), HEADER_BYTES_MAX),
            Message::Admission(AdmissionAnswer::Refused { reason }) => {
                limit("reason", reason.len(), TEXT_BYTES_MAX)
            }
            Message::Stop { reason: Some(reason), .. } => limit("reason", reason.len(), TEXT_BYTES_MAX),
            _ => Ok(()),
        }
    }

    /// A name for logs and counters.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Hello(_) => "hello",
            Message::Digest(_) => "digest",
            Message::GetFrontier => "get-frontier",
            Message::Frontier(_) => "frontier",
            Message::Want { .. } => "want",
            Message::Narrow { .. } => "narrow",
            Message::Bundle(_) => "bundle",
            Message::Credit { .. } => "credit",
            Message::Stop { .. } => "stop",
            Message::Push(_) => "push",
            Message::Announce { .. } => "announce",
            Message::GetTips(_) => "get-tips",
            Message::Tips { .. } => "tips",
            Message::Admit(_) => "admit",
            Message::Admission(_) => "admission",
            Message::Witness(_) => "witness",
        }
    }
}
