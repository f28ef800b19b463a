//! Deleting the rows of sessions that have ended.

use crate::{
    app::core::Core,
    domain::{Error, Timestamp},
    store::Writer,
};

/// How many rows are examined at a time.
const SWEEP_BATCH: u32 = 1_000;

/// Deletes the rows of sessions that ended before `expired`. All rows are examined, a few at a time, so that other
/// writers need not wait.
pub(in crate::app) async fn sweep(core: &Core, expired: Timestamp) -> Result<(), Error> {
    let unused = expired - core.policy.sessions.idle_timeout;
    let mut place = 0;
    loop {
        let looked_at = core.survey(move |reader| reader.ended_sessions(expired, unused, place, SWEEP_BATCH));
        let Some((mut ended, last)) = looked_at.await? else { return Ok(()) };
        place = last;
        while !ended.is_empty() {
            let sweep = move |writer: &mut Writer<'_>| writer.sweep_sessions(ended.clone(), expired, unused);
            ended = core.maintain(sweep).await?;
        }
    }
}
