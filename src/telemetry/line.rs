//! How one log record becomes one line.
//!
//! Refuses: line breaks and control characters inside a line, whatever a field holds; a line that holds a secret.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
    },
    registry::LookupSpan,
};

use crate::{
    clock,
    secrets::guard::{self, Hit, Outlet},
};

/// `{"ts":"…","level":"info","msg":"…","grant.id":"…"}`
pub(super) struct JsonLine;

/// `12:00:00.000 INFO  message  grant.id=g1`
pub(super) struct Human;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = |level: &str, record: Record| {
            let mut line = format!("{{\"ts\":\"{}\",\"level\":\"{level}\"", timestamp());
            let _ = write!(line, ",\"msg\":{}", Value::from(record.message));
            for (name, value) in record.fields {
                let _ = write!(line, ",{}:{value}", Value::from(name));
            }
            line + "}"
        };
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let text = line(&level, Record::of(event));
        match guard::judge(Outlet::Log, text.as_bytes(), None) {
            Ok(()) => writeln!(writer, "{text}"),
            Err(hit) => writeln!(writer, "{}", line("error", Record::withheld(hit))),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut record = Record::of(event);
        let mut level = *event.metadata().level();
        if let Err(hit) = guard::judge(Outlet::Log, format!("{record:?}").as_bytes(), None) {
            (record, level) = (Record::withheld(hit), Level::ERROR);
        }
        let now = timestamp();
        let time = now.get(11..23).unwrap_or(&now);
        match colour(level).filter(|_| writer.has_ansi_escapes()) {
            Some(code) => write!(writer, "{time} \u{1b}[{code}m{level:<5}\u{1b}[0m ")?,
            None => write!(writer, "{time} {level:<5} ")?,
        }
        write!(writer, "{}", one_line(&record.message))?;
        for (name, value) in record.fields {
            let text = value.as_str().map_or_else(|| value.to_string(), one_line);
            write!(writer, "  {}={text}", one_line(&name))?;
        }
        writeln!(writer)
    }
}

/// What is said once somebody reads again.
pub(super) fn lost(human: bool, lines: u64) -> String {
    let (now, message) = (timestamp(), "log: nobody took these lines; the journal has what must not be lost");
    if human {
        let time = now.get(11..23).unwrap_or(&now);
        return format!("{time} {:<5} {message}  lines={lines}\n", Level::WARN);
    }
    format!("{{\"ts\":\"{now}\",\"level\":\"warn\",\"msg\":\"{message}\",\"lines\":{lines}}}\n")
}

fn colour(level: Level) -> Option<u8> {
    match level {
        Level::ERROR => Some(31),
        Level::WARN => Some(33),
        Level::INFO => Some(32),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, c| {
        if c.is_control() {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
        line
    })
}

fn timestamp() -> String {
    jiff::Timestamp::from_millisecond(clock::now().wall.0)
        .map_or_else(|_| "0000-00-00T00:00:00.000Z".to_owned(), |at| format!("{at:.3}"))
}

#[derive(Debug, Default)]
struct Record {
    message: String,
    fields: Map<String, Value>,
}

impl Record {
    fn of(event: &Event<'_>) -> Self {
        let mut record = Self::default();
        event.record(&mut record);
        record
    }

    /// What stands in the place of a line that held a secret.
    fn withheld(hit: Hit) -> Self {
        let message = "egress: a line of the log was withheld, because it held a secret".to_owned();
        let mut record = Self { message, ..Self::default() };
        record.fields.insert("secret.sha256".to_owned(), hit.secret.into());
        record
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = match field.name() {
            // These three head every line and appear once.
            "ts" | "level" | "msg" => format!("field.{}", field.name()),
            name => name.to_owned(),
        };
        self.fields.insert(name, value);
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.put(field, value.into()),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.put(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use serde_json::json;
    use tracing_subscriber::{fmt::layer, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged<F>(format: F, act: impl FnOnce()) -> String
    where
        F: FormatEvent<tracing_subscriber::Registry, tracing_subscriber::fmt::format::DefaultFields>
            + Send
            + Sync
            + 'static,
    {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = layer().with_ansi(false).event_format(format).with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_json_line_is_flat_with_dotted_names() {
        let line = logged(
            JsonLine,
            || tracing::warn!(grant.id = %"g1", attempts = 3_u64, role = "Help \"Desk\"", "took\nlong"),
        );
        assert_eq!(line.lines().count(), 1, "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["grant.id"], "g1");
        assert_eq!(value["attempts"], 3);
        assert_eq!(value["role"], "Help \"Desk\"");
        assert_eq!((&value["level"], &value["msg"]), (&json!("warn"), &json!("took\nlong")));
        let ts = value["ts"].as_str().unwrap();
        assert!(ts.len() == 24 && ts.ends_with('Z'), "{ts}");
    }

    #[test]
    fn a_field_cannot_pose_as_the_head_of_the_line() {
        let line = logged(JsonLine, || tracing::info!(level = "high", "grant ended"));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["level"], &value["field.level"]), (&json!("info"), &json!("high")));
    }

    #[test]
    fn no_field_can_break_a_human_line_or_colour_it() {
        let line = logged(Human, || tracing::info!(role = "a\n\u{1b}[31mb", "x\ny"));
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(!line.contains('\u{1b}') && line.contains("INFO  x\\ny  role="), "{line:?}");
    }

    #[test]
    fn a_line_that_would_hold_a_live_secret_is_withheld_and_told_in_its_place() {
        let text = "jca_log-line-canary/5e1f";
        let act = || tracing::info!(body = %format!("it was {text}"), "an answer {text}");
        let secret = crate::secrets::Secret::new(text.to_owned());
        for line in [logged(JsonLine, act), logged(Human, act)] {
            assert!(!line.contains("canary") && line.contains(&secret.digest()), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
        drop(secret);
        assert!(logged(JsonLine, act).contains("canary") && logged(Human, act).contains("canary"));
    }
}
