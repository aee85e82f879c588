//! The tables of the module, and reading them: the same for a reader and within a write.

use crate::module::Fault;
use crate::proto::authpb::{Role, User};
use prost::Message;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

/// `enabled`, `revision`, `tick`.
pub(super) const STATE: TableDefinition<&str, u64> = TableDefinition::new("auth.state");
pub(super) const USERS: TableDefinition<&str, &[u8]> = TableDefinition::new("auth.users");
pub(super) const ROLES: TableDefinition<&str, &[u8]> = TableDefinition::new("auth.roles");
/// The index of the entry that made it → the digest of its secret, whose it is, and the tick in which it was last used.
pub(super) const TOKENS: TableDefinition<u64, (&[u8], &str, u64)> = TableDefinition::new("auth.tokens");

/// Names in `auth.state`.
const ENABLED: &str = "enabled";
const REVISION: &str = "revision";
const TICK: &str = "tick";

/// What holds for all users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Are callers looked at?
    pub(crate) enabled: bool,
    /// Moves with every change of users, roles and permissions.
    pub(crate) revision: u64,
    /// The time of tokens: how many tenths of a life it is that they were watched.
    pub(crate) tick: u64,
}

impl State {
    /// Before anybody was added.
    pub(super) const NEW: Self = Self { enabled: false, revision: 1, tick: 0 };

    fn read(table: &impl ReadableTable<&'static str, u64>) -> Result<Self, Fault> {
        let value = |name: &str| -> Result<u64, Fault> {
            let value = table.get(name)?.map(|guard| guard.value());
            value.ok_or_else(|| Fault::Damaged(format!("the state of auth lacks {name}")))
        };
        Ok(Self { enabled: value(ENABLED)? != 0, revision: value(REVISION)?, tick: value(TICK)? })
    }

    pub(super) fn keep(self, transaction: &WriteTransaction) -> Result<(), Fault> {
        let mut table = transaction.open_table(STATE)?;
        table.insert(ENABLED, u64::from(self.enabled))?;
        table.insert(REVISION, self.revision)?;
        table.insert(TICK, self.tick)?;
        Ok(())
    }
}

/// A token that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(super) digest: [u8; 32],
    pub(super) user: String,
    /// The tick in which it was last used.
    pub(super) used: u64,
}

impl Token {
    fn read((digest, user, used): (&[u8], &str, u64)) -> Result<Self, Fault> {
        let digest = digest.try_into().map_err(|_| Fault::Damaged("a token has no digest".into()))?;
        Ok(Self { digest, user: user.into(), used })
    }
}

/// A state that can be read.
pub(crate) trait Look {
    /// What holds for all.
    ///
    /// # Errors
    /// The database; so all of them.
    fn state(&self) -> Result<State, Fault>;
    fn user(&self, name: &str) -> Result<Option<User>, Fault>;
    fn role(&self, name: &str) -> Result<Option<Role>, Fault>;
    /// By name.
    fn users(&self) -> Result<Vec<User>, Fault>;
    /// By name.
    fn roles(&self) -> Result<Vec<Role>, Fault>;
    fn token(&self, index: u64) -> Result<Option<Token>, Fault>;
    /// By index.
    fn tokens(&self) -> Result<Vec<(u64, Token)>, Fault>;
}

macro_rules! readers {
    ($($transaction:ty),*) => {$(
        impl Look for $transaction {
            fn state(&self) -> Result<State, Fault> {
                State::read(&self.open_table(STATE)?)
            }

            fn user(&self, name: &str) -> Result<Option<User>, Fault> {
                record(&self.open_table(USERS)?, name)
            }

            fn role(&self, name: &str) -> Result<Option<Role>, Fault> {
                record(&self.open_table(ROLES)?, name)
            }

            fn users(&self) -> Result<Vec<User>, Fault> {
                records(&self.open_table(USERS)?)
            }

            fn roles(&self) -> Result<Vec<Role>, Fault> {
                records(&self.open_table(ROLES)?)
            }

            fn token(&self, index: u64) -> Result<Option<Token>, Fault> {
                self.open_table(TOKENS)?.get(index)?.map(|row| Token::read(row.value())).transpose()
            }

            fn tokens(&self) -> Result<Vec<(u64, Token)>, Fault> {
                let mut found = Vec::new();
                for row in self.open_table(TOKENS)?.iter()? {
                    let (index, token) = row?;
                    found.push((index.value(), Token::read(token.value())?));
                }
                Ok(found)
            }
        }
    )*};
}

readers!(ReadTransaction, WriteTransaction);

fn record<M: Message + Default>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<M>, Fault> {
    table.get(name)?.map(|bytes| decode(bytes.value())).transpose()
}

fn records<M: Message + Default>(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Vec<M>, Fault> {
    let mut found = Vec::new();
    for row in table.iter()? {
        found.push(decode(row?.1.value())?);
    }
    Ok(found)
}

pub(super) fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, Fault> {
    M::decode(bytes).map_err(|_| Fault::Damaged("a record of auth is not one".into()))
}

/// The name of a user or a role, as its table has it.
pub(super) fn name_of(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Damaged("a name of auth is no text".into()))
}

pub(super) fn keep_user(transaction: &WriteTransaction, user: &User) -> Result<(), Fault> {
    transaction.open_table(USERS)?.insert(name_of(&user.name)?, &user.encode_to_vec()[..])?;
    Ok(())
}

pub(super) fn keep_role(transaction: &WriteTransaction, role: &Role) -> Result<(), Fault> {
    transaction.open_table(ROLES)?.insert(name_of(&role.name)?, &role.encode_to_vec()[..])?;
    Ok(())
}

pub(super) fn keep_token(transaction: &WriteTransaction, index: u64, token: &Token) -> Result<(), Fault> {
    transaction.open_table(TOKENS)?.insert(index, (&token.digest[..], &token.user[..], token.used))?;
    Ok(())
}
