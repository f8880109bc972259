use std::process::Command as Process;

use bytes::BytesMut;
use overdub_media::rtmp::handshake::{Handshake, Progress};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::publisher::rtmp::socket;

/// A key and a certificate for 127.0.0.1, made by openssl; none when that is not installed.
fn certificate() -> Option<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    let made = Process::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        println!("skipped: openssl is not installed");
        return None;
    }
    Some((CertificateDer::from_pem_file(&certificate).unwrap(), PrivateKeyDer::from_pem_file(&key).unwrap()))
}

async fn attempt(trusted: bool) -> Option<LinkError> {
    let (certificate, key) = certificate()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let Ok(mut tls) = TlsAcceptor::from(Arc::new(server)).accept(tcp).await else { return };
        let mut handshake = Handshake::server(0, &[]);
        let mut input = BytesMut::new();
        loop {
            match handshake.receive(&mut input).unwrap() {
                Progress::Done => break,
                Progress::Reply(bytes) => tls.write_all(&bytes).await.unwrap(),
                Progress::NeedMore => assert!(tls.read_buf(&mut input).await.unwrap() > 0),
            }
        }
        tls.shutdown().await.unwrap();
    };
    let mut roots = RootCertStore::empty();
    if trusted {
        roots.add(certificate).unwrap();
    }
    let target = Target::parse(&format!("rtmps://127.0.0.1:{port}/live/key")).unwrap();
    let (opened, ()) = tokio::join!(open(Arc::new(target), socket::client_config(roots), false), peer);
    opened.err()
}

#[tokio::test]
async fn rtmps_shakes_hands_under_tls() {
    let Some(error) = attempt(true).await else { return };
    assert!(matches!(error, LinkError::ClosedDuring { step: "connect" }), "{error}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let Some(error) = attempt(false).await else { return };
    assert!(matches!(error, LinkError::Tls { .. }), "{error}");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}
