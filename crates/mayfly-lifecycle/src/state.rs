//! The states of an instance, the moves between them, and why a life ends.
use std::fmt;

/// Where an instance is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// A task was given; nothing was built.
    Described,
    /// There are a plan and parameters; nothing lives.
    Planned,
    /// It answers.
    Live,
    /// Its values lie on disk under a key that only the vault has.
    Sealed,
    /// Its values are being wiped.
    Dissolving,
    /// Nothing is left but its certificate.
    Dissolved,
    /// It never came to live, or no longer can.
    Failed,
}

/// Every legal move; there is no other.
const MOVES: &[(State, State)] = &[
    (State::Described, State::Planned),
    (State::Described, State::Failed),
    (State::Planned, State::Live),
    (State::Planned, State::Failed),
    (State::Live, State::Sealed),
    (State::Live, State::Dissolving),
    (State::Live, State::Failed),
    (State::Sealed, State::Live),
    (State::Sealed, State::Dissolving),
    (State::Dissolving, State::Dissolved),
];

impl State {
    /// All of them, in the order of a life.
    pub const ALL: [State; 7] = [
        State::Described,
        State::Planned,
        State::Live,
        State::Sealed,
        State::Dissolving,
        State::Dissolved,
        State::Failed,
    ];

    /// Whether the table of moves has this one.
    pub fn may_become(self, next: State) -> bool {
        MOVES.contains(&(self, next))
    }

    /// Moves on, if the table has the move. Returns whether it has.
    pub(crate) fn advance(&mut self, next: State) -> bool {
        let may = self.may_become(next);
        if may {
            *self = next;
        }
        may
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            State::Described => "described",
            State::Planned => "planned",
            State::Live => "live",
            State::Sealed => "sealed",
            State::Dissolving => "dissolving",
            State::Dissolved => "dissolved",
            State::Failed => "failed",
        };
        write!(f, "{name}")
    }
}

/// Why a life ended. The numbers stand in certificates and never change their meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// Its owner dissolved it.
    Asked = 1,
    /// Its owner dropped it.
    Dropped = 2,
    /// Its time was over.
    Ttl = 3,
    /// Nobody called it for too long.
    Idle = 4,
    /// It answered as often as it was to.
    Budget = 5,
    /// A call panicked.
    Panic = 6,
    /// Its host shut down.
    Shutdown = 7,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 7] =
        [Reason::Asked, Reason::Dropped, Reason::Ttl, Reason::Idle, Reason::Budget, Reason::Panic, Reason::Shutdown];

    /// Its name in certificates and figures.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Asked => "asked",
            Reason::Dropped => "dropped",
            Reason::Ttl => "ttl",
            Reason::Idle => "idle",
            Reason::Budget => "budget",
            Reason::Panic => "panic",
            Reason::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_the_design_says() {
        let can = |from: State| State::ALL.into_iter().filter(|to| from.may_become(*to)).collect::<Vec<_>>();
        assert_eq!(can(State::Described), [State::Planned, State::Failed]);
        assert_eq!(can(State::Planned), [State::Live, State::Failed]);
        assert_eq!(can(State::Live), [State::Sealed, State::Dissolving, State::Failed]);
        assert_eq!(can(State::Sealed), [State::Live, State::Dissolving]);
        assert_eq!(can(State::Dissolving), [State::Dissolved]);
        assert!(can(State::Dissolved).is_empty() && can(State::Failed).is_empty());
    }

    #[test]
    fn only_legal_moves_move() {
        for from in State::ALL {
            for to in State::ALL {
                let mut state = from;
                assert_eq!(state.advance(to), from.may_become(to));
                assert_eq!(state, if from.may_become(to) { to } else { from });
            }
        }
    }
}
