//! The definitions of `mayfly mesh auth`, `mayfly mesh user` and `mayfly mesh role`.

use super::range::Range;
use super::target::Target;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Subcommand, Debug)]
pub enum AuthCommand {
    /// Look at who asks from now on: user root must be there, and have role root
    Enable(Target),
    /// Let everybody do everything
    Disable(Target),
    /// Show whether it is looked at who asks
    Status(Target),
}

#[derive(Subcommand, Debug)]
pub enum UserCommand {
    /// Add a user; its password is asked for, or that of the variable MAYFLY_MESH_NEW_PASSWORD, or the first line of standard input
    Add {
        /// Its name
        name: String,
        /// It has no password, now and for ever: only a certificate can say who it is
        #[arg(long)]
        no_password: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Show the roles of a user
    Get(OneName),
    /// List the users
    List(Target),
    /// Delete a user: whoever is logged in as it is so no more
    Delete(OneName),
    /// Give a user another password, which comes from where that of a new one does
    Passwd(OneName),
    /// Give a user a role; role root makes it an administrator
    GrantRole {
        /// The user
        name: String,
        /// The role
        role: String,
        #[command(flatten)]
        target: Target,
    },
    /// Take a role from a user
    RevokeRole {
        /// The user
        name: String,
        /// The role
        role: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Subcommand, Debug)]
pub enum RoleCommand {
    /// Add a role, which allows nothing yet
    Add(OneName),
    /// Show what a role allows
    Get(OneName),
    /// List the roles
    List(Target),
    /// Delete a role, and take it from all users
    Delete(OneName),
    /// Let a role read or write keys
    GrantPermission {
        /// The role
        name: String,
        /// What it may do
        what: What,
        #[command(flatten)]
        range: Range,
        #[command(flatten)]
        target: Target,
    },
    /// Take a permission from a role: the one for exactly this range
    RevokePermission {
        /// The role
        name: String,
        #[command(flatten)]
        range: Range,
        #[command(flatten)]
        target: Target,
    },
}

/// What may be done with keys.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Read,
    Write,
    Readwrite,
}

#[derive(Args, Debug)]
pub struct OneName {
    /// Which one
    pub name: String,
    #[command(flatten)]
    pub target: Target,
}
