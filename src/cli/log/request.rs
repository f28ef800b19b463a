//! The log line of an answered request. It is formatted by hand, because there are tens of thousands a second under load,
//! and the general formatter costs several times as much.

use crate::{config::LogFormat, domain::Timestamp, http::REQUEST_TARGET};
use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Formats all events as `others` does, and those of answered requests faster.
pub(super) struct Lines<F> {
    pub format: LogFormat,
    pub others: F,
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() == REQUEST_TARGET {
            return write_line(self.format, SystemTime::now(), writer, event);
        }
        self.others.format_event(ctx, writer, event)
    }
}

fn write_line(format: LogFormat, now: SystemTime, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
    match format {
        LogFormat::Text => {
            write_time(&mut writer, now)?;
            for text in ["  ", level, " ", target, ":"] {
                writer.write_str(text)?;
            }
        }
        LogFormat::Json => {
            writer.write_str("{\"timestamp\":\"")?;
            write_time(&mut writer, now)?;
            for text in ["\",\"level\":\"", level, "\""] {
                writer.write_str(text)?;
            }
        }
    }
    let mut fields = Fields { format, writer, result: Ok(()) };
    event.record(&mut fields);
    let Fields { mut writer, result, .. } = fields;
    result?;
    match format {
        LogFormat::Text => writer.write_char('\n'),
        LogFormat::Json => writeln!(writer, ",\"target\":\"{target}\"}}"),
    }
}

/// RFC 3339 in UTC with microseconds, as the other lines have it.
fn write_time(writer: &mut Writer<'_>, now: SystemTime) -> fmt::Result {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = Timestamp::from_millis(i64::try_from(since.as_secs() * 1000).unwrap_or(i64::MAX)).rfc3339();
    let mut fraction = *b".000000Z";
    let mut rest = since.subsec_micros();
    for digit in fraction[1..7].iter_mut().rev() {
        *digit += u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    for part in [&seconds[..19], &fraction] {
        writer.write_str(std::str::from_utf8(part).map_err(|_| fmt::Error)?)?;
    }
    Ok(())
}

/// Writes each field as it comes. The fields of a request's line need neither quotes nor escapes.
struct Fields<'w> {
    format: LogFormat,
    writer: Writer<'w>,
    result: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, quote: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.try_write(field, quote, value);
        }
    }

    fn try_write(
        &mut self,
        field: &Field,
        quote: &str,
        value: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let (name, writer) = (field.name(), &mut self.writer);
        match self.format {
            LogFormat::Text if name == "message" => {
                writer.write_char(' ')?;
                value(writer)
            }
            LogFormat::Text => {
                for text in [" ", name, "="] {
                    writer.write_str(text)?;
                }
                value(writer)
            }
            LogFormat::Json => {
                for text in [",\"", name, "\":", quote] {
                    writer.write_str(text)?;
                }
                value(writer)?;
                writer.write_str(quote)
            }
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, "\"", |writer| writer.write_str(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, "", |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, "", |writer| write!(writer, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, "\"", |writer| write!(writer, "{value:?}"));
    }
}
