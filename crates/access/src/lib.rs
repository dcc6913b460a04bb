//! Who may write what: members, tickets, accounts, delegations, and the verdict on every transaction.
//!
//! [`Access`] is a pure fold over the access changes of the log. Each keeps its place (write order, causal past);
//! the state is computed anew from the list, never by inverse operations, so it does not depend on the order of
//! arrival. The rules (rules 1):
//!
//! **A transaction is accepted** when, in the causal past of its block,
//! 1. an accepted admission of its author holds, with a role that writes; the genesis author is the first owner;
//! 2. its account exists, and an accepted delegation of it to the author (by node key, or to a ticket that the
//!    author was admitted with), signed by a key that is the account's, holds, not past its end by the block's stamp;
//! 3. each of its changes is permitted: what rows and schema objects need is in `needs`, what changes of access need in
//!    `judge`; and
//! 4. it does not lie beyond a revocation of any of these, seen or not.
//!
//! **Revocations** are of a member, a delegation, a key, an account, a privilege, a role. All mean the same: what knows of
//! one and needs what it took is void, and so is what does not know of it and lies beyond its [`Horizon`]: its author's
//! causal past, or tips that it names. A tip that it could not have seen covers nothing. What is given again by a change that
//! knows of the revocation counts anew. A transaction with a revocation may hold nothing else.
//!
//! **Revocations among themselves.** Whether one holds is decided by its causal past and by revocations of lesser *rank*
//! ([`Access`] counts the steps from the realm's first owner to its author): so a senior voids a junior's, whatever either
//! pretends not to know; two of one rank both hold, also against each other.
//!
//! **Grants** are on the realm, or on an object by its id; what covers what was made in a database is shown by the ids
//! themselves (`homes`).
//!
//! **Tickets.** A ticket admits as many different nodes as it has uses. Of admissions with one ticket the first in
//! write order hold; one node admitted twice with it (by two members, say) counts once. The expiry is judged by the
//! stamp of the admission's block. A node's role is the greatest of its admissions that hold: nobody is demoted by
//! a ticket, only by a removal and a new admission.
//!
//! **Why this is well defined.** There is one pass for each rank of the revocations held, ascending, and a last one. In a
//! pass a revocation of lesser rank counts as it was settled in the pass of its own rank, known or not; one of the
//! same rank or a greater one only where it is known. Within a pass a transaction depends on ones before it in write order
//! and on what is settled, which every node has alike.
//!
//! **Sealed columns.** Who may read one, which epochs of its key there are ([`Epochs`]), and the cryptography ([`ColumnKey`]). Only who
//! may SELECT a sealed column may publish a key for it, or give it values.
//!
//! Not here: the clock (stamps only), what is in tables, how a ticket travels, which roles a session has activated.

mod devices;
mod fold;
mod grants;
mod homes;
mod ids;
mod index;
mod judge;
mod keys;
mod look;
mod needs;
mod reason;
mod seal;
mod sealed;
mod view;

pub use devices::{DelegationView, KeyView};
pub use fold::{Access, Flip, Horizon, Judged, Rejudge, Site};
pub use ids::{Deal, IdState, SPLIT};
pub use keys::{GenesisSpec, admission_signature, delegation, genesis_changes};
pub use look::{LOOK_BYTES, LookKey};
pub use needs::{Columns, definer};
pub use reason::{Reason, Verdict};
pub use seal::{ColumnKey, SealedColumn};
pub use sealed::{Epoch, Epochs};
pub use view::{AccountView, Asker, Ending, GrantsView, MemberView, RoleView, TicketView};
