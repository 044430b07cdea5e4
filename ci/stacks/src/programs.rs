//! The programs that are measured: ordinary uses of libraries, and the deepest input that each
//! accepts.

use std::backtrace::Backtrace;
use std::hint::black_box;
use std::io::{Cursor, Read, Write, sink};
use std::panic;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use serde::Deserialize;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// The programs, by name.
pub const PROGRAMS: &[(&str, fn())] = &[
    ("nothing", || ()),
    ("`println!`", || println!("# a line")),
    ("`format!(\"{:#?}\")` of a tree of 100 levels", format_tree),
    ("a panic with a full backtrace, printed", panic_with_backtrace),
    ("`tracing` with `fmt` and a filter: an event in a span", trace),
    ("rustls: a handshake, both sides", handshake),
    ("zstd, level 19: 1 MiB and back", compress_zstd),
    ("deflate (flate2): 1 MiB and back", deflate),
    ("image: PNG and JPEG, written, read, resized", images),
    ("regex: a pattern with `\\w{1,50}` and alternations", || drop(regex::Regex::new(LARGE_PATTERN).unwrap())),
    ("regex: 80 nested groups", nested_groups),
    ("serde_json: 127 nested objects (its limit)", || parse_json::<serde_json::Value>(127, "1")),
    ("serde_json: the same into a derived type", || parse_json::<Chain>(126, "null")),
    ("serde_json: 120 levels of an untagged enum", || parse_json::<Tree>(120, "1")),
    ("toml: 60 nested inline tables", nested_tables),
    ("minijinja: a macro that calls itself 20 times", render),
    ("sqlparser: 20 nested parentheses", || parse_sql(20)),
    ("sqlparser: as many as its limit allows", deepest_sql),
];

const LARGE_PATTERN: &str = r"(?i)(\w{1,50}@\w{1,20}\.\w{2,6})|(\d{3}-\d{4})|(foo|bar|baz)+";

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are only parsed")]
struct Chain {
    a: Option<Box<Chain>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "they are only parsed")]
enum Tree {
    Leaf(i64),
    Node { a: Box<Tree> },
    List(Vec<Tree>),
}

fn format_tree() {
    let tree = (0..100).fold(Tree::Leaf(1), |tree, level| match level % 2 {
        0 => Tree::Node { a: Box::new(tree) },
        _ => Tree::List(vec![tree]),
    });
    drop(format!("{tree:#?}"));
}

fn panic_with_backtrace() {
    panic::set_hook(Box::new(|info| drop(format!("{info}\n{}", Backtrace::force_capture()))));
    assert!(panic::catch_unwind(|| panic!("this is measured")).is_err());
    drop(panic::take_hook());
}

fn trace() {
    let subscriber = tracing_subscriber::fmt().with_writer(sink).with_env_filter("info").finish();
    tracing::subscriber::with_default(subscriber, || {
        let _span = tracing::info_span!("span", a = 1).entered();
        tracing::info!(b = 2, "an event");
    });
}

fn handshake() {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key);
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut server = ServerConnection::new(Arc::new(server.unwrap())).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    while server.is_handshaking() || client.is_handshaking() {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).unwrap();
        }
        let mut rest = &sent[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut sent = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut sent).unwrap();
        }
        let mut rest = &sent[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
}

fn compress_zstd() {
    let compressed = zstd::encode_all(&vec![7; 1 << 20][..], 19).unwrap();
    assert_eq!(zstd::decode_all(&compressed[..]).unwrap().len(), 1 << 20);
}

fn deflate() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![7; 1 << 20]).unwrap();
    let compressed = encoder.finish().unwrap();
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut out).unwrap();
    assert_eq!(out.len(), 1 << 20);
}

fn images() {
    let image = image::RgbImage::from_fn(512, 512, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8]));
    for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg] {
        let mut bytes = Cursor::new(Vec::new());
        image::DynamicImage::ImageRgb8(image.clone()).write_to(&mut bytes, format).unwrap();
        let back = image::load_from_memory_with_format(bytes.get_ref(), format).unwrap();
        black_box(back.resize(100, 100, image::imageops::FilterType::Lanczos3));
    }
}

fn nested_groups() {
    let pattern = "(a".repeat(80) + "b" + &")*".repeat(80);
    black_box(regex::Regex::new(&pattern).unwrap().is_match("aab"));
}

fn parse_json<T: for<'a> Deserialize<'a>>(levels: usize, innermost: &str) {
    let text = r#"{"a":"#.repeat(levels) + innermost + &"}".repeat(levels);
    drop(serde_json::from_str::<T>(&text).unwrap());
}

fn nested_tables() {
    let text = format!("x = {}1{}", "{a=".repeat(60), "}".repeat(60));
    drop(toml::from_str::<toml::Table>(&text).unwrap());
}

fn render() {
    const TEMPLATE: &str = "{% macro m(x) %}{% if x > 0 %}{{ x }}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(20) }}";
    let mut environment = minijinja::Environment::new();
    environment.add_template("t", TEMPLATE).unwrap();
    drop(environment.get_template("t").unwrap().render(()).unwrap());
}

fn sql(parentheses: usize) -> bool {
    let text = format!("SELECT {}1{}", "(".repeat(parentheses), ")".repeat(parentheses));
    Parser::parse_sql(&PostgreSqlDialect {}, &text).is_ok()
}

fn parse_sql(parentheses: usize) {
    assert!(sql(parentheses));
}

fn deepest_sql() {
    assert!((1..1000).any(|parentheses| !sql(parentheses)), "it has a limit");
}
