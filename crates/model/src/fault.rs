//! Deliberate faults, by which the simulator proves that it would find such a bug (`docs/simulation.md`).
//!
//! Each [`Fault`] names one place in the code that goes wrong while it is switched on. There is no way to switch one on from
//! outside the process, and none at all in a release build: there [`on`] is `false` at compile time, and `switch` is
//! not there. Switched on is one fault, for one thread.

macro_rules! faults {
    ($($name:ident, $text:literal, $what:literal;)*) => {
        /// A place where something goes wrong on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $what] $name,)*
        }

        impl Fault {
            /// All of them, with their names and what they do.
            pub const ALL: &[(Fault, &str, &str)] = &[$((Fault::$name, $text, $what)),*];
        }
    };
}

faults! {
    CellsByArrival, "cells-by-arrival", "of two concurrent writes of a cell the one that arrives last wins";
    LoserForgotten, "loser-forgotten", "a write that loses is not kept as a conflict";
    SecondInsertIgnored, "second-insert-ignored", "an insert of a key that is there already is not merged";
    DeleteForgotten, "delete-forgotten", "a delete that arrives has no effect: the tombstone is lost";
    DeleteWins, "delete-wins", "a delete removes a row also against a concurrent edit";
    HalfATransaction, "half-a-transaction", "the last change of an arriving transaction is not merged";
    UniqueByArrival, "unique-by-arrival", "a unique value belongs to the row that was here first";
    UniqueByBytes, "unique-by-bytes", "unique keys compare bytes instead of by their collation";
    DisplacedUnseen, "displaced-unseen", "displaced rows are not merged on, and not in the fingerprint";
    ReferencesUnchecked, "references-unchecked", "merged rows stay visible without their parents";
    ChildrenForgotten, "children-forgotten", "rows that wait for a parent stay away when it comes";
    MisfitsShown, "misfits-shown", "merged rows stay visible against NOT NULL and CHECK";
    IncrementLost, "increment-lost", "an increment of a counter that arrives is not added";
    EverythingSeen, "everything-seen", "ancestry: a block is taken to have seen all that was here before it";
    PastForgotten, "past-forgotten", "a new block names only its own chain's last block as parent";
    ClockForgotten, "clock-forgotten", "a new block's clock does not follow those that it has seen";
    SignatureSkipped, "signature-skipped", "signatures of blocks are not checked";
    ParentNotAwaited, "parent-not-awaited", "a block is applied although a parent is missing";
    WaitingForgotten, "waiting-forgotten", "a block that waited for its parent is not taken up when it comes";
    CatchUpForgotten, "catch-up-forgotten", "a node that hears of another frontier does not ask for it";
    OkBeforeSync, "ok-before-sync", "OK is said and blocks go out without a sync";
    GossipBeforeSync, "gossip-before-sync", "blocks go out before they are synced";
    RestoreContinues, "restore-continues", "a restored node goes on with its old chain: a fork is taken for one chain";
    UndoForgotten, "undo-forgotten", "what a failed statement did stays in the tables";
    RollbackCommits, "rollback-commits", "ROLLBACK commits";
    DeleteNotLogged, "delete-not-logged", "a local delete is not in the block";
    FingerprintDrifts, "fingerprint-drifts", "what goes from a table stays in its fingerprint";
    RemovedCounted, "removed-counted", "what a removed member wrote beyond its removal counts when it arrives later";
    RemovalNotLookedBack, "removal-not-looked-back", "a removal that arrives voids nothing that is there already";
    VoidKept, "void-kept", "what a transaction wrote that has become void stays in the tables";
    RevokedCounted, "revoked-counted", "what an account wrote beyond what was taken from it counts when it arrives later";
    FlipForgotten, "flip-forgotten", "a grant or delegation whose verdict turns keeps the old one";
    HoldersForgotten, "holders-forgotten", "what is taken from a role, or given back, is looked back at for the role itself only";
    VoidForEver, "void-for-ever", "what a transaction wrote stays away when it is void no more";
    DroppedKeyKept, "dropped-key-kept", "what a dropped key has signed holds on";
    TakenForgotten, "taken-forgotten", "an element that is taken out of a set stays where it is merged";
    IdsDrawnOn, "ids-drawn-on", "a restored node draws AUTO_INCREMENT values that it may have drawn before";
    ReadersKept, "readers-kept", "values are sealed on with a key that somebody has who may read no more";
    LooksForgotten, "looks-forgotten", "sealed cells whose key comes late are not found by their values";
    AbsentForgotten, "absent-forgotten", "what deletes in a table that is gone did to others is not looked at again when such a delete counts no more";
    BesideForgotten, "beside-forgotten", "what is written beside the drop of a table or column is kept nowhere";
    WaitingKeyTaken, "waiting-key-taken", "a new row may take the key of one that waits, and waits behind it from its COMMIT on";
    ReturnsUnasked, "returns-unasked", "a statement may bring a reference back whose unique value another row has";
    UniqueWrittenAlong, "unique-written-along", "a CHECK has unique columns written along, so that another row gets their values";
    StaleState, "stale-state", "after a failed commit whose past cannot be read anew, what it would have been is shown";
    StaleVersion, "stale-version", "the version of a transaction that changed nothing is kept for the next one";
}

/// True while this fault is switched on.
#[cfg(debug_assertions)]
#[inline]
pub fn on(fault: Fault) -> bool {
    ON.with(|on| on.get() == Some(fault))
}

/// Never, in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn on(_: Fault) -> bool {
    false
}

#[cfg(debug_assertions)]
thread_local! {
    static ON: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// True while the program at work is one that its owner has patched: its sessions are asked for no permission, and what was not
/// granted is signed all the same. Not a fault: every node, this one too, is to judge it as void.
#[cfg(debug_assertions)]
#[inline]
pub fn is_patched() -> bool {
    PATCHED.with(std::cell::Cell::get)
}

/// Never, in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn is_patched() -> bool {
    false
}

#[cfg(debug_assertions)]
thread_local! {
    static PATCHED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// What runs on this thread from here on is patched, or not.
#[cfg(debug_assertions)]
pub fn patch(is: bool) {
    PATCHED.with(|patched| patched.set(is));
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
pub fn patch(_: bool) {}

/// Switches a fault on for this thread, and any other off.
#[cfg(debug_assertions)]
pub fn switch(fault: Option<Fault>) {
    ON.with(|on| on.set(fault));
}
