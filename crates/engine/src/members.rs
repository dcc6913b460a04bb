//! Members: listing them, inviting, admitting, removing, and who is served.

use std::sync::atomic::Ordering;

use p2pdb_access::{Access, AccountView, delegation};
use p2pdb_block::sign::public_key;
use p2pdb_block::{RawBlock, SigningKey};
use p2pdb_model::change::{AccessChange, Delegate, Role, SeenTip};
use p2pdb_model::ids::PublicKey;
use p2pdb_model::{AccountId, NodeId, Stamp};
use p2pdb_sql::account::AccountName;

use crate::api::MemberInfo;
use crate::engine::{Engine, Step};
use crate::error::EngineError;
use crate::job::{After, Job, TaskJob};
use crate::logged::Logged;
use crate::wait::handoff;
use crate::writer::Writer;

/// Longest name of a node, bytes.
pub const NODE_NAME_BYTES_MAX: usize = 64;

/// A node that asks for admission with a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The node, as authenticated by the transport.
    pub node: NodeId,
    /// Its ticket's public key.
    pub ticket: PublicKey,
    /// The ticket key's signature over the node ([`p2pdb_access::admission_signature`]).
    pub signature: Vec<u8>,
    /// A name for people.
    pub name: String,
}

impl Engine {
    /// All members, also those that were removed.
    pub fn members(&self) -> Vec<MemberInfo> {
        let published = self.inner.published.load();
        let info = |m: p2pdb_access::MemberView| {
            let tips = published.frontier().chains().iter().filter(|c| c.chain.author == m.node);
            let newest = published.dag().branches_of_author(m.node).max_by_key(|b| b.tip_stamp);
            MemberInfo {
                node: m.node,
                name: m.name,
                role: m.role.unwrap_or(Role::Relay),
                removed: m.role.is_none(),
                seq: tips.flat_map(|c| &c.tips).map(|t| t.seq).max().unwrap_or(0),
                last_seen: newest.map(|b| b.tip_stamp),
            }
        };
        published.access.members().into_iter().map(info).collect()
    }

    /// True for a present member: only members are served.
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.inner.published.load().access.is_member(*node)
    }

    /// This node's role, if it is a member.
    pub fn role(&self) -> Option<Role> {
        self.inner.published.load().access.role(self.inner.node)
    }

    /// The accounts that log in at this node, once a password is set here: those that it may act for.
    pub fn served_accounts(&self) -> Vec<AccountView> {
        let published = self.inner.published.load();
        let accounts = published.access.accounts().into_iter();
        accounts.filter(|a| !a.is_role && self.inner.may_act(&published, a.id)).collect()
    }

    /// The accounts whose keys this node was opened with, as long as these are theirs: for them [`ActsFor::Held`] delegates.
    pub fn held_accounts(&self) -> Vec<AccountView> {
        held(&self.inner.published.load().access, &self.inner.account_keys).map(|(a, _)| a).collect()
    }

    /// Enrols a ticket. Whoever holds its private key may be admitted, or the named node alone.
    ///
    /// # Errors
    /// When this node is not an owner.
    pub fn invite(&self, invitation: Invitation) -> Result<(), EngineError> {
        let inner = self.inner.clone();
        self.command(move |w, account| {
            let Invitation { ticket, role, expires_ms, uses, node, acts_for } = invitation;
            let mut changes = vec![AccessChange::Ticket { key: ticket, role, expires_ms, uses, node }];
            if role.writes() {
                let realm = w.realm();
                let sign =
                    |id, key: &SigningKey| delegation(id, Delegate::Ticket(ticket), None, key, Some(&realm));
                match &acts_for {
                    ActsFor::Nobody => {}
                    ActsFor::Account(id, key) => changes.push(sign(*id, key)),
                    ActsFor::Held => {
                        changes.extend(held(&w.access, &inner.account_keys).map(|(a, key)| sign(a.id, key)));
                    }
                }
            }
            w.access(account, changes)
        })
    }

    /// Admits the bearer of a ticket. A node that is a member already is welcome again.
    ///
    /// # Errors
    /// When the ticket is unknown, expired, used up, or not proven.
    pub fn admit(&self, request: Admission) -> Result<(), EngineError> {
        if request.name.len() > NODE_NAME_BYTES_MAX {
            return Err(EngineError::Refused(format!(
                "a node's name has at most {NODE_NAME_BYTES_MAX} bytes"
            )));
        }
        if self.is_member(&request.node) {
            return Ok(());
        }
        self.command(move |w, account| {
            if w.access.is_member(request.node) {
                return Ok(());
            }
            if w.access.has_used(&request.ticket, request.node) {
                // It was a member by this ticket, and is none any more. Mostly it has used the ticket up.
                let why =
                    "this node was removed from the realm, and a ticket of before does not bring it back";
                return Err(EngineError::Refused(why.to_owned()));
            }
            let ticket = w.access.tickets().into_iter().find(|t| t.key == request.ticket);
            let refused = |why: &str| EngineError::Refused(why.to_owned());
            let ticket = ticket.ok_or_else(|| refused("the ticket is unknown here, or used up"))?;
            if ticket.node.is_some_and(|node| node != request.node) {
                return Err(refused("the ticket is for another node"));
            }
            let role = ticket.role;
            // Without any it is a member all the same, and is dealt some later.
            let deal = if role.writes() { w.next_deal()? } else { None };
            w.access(
                account,
                vec![AccessChange::Admit {
                    node: request.node,
                    role,
                    ticket: Some((request.ticket, request.signature)),
                    ids: deal.map(|d| d.ids),
                    dealer_ids: deal.and_then(|d| d.dealer_ids),
                    name: request.name,
                }],
            )
        })
    }

    /// The newest block by a member that is here, as an envelope: shows that this node was given its log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn witness_for(&self, node: NodeId) -> Result<Option<Vec<u8>>, EngineError> {
        let published = self.inner.published.load();
        let newest = published.dag().branches_of_author(node).max_by_key(|b| b.tip_stamp);
        let Some(no) = newest.map(|b| crate::logged::no(b.tip_no)) else { return Ok(None) };
        let block = self.inner.reader()?.block(no)?;
        Ok(block.map(|b| b.bytes().to_vec()))
    }

    /// A stranger shows a block that this node has signed and lost, after a restore: only a member can have it. What this node
    /// does not know yet is, perhaps, that the stranger became one.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn is_lost_block(&self, envelope: Vec<u8>) -> Result<bool, EngineError> {
        let own = |b: &p2pdb_block::DecodedBlock| b.author() == self.inner.node;
        let Some(block) = RawBlock(envelope).decode().ok().filter(own) else { return Ok(false) };
        if block.check_signature(&self.inner.realm).is_err() {
            return Ok(false);
        }
        let published = self.inner.published.load();
        let reader = self.inner.reader()?;
        Ok(published.dag().find(&block.cid(), &Logged(&reader))?.is_none())
    }

    /// An account by its name and host as they are shown.
    pub fn account(&self, name: &str, host: &str) -> Option<AccountView> {
        let published = self.inner.published.load();
        published.access.accounts().into_iter().find(|a| a.name == name && a.host == host)
    }

    /// Writes a delegation down that a key of the account has signed: the node may act for it.
    ///
    /// # Errors
    /// When the signature is not by one of its keys, or no account that this node acts for may write it.
    pub fn delegate(
        &self,
        account: AccountId,
        to: NodeId,
        until_ms: Option<u64>,
        signature: Vec<u8>,
    ) -> Result<(), EngineError> {
        self.command(move |w, writes| {
            let to = Delegate::Node(to);
            w.access(writes, vec![AccessChange::Delegate { account, to, until_ms, signature }])
        })
    }

    /// Removes a member: what it writes beyond what this node has seen of it is void.
    ///
    /// # Errors
    /// When this node is not an owner, or there is no such member.
    pub fn remove_member(&self, node: NodeId) -> Result<(), EngineError> {
        self.command(move |w, account| {
            if !w.access.is_member(node) {
                return Err(EngineError::Refused("there is no such member".to_owned()));
            }
            let others = w.access.members().into_iter().filter(|m| m.node != node);
            if w.access.role(node) == Some(Role::Owner) && others.filter(|m| m.role == Some(Role::Owner)).count() == 0 {
                let why = "it is the last owner: without one nobody can admit or remove a member any more; invite another owner first";
                return Err(EngineError::Refused(why.to_owned()));
            }
            let seen = seen_of(w, node);
            w.access(account, vec![AccessChange::Remove { node, seen }])
        })
    }

    /// Withdraws a node's delegation for an account: what it writes for it beyond what this node has seen of it is void. So is a
    /// delegation to the ticket that the node was admitted with.
    ///
    /// # Errors
    /// When there is no such account, or this node acts for none that may do that.
    pub fn withdraw_delegation(&self, account: &AccountName, from: NodeId) -> Result<(), EngineError> {
        let name = account.clone();
        self.command(move |w, acting| {
            let named = |a: &p2pdb_access::AccountView| !a.is_role && name.is(&a.name, &a.host);
            let Some(account) = w.access.accounts().into_iter().find(named) else {
                return Err(EngineError::Refused(format!("there is no account {name}")));
            };
            let seen = seen_of(w, from);
            let from = Delegate::Node(from);
            w.access(acting, vec![AccessChange::Undelegate { account: account.id, from, seen }])
        })
    }

    /// Deals AUTO_INCREMENT values to a writer that has none, or has lost count of its own (after a restore).
    ///
    /// # Errors
    /// When this node has none to deal.
    pub fn deal_ids(&self, node: NodeId) -> Result<(), EngineError> {
        self.command(move |w, account| {
            let deal = w
                .next_deal()?
                .ok_or_else(|| EngineError::Refused("this node has no values to deal".to_owned()))?;
            w.access(
                account,
                vec![AccessChange::DealIds { node, ids: deal.ids, dealer_ids: deal.dealer_ids }],
            )
        })
    }

    /// Switches newer rules on, for the whole realm and for good: nodes whose program does not know them stop applying.
    ///
    /// # Errors
    /// When this node is not an owner, or the number is not the one after that in force, or not known to this program.
    pub fn switch_rules(&self, rules: u32) -> Result<(), EngineError> {
        self.command(move |w, account| w.switch_rules(account, rules))
    }

    /// Runs a change of the node's own at the writer, for an account that it may act for, and waits for its commit.
    pub(crate) fn command(
        &self,
        f: impl FnOnce(&mut Writer, AccountId) -> Result<(), EngineError> + Send + 'static,
    ) -> Result<(), EngineError> {
        let (giver, taker) = handoff();
        let inner = self.inner.clone();
        let run = move |w: &mut Writer| -> After {
            let now = Stamp::next(w.dag.stamp_floor(), inner.clock.now_ms());
            let result = match acting_account(&w.access, w.node(), now) {
                None => Err(EngineError::Refused(
                    "no account has delegated to this node, so it cannot write".to_owned(),
                )),
                Some(account) => f(w, account),
            };
            Box::new(move |committed| {
                giver.give(match (result, committed) {
                    (Err(e), _) => Err(e),
                    (Ok(()), Ok(())) => Ok(()),
                    (Ok(()), Err(e)) => Err(EngineError::State(e.to_string())),
                });
            })
        };
        match self.inner.queue.push(Job::Task(TaskJob { run: Box::new(run) })) {
            Ok(()) if self.inner.by_hand.load(Ordering::Relaxed) => loop {
                if let Some(done) = taker.take() {
                    return done;
                }
                if self.step_writer() != Step::Did && !self.step_syncer() {
                    return Err(EngineError::State("an open transaction holds the writer".to_owned()));
                }
            },
            Ok(()) => taker.wait(),
            Err(_) => Err(EngineError::Stopping),
        }
    }
}

/// What a ticket gives.
#[derive(Debug)]
pub struct Invitation {
    /// Its public key.
    pub ticket: PublicKey,
    /// What its bearer becomes.
    pub role: Role,
    /// Not after, milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
    /// How many nodes it admits.
    pub uses: u32,
    /// The only node that it admits.
    pub node: Option<NodeId>,
    /// For whom a bearer that writes may write.
    pub acts_for: ActsFor,
}

impl Invitation {
    /// For one node, whichever, without an end.
    pub fn of(ticket: PublicKey, role: Role) -> Self {
        Invitation { ticket, role, expires_ms: None, uses: 1, node: None, acts_for: ActsFor::Held }
    }
}

/// For which accounts the bearer of a ticket may write.
#[derive(Debug)]
pub enum ActsFor {
    /// Those whose keys the inviting node was opened with.
    Held,
    /// This one, by a key of it.
    Account(AccountId, Box<SigningKey>),
    /// None, until an account's key delegates to it.
    Nobody,
}

/// The accounts that one of these keys is a key of.
fn held<'a>(access: &Access, keys: &'a [SigningKey]) -> impl Iterator<Item = (AccountView, &'a SigningKey)> {
    let accounts = access.accounts();
    keys.iter().filter_map(move |key| {
        let public = public_key(key);
        let of = |a: &&AccountView| a.key == Some(public) || a.further_keys.contains(&public);
        accounts.iter().find(of).map(|a| (a.clone(), key))
    })
}

/// What is here of a node's chains.
pub(crate) fn seen_of(w: &Writer, node: NodeId) -> Vec<SeenTip> {
    let tip = |b: &p2pdb_dag::Branch| SeenTip { chain: b.chain.first, seq: b.tip.seq, tip: b.tip.cid };
    w.dag.branches_of_author(node).map(tip).collect()
}

/// An account that this node may act for; owners' first.
fn acting_account(access: &Access, node: NodeId, now: Stamp) -> Option<AccountId> {
    let mut accounts = access.accounts();
    accounts.sort_by_key(|a| !a.owner);
    accounts.into_iter().map(|a| a.id).find(|id| access.may_act(node, *id, now))
}
