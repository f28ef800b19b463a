//! File descriptors: each connection needs one, and a server without free ones can't answer.

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a server needs besides connections and the pools of the database: its own files, the runtime, metrics, and files
/// that are open for a moment.
const RESERVED: usize = 40;
/// Each connection to the database opens the file and its write-ahead log.
const PER_DATABASE_CONNECTION: usize = 2;
/// With fewer connections, a server is of no use.
const MIN_CONNECTIONS: usize = 8;

/// Raises the limit as far as possible, because the usual soft limit of 1024 is below --max-connections. Returns how many
/// connections can be open: the requested number, or fewer with a warning. `pooled` is the number of connections to the
/// database.
pub(super) fn raise_limit(asked: usize, pooled: usize) -> Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let current = getrlimit(Resource::Nofile).current; // where there is none, it is endless
    let limit = current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let reserved = RESERVED + PER_DATABASE_CONNECTION * pooled;
    let possible = limit.saturating_sub(reserved);
    if possible >= asked {
        return Ok(asked);
    }
    if possible < MIN_CONNECTIONS {
        let needed = reserved + MIN_CONNECTIONS.min(asked);
        bail!(
            "the limit of open files is {limit}, and at least {needed} are needed; raise it (ulimit -n, LimitNOFILE=)"
        );
    }
    tracing::warn!(
        "--max-connections is {possible} instead of {asked}, because the limit of open files is {limit}; raise the limit to {} (ulimit -n, LimitNOFILE=)",
        reserved + asked
    );
    Ok(possible)
}
