//! The client.

use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use greenthread::ctx::Context;
use greenthread::net::TcpStream;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::{common, other};

pub(crate) struct Options {
    pub(crate) url: Url,
    pub(crate) timeout: Duration,
    pub(crate) certificate: PathBuf,
}

/// `https://HOST[:PORT][/PATH]`.
pub(crate) struct Url {
    host: ServerName<'static>,
    port: u16,
    path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("https://").ok_or("it must begin with 'https://'")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|error| format!("port {port:?}: {error}"))?)
            }
            _ => (authority, 443),
        };
        let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = ServerName::try_from(name).map_err(|error| format!("{name:?}: {error}"))?.to_owned();
        if path.contains(|c: char| c.is_ascii_control() || c == ' ') {
            return Err("its path has a space or a control character in it".into());
        }
        Ok(Self { host, port, path: if path.is_empty() { "/".into() } else { path.into() } })
    }
}

/// Gets the page at the URL and prints it.
pub(crate) fn get(options: &Options) -> io::Result<()> {
    let certificate = CertificateDer::from_pem_file(&options.certificate)
        .map_err(|error| io::Error::other(format!("cannot read {}: {error}", options.certificate.display())))?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let Url { host, port, path } = &options.url;
    let name = host.to_str();
    let (ctx, _cancel) = Context::background().with_timeout(options.timeout);
    let socket = TcpStream::connect_ctx(&ctx, (name.as_ref(), *port))?;
    let connection = ClientConnection::new(Arc::new(config), host.clone()).map_err(other)?;
    let mut tls = StreamOwned::new(connection, socket.with_ctx(&ctx));
    write!(tls, "GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n")?;
    tls.flush()?;
    let mut reply = Vec::new();
    // Fails if the connection was cut off without TLS's closing message.
    tls.read_to_end(&mut reply)?;
    let head = reply.windows(4).position(|end| end == b"\r\n\r\n").ok_or(ErrorKind::InvalidData)?;
    let status = String::from_utf8_lossy(&reply[..head]).lines().next().unwrap_or_default().to_owned();
    if !status.contains(" 200 ") {
        return Err(io::Error::other(status));
    }
    common::cli::print(&reply[head + 4..])
}
