//! Lines that the service's own modules log, as values: made only while somebody wants them.

use std::fmt;

use overdub_actors::clock;
use overdub_actors::events::{EventHub, LogLevel, LogLine};
use overdub_actors::log_files::LogFiles;
use overdub_actors::redact::redact_text;
use overdub_actors::settings::StreamId;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Modules of other crates log for developers.
const OWN: &str = "overdub";

/// Gives lines to `events`, and those of a stream to its file too.
pub fn layer<S>(events: EventHub, files: Option<LogFiles>) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let (listened, kept) = (events.clone(), files.is_some());
    // Who listens changes, so that a call site's answer must not be kept.
    let wanted = dynamic_filter_fn(move |metadata: &Metadata<'_>, _: &Context<'_, S>| {
        metadata.target().starts_with(OWN)
            && (kept && is_kept(metadata) || listened.wants_logs(LogLevel::from(metadata.level())))
    });
    let wanted = wanted.with_max_level_hint(LevelFilter::DEBUG).with_callsite_filter(|metadata| {
        if metadata.target().starts_with(OWN) { Interest::sometimes() } else { Interest::never() }
    });
    Lines { events, files }.with_filter(wanted)
}

/// Whether a stream's file keeps such lines.
fn is_kept(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO && metadata.fields().field("stream").is_some()
}

struct Lines {
    events: EventHub,
    files: Option<LogFiles>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = line(event);
        self.events.tell_log(&line);
        if let Some(files) = &self.files
            && is_kept(event.metadata())
        {
            files.write(line);
        }
    }
}

fn line(event: &Event<'_>) -> LogLine {
    let mut read = Read::default();
    event.record(&mut read);
    LogLine {
        at: clock::now(),
        level: LogLevel::from(event.metadata().level()),
        target: event.metadata().target().to_owned(),
        message: read.message,
        stream_id: read.stream,
        fields: read.fields,
    }
}

/// An event's fields, secrets hidden.
#[derive(Default)]
struct Read {
    message: String,
    stream: Option<StreamId>,
    fields: Map<String, Value>,
}

impl Read {
    fn text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "message" => self.message = redact_text(text).into_owned(),
            "stream" if StreamId::new(text).is_ok() => self.stream = StreamId::new(text).ok(),
            name => _ = self.fields.insert(name.to_owned(), redact_text(text).into()),
        }
    }

    fn value(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Read {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use overdub_actors::events::Heard;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_streams_lines_are_kept_in_its_file_though_nobody_listens() {
        let storage = tempfile::tempdir().unwrap();
        let files = LogFiles::start(storage.path()).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer(EventHub::default(), Some(files.clone())));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(stream = "news", reason = "rtmp://h/live/hunter2 refused", "output down");
            tracing::debug!(stream = "news", "too small to keep");
            tracing::error!("of no stream");
        });
        files.settle();
        let text = std::fs::read_to_string(storage.path().join("logs/news/processing.log")).unwrap();
        let line: Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"warn".into(), &"output down".into()));
        assert_eq!(line["fields"]["reason"], "rtmp://h/live/*** refused");
    }

    #[tokio::test]
    async fn listeners_hear_lines_as_values_without_secrets() {
        let events = EventHub::default();
        let mut listener = events.subscribe(Some(LogLevel::Info)).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer(events, None));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(stream = "news", "not asked for");
            tracing::info!(target: "actix_http", "of another crate");
            let id = StreamId::new("news").unwrap();
            let source = "http://u:hunter2@h/x";
            tracing::info!(stream = %id, batch = 7_u64, ok = true, source, "sent to {source}");
        });
        let Heard::Event(event) = listener.next(None).await else { panic!("no event") };
        assert_eq!(
            (event.level, event.stream.as_ref().map(StreamId::as_str)),
            (Some(LogLevel::Info), Some("news"))
        );
        let json: Value = serde_json::from_str(&event.text).unwrap();
        assert_eq!(json["type"], "log");
        assert_eq!(json["streamId"], "news");
        assert_eq!(json["message"], "sent to http://***:***@h/x");
        let fields = serde_json::json!({ "batch": 7, "ok": true, "source": "http://***:***@h/x" });
        assert_eq!(json["fields"], fields);
    }
}
