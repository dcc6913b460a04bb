//! Who may write what: members, tickets, accounts, delegations, and the verdict on every transaction.
//!
//! [`Access`] is a pure fold over the access changes of the log. Each keeps its place (write order, causal past);
//! the state is computed anew from the list, never by inverse operations, so it does not depend on the order of
//! arrival. The rules (rules 1):
//!
//! **A transaction is accepted** when, in the causal past of its block,
//! 1. an accepted admission of its author holds, with a role that writes; the genesis author is the first owner;
//! 2. its account exists, and an accepted delegation of it to the author (by node key, or to a ticket that the
//!    author was admitted with) holds, not past its end by the block's stamp;
//! 3. each of its access changes is permitted: see the table in [`Reason`]; and
//! 4. it does not lie beyond a removal or undelegation, seen or not.
//!
//! **Strong removal.** A removal cuts the node off beyond the tips that the remover had seen: of the node's blocks,
//! those that are a named tip or lie below one on the same chain stand; all others are void, also those that were
//! written without knowing. Admissions of the node that do not know of the removal (it is not in their causal
//! past) are ended by it; a later admission that does know it lets the node in again. Undelegation likewise cuts
//! one account's transactions by a node, or by every node of a ticket. A tip that the remover could not have seen
//! (it is not in the removal's past) covers nothing.
//!
//! **Removals among themselves.** Whether a removal holds is decided by its own causal past only: no removal voids
//! a concurrent removal. So when two owners remove each other concurrently, both removals hold and both owners are
//! out, whatever arrives first. To keep that from sheltering other writes, a transaction with a removal or
//! undelegation may hold nothing else. (A removed owner can still write a removal that pretends not to know of its
//! own; issue 5 refines this.)
//!
//! **Tickets.** A ticket admits as many different nodes as it has uses. Of admissions with one ticket the first in
//! write order hold; one node admitted twice with it (by two members, say) counts once. The expiry is judged by the
//! stamp of the admission's block. A node's role is the greatest of its admissions that hold: nobody is demoted by
//! a ticket, only by a removal and a new admission.
//!
//! **Why this is well defined.** First pass: which access transactions stand by their causal past and ticket order
//! alone; this fixes the removals. Second pass: which stand when the removals cut. In both, a transaction depends
//! only on ones before it in write order, which every node has alike.
//!
//! Not here: the clock (stamps only), tables, grants on tables (issue 5), how a ticket travels.

mod fold;
mod ids;
mod judge;
mod keys;
mod reason;
mod view;

pub use fold::{Access, Flip, Judged, Rejudge, Site};
pub use ids::{Deal, IdState, SPLIT};
pub use keys::{GenesisSpec, admission_signature, delegation, genesis_changes};
pub use reason::{Reason, Verdict};
pub use view::{AccountView, MemberView, TicketView};
