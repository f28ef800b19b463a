//! What the words mean: accounts, passwords, sessions, audit events, and the ways to fail.
//!
//! No I/O here, and no knowledge of HTTP, SQL or the command line. A value that somebody typed becomes one of these types
//! only through its `parse` (a password's: `accept` and `attempt`), and what that refuses never reaches the floors above.

mod audit;
mod caller;
mod error;
mod password;
mod session;
mod time;
mod user;

pub use audit::{Action, AuditEvent, ChainHash};
pub use caller::{Actor, Caller, Client};
pub use error::{Error, Faults};
pub use password::{Blocklist, Password, PasswordHash, PasswordPolicy};
pub use session::{NewSession, Session, SessionId, SessionLimits, SessionToken, SignedIn, TokenHash, random_text};
pub use time::Timestamp;
pub use user::{Credentials, EmailAddress, NewUser, Role, User, UserChanges, UserId, UserUpdate, Username};
