//! `overdub processor`, driven by the link and by npm's `socket.io-client`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use overdub_actors::link::{LinkConfig, ProcessorLink};
use overdub_actors::messages::{
    ChildEvent, ChildId, Fragment, FragmentFault, FragmentMetadata, LinkEvent, Report, Reporter, SendFragment,
};
use overdub_actors::settings::StreamId;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const DEADLINE: Duration = Duration::from_secs(30);
const RATE: u32 = 48_000;

/// A running processor; ends with this value.
struct Processor {
    child: Child,
    url: String,
}

impl Processor {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_overdub"))
            .args(["processor", "--port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("processor listening on ").expect("an address").to_owned();
        Self { child, url }
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Ear(mpsc::UnboundedSender<LinkEvent>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<Report> for Ear {
    type Result = ();
    fn handle(&mut self, report: Report, _: &mut Self::Context) {
        if let ChildEvent::Link(event) = report.event {
            let _ = self.0.send(event);
        }
    }
}

/// A link to a processor, connected.
struct Kit {
    link: Addr<ProcessorLink>,
    events: mpsc::UnboundedReceiver<LinkEvent>,
    folder: tempfile::TempDir,
}

impl Kit {
    async fn connect(processor: &Processor, path: &str) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let child = ChildId::ProcessorLink("main".into());
        let reporter = Reporter {
            recipient: Ear(sender).start().recipient(),
            child,
            generation: 0,
            mailbox: Default::default(),
        };
        let config = LinkConfig {
            stream_id: StreamId::new("demo").unwrap(),
            rendition: "main".into(),
            url: format!("{}{path}", processor.url),
        };
        let link = ProcessorLink::new(config, reporter).start();
        let mut kit = Self { link, events, folder: tempfile::tempdir().unwrap() };
        let event = kit.next().await;
        assert!(matches!(event, LinkEvent::Connected), "{event:?}");
        kit
    }

    async fn next(&mut self) -> LinkEvent {
        timeout(DEADLINE, self.events.recv()).await.expect("an event in time").expect("a living link")
    }

    fn reply_path(&self, batch: u64) -> PathBuf {
        self.folder.path().join(format!("processed-{batch}"))
    }

    fn send(&self, batch: u64, audio: &[u8]) {
        let audio_path = self.folder.path().join(format!("audio-{batch}"));
        std::fs::write(&audio_path, audio).unwrap();
        let fragment = Fragment {
            id: format!("demo-{batch}"),
            stream_id: "demo".to_owned(),
            rendition: "main".to_owned(),
            language: None,
            sequence_number: batch,
            batch_number: batch,
            timestamp: 0,
            duration: 3029.3,
            codec: "aac".to_owned(),
            sample_rate: RATE,
            channels: 2,
            content_type: "audio/mp4".to_owned(),
            size: audio.len() as u64,
            metadata: FragmentMetadata {
                file_name: "audio.fmp4".to_owned(),
                file_size: audio.len() as u64,
                discontinuity: false,
            },
        };
        let reply_path = self.reply_path(batch);
        self.link.do_send(SendFragment { batch, fragment, audio_path, reply_path });
    }

    /// Sends one batch's audio and gives the answer's, with its metadata.
    async fn process(&mut self, audio: &[u8]) -> (Vec<u8>, Value) {
        self.send(3, audio);
        let event = self.next().await;
        assert!(matches!(event, LinkEvent::FragmentSent { batch: 3 }), "{event:?}");
        match self.next().await {
            LinkEvent::FragmentProcessed { batch: 3, metadata, .. } => {
                let metadata = serde_json::from_str(&metadata.unwrap()).unwrap();
                (std::fs::read(self.reply_path(3)).unwrap(), metadata)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn ffmpeg(args: &[&str]) -> Vec<u8> {
    succeed(Command::new("ffmpeg").args(["-v", "error", "-nostdin"]).args(args)).stdout
}

/// Three seconds of stereo noise as a batch's `audio.fmp4`: AAC frames from zero, no edit list.
fn noise() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let adts = folder.path().join("noise.aac");
    let adts = adts.to_str().unwrap();
    let source = "anoisesrc=seed=1:r=48000:a=0.5:c=pink,aformat=channel_layouts=stereo";
    ffmpeg(&["-f", "lavfi", "-i", source, "-t", "3", "-c:a", "aac", "-f", "adts", adts]);
    let flags = "+frag_keyframe+empty_moov+default_base_moof";
    ffmpeg(&["-i", adts, "-c", "copy", "-bsf:a", "aac_adtstoasc", "-movflags", flags, "-f", "mp4", "-"])
}

/// Every sample that the track decodes to, left channel, whatever an edit list says.
fn decode(mp4: &[u8]) -> Vec<f64> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), mp4).unwrap();
    let path = file.path().to_str().unwrap();
    let pcm = ffmpeg(&["-ignore_editlist", "1", "-i", path, "-af", "pan=mono|c0=c0", "-f", "s16le", "-"]);
    pcm.as_chunks::<2>().0.iter().map(|sample| f64::from(i16::from_le_bytes(*sample))).collect()
}

/// Media time of the one edit of the file (ISO/IEC 14496-12 8.6.6, version 0).
fn edit_media_time(mp4: &[u8]) -> usize {
    let at = mp4.windows(4).position(|name| name == b"elst").expect("an edit list") + 4;
    assert_eq!(mp4[at..at + 8], [0, 0, 0, 0, 0, 0, 0, 1]);
    usize::try_from(u32::from_be_bytes(mp4[at + 12..at + 16].try_into().unwrap())).unwrap()
}

#[actix_rt::test]
async fn echo_gives_the_same_bytes_back() {
    let processor = Processor::start(&["--echo"]);
    let mut kit = Kit::connect(&processor, "").await;
    let audio = noise();
    let (reply, metadata) = kit.process(&audio).await;
    assert!(reply == audio);
    assert_eq!((&metadata["processor"], &metadata["mode"]), (&json!("overdub"), &json!("echo")));
}

#[actix_rt::test]
async fn a_filter_changes_the_sound_and_shifts_it_by_nothing() {
    let processor = Processor::start(&["--af", "volume=0.5"]);
    let mut kit = Kit::connect(&processor, "/any-namespace").await;
    let audio = noise();
    let (reply, metadata) = kit.process(&audio).await;
    assert_eq!(metadata["filter"], "volume=0.5");
    let before = decode(&audio);
    let after = decode(&reply);
    // What a receiver plays: from the edit's media time on.
    let after = &after[edit_media_time(&reply)..];
    assert!(after.len() >= before.len(), "{} of {}", after.len(), before.len());
    let middle = 20_000..25_000;
    let energy: f64 = before[middle.clone()].iter().map(|sample| sample * sample).sum();
    // The level at each shift: correlation over energy is the gain where the two line up.
    let gain_at = |shift: i64| {
        let moved = |at: usize| after[at.checked_add_signed(shift as isize).unwrap()];
        middle.clone().map(|at| before[at] * moved(at)).sum::<f64>() / energy
    };
    let best = (-1500..=1500).max_by(|a, b| gain_at(*a).total_cmp(&gain_at(*b))).unwrap();
    assert_eq!(best, 0, "gain {} there, {} at 0", gain_at(best), gain_at(0));
    assert!((0.4..0.55).contains(&gain_at(0)), "{}", gain_at(0));
}

#[actix_rt::test]
async fn what_ffmpeg_cannot_read_is_an_error_of_its_fragment() {
    let processor = Processor::start(&["--af", "volume=0.5"]);
    let mut kit = Kit::connect(&processor, "").await;
    let cases: [(&[u8], &str); 3] = [
        (b"\0\0\0\x18ftypiso5 and then nothing", "FILTER_FAILED"),
        // A playlist must not make FFmpeg open what it names.
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "NOT_AUDIO"),
        (b"", "NOT_AUDIO"),
    ];
    for (batch, (audio, code)) in (0..).zip(cases) {
        kit.send(batch, audio);
        let event = kit.next().await;
        assert!(matches!(event, LinkEvent::FragmentSent { .. }), "{event:?}");
        match kit.next().await {
            LinkEvent::FragmentFailed { fault: FragmentFault::Refused { message }, .. } => {
                assert!(message.contains(code), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[actix_rt::test]
async fn the_delay_is_kept_and_fragments_wait_side_by_side() {
    let processor = Processor::start(&["--echo", "--delay-ms", "700"]);
    let mut kit = Kit::connect(&processor, "").await;
    let began = Instant::now();
    for batch in 0..5 {
        kit.send(batch, b"RIFF\x24\0\0\0WAVEfmt ");
    }
    let mut processed = 0;
    while processed < 5 {
        match kit.next().await {
            LinkEvent::FragmentProcessed { .. } => processed += 1,
            LinkEvent::FragmentSent { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let took = began.elapsed();
    assert!((Duration::from_millis(700)..Duration::from_millis(3000)).contains(&took), "{took:?}");
}

fn npm_client(processor: &Processor, transports: &str, audio: &[u8]) -> (Value, Vec<u8>) {
    let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/socketio");
    install(&support);
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::write(&input, audio).unwrap();
    let ran = Command::new("node")
        .arg(support.join("client.js"))
        .arg(processor.url.replace("ws://", "http://"))
        .args([&input, &output])
        .arg(r#"{"id":"npm-7","streamId":"npm","batchNumber":7,"sampleRate":48000,"channels":2,"own":[1,{"é":2.50}]}"#)
        .env("TRANSPORTS", transports)
        .output()
        .expect("node is installed");
    let line = String::from_utf8(ran.stdout).unwrap();
    let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
    (line, std::fs::read(&output).unwrap_or_default())
}

/// Installs the packages where that has not been done; one process at a time.
fn install(folder: &Path) {
    let lock = std::fs::File::create(std::env::temp_dir().join("overdub-socketio-install.lock")).unwrap();
    lock.lock().unwrap();
    if !folder.join("node_modules/socket.io-client/package.json").exists() {
        succeed(Command::new("npm").args(["ci", "--silent"]).current_dir(folder));
    }
}

#[test]
fn the_official_client_is_served_and_gets_its_fragment_back_as_it_was() {
    let processor = Processor::start(&["--echo"]);
    let audio = noise();
    let (line, reply) = npm_client(&processor, "websocket", &audio);
    assert_eq!(line["event"], "fragment:processed");
    assert_eq!(line["isBuffer"], true);
    assert_eq!(
        line["fragment"],
        json!({ "id": "npm-7", "streamId": "npm", "batchNumber": 7, "sampleRate": 48_000, "channels": 2, "own": [1, { "é": 2.5 }] })
    );
    assert!(reply == audio);
}

#[test]
fn a_client_that_polls_is_told_what_to_do() {
    let processor = Processor::start(&["--echo"]);
    let (line, _) = npm_client(&processor, "polling", b"x");
    assert_eq!(line["event"], "connect_error");
    assert!(line["body"].as_str().unwrap().contains("transports: ['websocket']"), "{line}");
}

/// A WebSocket to the processor, with the head of its response read.
fn upgrade(processor: &Processor) -> std::net::TcpStream {
    let address = processor.url.strip_prefix("ws://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\n\
         connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

#[test]
fn a_client_with_too_large_a_frame_is_left_before_it_is_read() {
    let processor = Processor::start(&["--echo"]);
    let mut stream = upgrade(&processor);
    stream.write_all(&[0x82, 0xff, 0, 0, 0, 0, 4, 0, 0, 1, 1, 2, 3, 4]).unwrap();
    // Reads to the end: the server closes, and long before it would for want of a pong.
    let began = Instant::now();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains(r#""maxPayload":67108864"#), "{answer}");
}

#[test]
fn wrong_arguments_are_refused_with_a_reason() {
    let run = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_overdub")).arg("processor").args(args).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&["--af", "no-such-filter", "--port", "0"]).contains("No such filter: 'no-such-filter'"));
    assert!(run(&["--port", "0"]).contains("--echo"));
    assert!(run(&["--echo", "--af", "volume=1"]).contains("cannot be used with"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(run(&["--echo", "--port", &port]).contains(&format!("cannot listen on 127.0.0.1:{port}")));
}

#[test]
fn a_processor_ends_at_sigterm_even_with_a_client() {
    let mut processor = Processor::start(&["--echo"]);
    let _client = upgrade(&processor);
    succeed(Command::new("kill").arg(processor.child.id().to_string()));
    assert!(processor.child.wait().unwrap().success());
}
