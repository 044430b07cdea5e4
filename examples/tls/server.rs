//! The server.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenthread::ctx::Context;
use greenthread::net::TcpStream;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{common, other};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// The longest head of a request.
const MAX_HEAD: u64 = 16 * 1024;

pub(crate) struct Options {
    pub(crate) addr: SocketAddr,
    pub(crate) grace: Duration,
    pub(crate) timeout: Duration,
    pub(crate) certificate: PathBuf,
}

pub(crate) fn serve(options: Options) -> io::Result<()> {
    let (ctx, _cancel) = common::until_signal();
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let made = rcgen::generate_simple_self_signed(names).map_err(other)?;
    fs::write(&options.certificate, made.cert.pem()).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot write {}: {error}", options.certificate.display()))
    })?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
        .map_err(other)?;
    let config = Arc::new(config);
    let timeout = options.timeout;
    common::listen(options.addr)?.serve(&ctx, options.grace, move |ctx, stream| {
        // A client that disconnects, or does not speak TLS, does not affect other clients.
        let _ = answer(ctx, &stream, Arc::clone(&config), timeout);
    })
}

/// Serves one request.
fn answer(ctx: &Context, stream: &TcpStream, config: Arc<ServerConfig>, timeout: Duration) -> io::Result<()> {
    stream.set_deadline(Instant::now().checked_add(timeout))?;
    let connection = ServerConnection::new(config).map_err(other)?;
    let mut tls = StreamOwned::new(connection, stream.with_ctx(ctx));
    let (status, body) = match request(&mut tls)? {
        Some(path) => {
            ("200 OK", format!("{path} over {:?}\n", tls.conn.protocol_version().ok_or(ErrorKind::InvalidData)?))
        }
        None => ("400 Bad Request", String::from("this server only knows GET\n")),
    };
    let length = body.len();
    write!(tls, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")?;
    // This tells the client that nothing was cut off.
    tls.conn.send_close_notify();
    tls.flush()
}

/// Reads the head of a request, and returns the path if it is a GET request.
fn request(stream: &mut impl Read) -> io::Result<Option<String>> {
    let mut head = BufReader::new(stream.take(MAX_HEAD)).lines();
    let first = head.next().ok_or(ErrorKind::UnexpectedEof)??;
    loop {
        match head.next() {
            Some(line) if line.as_ref().is_ok_and(String::is_empty) => break,
            Some(line) => drop(line?),
            None => return Err(ErrorKind::UnexpectedEof.into()),
        }
    }
    let path = first.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
    Ok(path.map(String::from))
}
