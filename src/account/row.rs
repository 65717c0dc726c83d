//! Sessions and tokens as they are kept and saved. A secret itself is nowhere: only its SHA-256.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How far a token reaches. A session reaches as far as its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Looks, changes nothing.
    Read,
    /// What a manager may.
    Operate,
    /// All that its user may.
    Admin,
}

impl Reach {
    pub const ALL: [Reach; 3] = [Reach::Read, Reach::Operate, Reach::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Reach::Read => "read",
            Reach::Operate => "operate",
            Reach::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Reach> {
        Reach::ALL.into_iter().find(|reach| reach.as_str() == text)
    }
}

/// A browser that has signed in. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    pub hash: [u8; 32],
    pub user: String,
    pub made: i64,
    pub used: i64,
    /// Signed in with "keep me signed in".
    pub remember: bool,
    pub address: Option<IpAddr>,
    /// Of the account when it was made: with another password or role it is not valid any more.
    pub stamp: u64,
}

/// A token of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRow {
    pub hash: [u8; 32],
    pub user: String,
    pub name: String,
    pub reach: Reach,
    pub made: i64,
    pub used: Option<i64>,
    /// `None`: never.
    pub expires: Option<i64>,
}
