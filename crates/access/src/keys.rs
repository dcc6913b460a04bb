//! What is signed by keys other than node keys, and the changes a realm begins with.

use p2pdb_block::sign::{self, Domain, public_key};
use p2pdb_block::{Refusal, SigningKey};
use p2pdb_model::change::{AccessChange, Delegate};
use p2pdb_model::ids::{NodeId, PublicKey};
use p2pdb_model::{AccountId, Change, RealmId};

/// What an account's key signs: account ‖ kind (0 node, 1 ticket) ‖ key ‖ (0, or 1 ‖ end in milliseconds, 64 bit
/// big-endian).
fn delegation_bytes(account: &AccountId, to: &Delegate, until_ms: Option<u64>) -> Vec<u8> {
    let mut out = Vec::with_capacity(58);
    out.extend_from_slice(&account.0);
    let (kind, key) = match to {
        Delegate::Node(n) => (0, &n.0),
        Delegate::Ticket(k) => (1, &k.0),
    };
    out.push(kind);
    out.extend_from_slice(key);
    match until_ms {
        None => out.push(0),
        Some(ms) => {
            out.push(1);
            out.extend_from_slice(&ms.to_be_bytes());
        }
    }
    out
}

/// A delegation, signed. `realm` is `None` only in the genesis block.
pub fn delegation(
    account: AccountId,
    to: Delegate,
    until_ms: Option<u64>,
    account_key: &SigningKey,
    realm: Option<&RealmId>,
) -> AccessChange {
    let content = delegation_bytes(&account, &to, until_ms);
    let signature = sign::sign(Domain::Delegation, realm, &content, account_key).to_vec();
    AccessChange::Delegate { account, to, until_ms, signature }
}

pub(crate) fn check_delegation(
    account: &AccountId,
    to: &Delegate,
    until_ms: Option<u64>,
    signature: &[u8],
    key: &PublicKey,
    realm: Option<&RealmId>,
) -> Result<(), Refusal> {
    sign::verify(Domain::Delegation, realm, &delegation_bytes(account, to, until_ms), &key.0, signature)
}

/// The ticket key's signature over a node, for [`AccessChange::Admit`].
pub fn admission_signature(ticket: &SigningKey, realm: &RealmId, node: &NodeId) -> Vec<u8> {
    sign::sign(Domain::Admission, Some(realm), &node.0, ticket).to_vec()
}

pub(crate) fn check_admission(
    ticket: &PublicKey,
    realm: &RealmId,
    node: &NodeId,
    signature: &[u8],
) -> Result<(), Refusal> {
    sign::verify(Domain::Admission, Some(realm), &node.0, &ticket.0, signature)
}

/// How a realm begins.
#[derive(Clone, Copy, Debug)]
pub struct GenesisSpec<'a> {
    /// The realm's name, for people.
    pub name: &'a str,
    /// 16 random bytes.
    pub nonce: [u8; 16],
    /// The first account's user name (`root`).
    pub user: &'a str,
    /// Its host pattern (`%`).
    pub host: &'a str,
    /// The genesis author.
    pub node: NodeId,
}

/// The one transaction of a genesis block: the realm, its first account with all privileges, and that account's
/// delegation to the author, who is the first owner and holds every AUTO_INCREMENT value. Returns the account's
/// id, for which the transaction is written.
pub fn genesis_changes(spec: GenesisSpec<'_>, account_key: &SigningKey) -> (AccountId, Vec<Change>) {
    let key = public_key(account_key);
    let id = AccountId::derive(spec.user, spec.host, &key);
    let changes = vec![
        AccessChange::Genesis { name: spec.name.to_owned(), nonce: spec.nonce },
        AccessChange::Account {
            id,
            name: spec.user.to_owned(),
            host: spec.host.to_owned(),
            key,
            owner: true,
        },
        delegation(id, Delegate::Node(spec.node), None, account_key, None),
    ];
    (id, changes.into_iter().map(Change::Access).collect())
}
