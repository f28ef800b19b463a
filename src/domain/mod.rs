//! What the words mean: accounts, passwords, sessions, audit events, origins, and the ways to fail.
//!
//! No I/O here, and no knowledge of HTTP, SQL or the command line. A value that somebody typed becomes one of these types
//! only through its `parse` (a password's: `accept` and `attempt`), and what that refuses never reaches the floors above.

mod app;
mod app_token;
mod audit;
mod caller;
mod chain;
mod clock_watch;
mod day;
mod display_name;
mod entry;
mod error;
mod group;
mod history;
mod id;
mod invitation;
mod object;
mod origin;
mod page;
mod password;
mod session;
mod time;
mod token;
mod user;
mod words;

pub use app::{App, AppAccess, AppChanges, AppSelector, AppStatus, DamagedApp, NewApp};
pub use app_token::{AppToken, NewAppToken, ShownAppToken};
pub use audit::{Action, AuditCursor, AuditEntry, AuditEvent, AuditFilter, AuditLimits};
pub use caller::{Actor, Caller, Client, ClientPrefix, Network, UNDECLARED_PROXY};
pub use chain::{ChainFault, ChainHash, ChainPoint, ChainWalk, ChainedEntry};
pub use clock_watch::ClockWatch;
pub use day::{ChartLength, Charted, Day, DayCounts};
pub use display_name::DisplayName;
pub use entry::{AppPath, AppSession, Door, EnteredApp, EntryCodeState, Flow, LastAsked, NewEntryCode, NonceHash};
pub use error::{Error, Faults};
pub use group::{DamagedGroup, Group, GroupName, GroupSelector};
pub use history::{HistoryActor, HistoryEntry};
pub use id::{AppId, AppTokenId, GroupId, InvitationId, UserId};
pub use invitation::{DamagedInvitation, Invitation, InvitationCount, NewInvitation, Registration};
pub use object::{StrictObject, plain_name};
pub use origin::Origin;
pub use page::{Page, PageSize, SearchPrefix, SortKey, SortValue, UserCursor, UserFilter, UserSort};
pub use password::{Blocklist, Password, PasswordHash, PasswordPolicy};
pub use session::{
    NewSession, Session, SessionDetails, SessionId, SessionKind, SessionLimits, SignedIn, USER_AGENT_LENGTH, WithApp,
};
pub use time::Timestamp;
pub use token::{
    AppSessionToken, AppTokenSecret, BrowserToken, EntryCode, InvitationToken, Kind, KnownBrowserToken, OfInvitation,
    OfReset, OfSetup, ResetToken, SessionToken, SetupToken, Token, TokenHash, begins_as_a_token, random_text,
};
pub use user::{
    Credentials, DamagedUser, EmailAddress, NewUser, Role, User, UserChanges, UserRecord, UserSelector, UserUpdate,
    Username, fold,
};
pub use words::Usernames;
