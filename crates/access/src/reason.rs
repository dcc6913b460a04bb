//! Verdicts and their reasons, with texts and numbers that stay.

use std::fmt;

/// The judgement on a transaction: a function of the set of blocks held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It counts.
    Accepted,
    /// It is hidden, listed with this reason, and comes back when the reason falls away.
    Void(Reason),
}

impl Verdict {
    /// True when it counts.
    pub fn is_accepted(self) -> bool {
        self == Verdict::Accepted
    }

    /// Number in the store: 0 for accepted, else the reason's.
    pub fn code(self) -> u8 {
        match self {
            Verdict::Accepted => 0,
            Verdict::Void(r) => r as u8,
        }
    }

    /// Reads [`Verdict::code`].
    pub fn from_code(code: u8) -> Option<Self> {
        if code == 0 {
            return Some(Verdict::Accepted);
        }
        Reason::ALL.into_iter().find(|r| *r as u8 == code).map(Verdict::Void)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Accepted => f.write_str("accepted"),
            Verdict::Void(r) => write!(f, "void: {r}"),
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)+) => {
        /// Why a transaction is void.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name = $code,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: [Reason; [$($code),+].len()] = [$(Reason::$name),+];

            /// What a person reads.
            pub fn text(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)+
                }
            }
        }
    };
}

reasons! {
    /// No admission of the author holds in the causal past.
    NotMember = 1, "the author is not a member";
    /// The author is a reader or relay.
    RoleDoesNotWrite = 2, "the author's role does not write";
    /// The author was removed in the causal past.
    Removed = 3, "the author had been removed";
    /// The transaction lies beyond what a removal of its author had seen.
    BeyondRemoval = 4, "written beyond the author's removal";
    /// The account does not exist in the causal past.
    UnknownAccount = 5, "the account does not exist";
    /// The account did not delegate to the author in the causal past.
    NoDelegation = 6, "the account has not delegated to the author";
    /// The delegation had ended by the block's stamp.
    DelegationExpired = 7, "the account's delegation to the author has expired";
    /// The delegation was taken back in the causal past.
    Undelegated = 8, "the account's delegation to the author had been taken back";
    /// The transaction lies beyond what an undelegation had seen.
    BeyondUndelegation = 9, "written beyond the end of the account's delegation";
    /// No grant permits it in the causal past.
    NotGranted = 10, "the account was not granted what this needs";
    /// The grants that would permit it had ended by the block's stamp.
    GrantExpired = 11, "the grant that this needs has expired";
    /// The grants that would permit it were revoked in the causal past.
    Revoked = 12, "the grant that this needs had been revoked";
    /// The transaction lies beyond what a revocation of the grant had seen.
    BeyondRevocation = 13, "written beyond the revocation of the grant that this needs";
    /// The account was dropped in the causal past.
    Dropped = 14, "the account had been dropped";
    /// The transaction lies beyond what the drop of its account had seen.
    BeyondDrop = 15, "written beyond the drop of the account";
    /// Members, tickets and rules are changed by owners.
    NotOwner = 16, "only an owner may do this";
    /// Accounts are made by accounts that hold all privileges.
    AccountNotOwner = 17, "only an account with all privileges may do this";
    /// A genesis change outside the genesis block, or a genesis block of another shape.
    NotGenesis = 18, "a genesis change that is not the realm's";
    /// A removal with something else in one transaction.
    MixedRemoval = 19, "a removal must be alone in its transaction";
    /// The ticket is not enrolled in the causal past.
    UnknownTicket = 20, "the ticket is not enrolled";
    /// The ticket had expired by the block's stamp.
    TicketExpired = 21, "the ticket has expired";
    /// Other nodes used the ticket up, earlier in write order.
    TicketUsedUp = 22, "the ticket was used up";
    /// The role is not the ticket's.
    TicketRole = 23, "the ticket gives another role";
    /// The ticket key did not sign this node.
    BadAdmission = 24, "the admission is not signed by the ticket";
    /// The account id is not derived from name, host and key.
    BadAccountId = 25, "the account's id is not its own";
    /// The account's key did not sign this delegation.
    BadDelegation = 26, "the delegation is not signed by the account";
    /// The rules number is not the one after the present one.
    RulesNotNext = 28, "the rules number is not the next one";
    /// Roles have no keys and do not act.
    RoleActs = 30, "a role cannot act or have keys";
    /// Access changes with others in one transaction.
    MixedAccess = 32, "changes of access must be alone in their transaction";
    /// Who gives or takes a privilege has it, with GRANT OPTION.
    NotGrantable = 31, "the account may not give this privilege, or take it";
    /// The ticket names another node.
    TicketOfAnother = 33, "the ticket is for another node";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
