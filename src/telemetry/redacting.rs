//! A writer that hides secrets in what passes through.

use std::io::{self, Write};

use overdub_actors::redact::redact_text;
use tracing_subscriber::fmt::MakeWriter;

/// Makes writers that hide secrets. A line is written in one call, so that none is cut in two.
pub struct Redacting<M>(pub M);

/// See [`Redacting`].
pub struct RedactingWriter<W>(W);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Redacting<M> {
    type Writer = RedactingWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactingWriter(self.0.make_writer())
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(redact_text(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn neither_form_of_the_log_bears_a_secret() {
        for json in [false, true] {
            let kept = Kept::default();
            let writer = kept.clone();
            let layer = tracing_subscriber::fmt::layer().with_writer(Redacting(move || writer.clone()));
            let layer = if json { layer.json().boxed() } else { layer.boxed() };
            let url = "rtmp://host/live/hunter2";
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                tracing::warn!(url, debug = ?url, "push to {url} failed: Bearer hunter2");
            });
            let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.matches("rtmp://host/live/***").count(), 3, "{text}");
            assert!(!text.contains("hunter2"), "{text}");
            assert_eq!(json, serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }
}
