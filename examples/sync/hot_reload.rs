//! Configuration that is replaced while the program runs.
//!
//! `Value` is the counterpart of Go's `atomic.Value`. A request loads the configuration once and
//! keeps it until the request ends, so that it sees consistent settings. A reload creates a new
//! configuration and stores it as a whole. Readers never wait, neither for each other nor for the
//! writer. The last reader of an old configuration drops it.
//!
//! Prints:
//!
//! ```text
//! before: v0.example with 1 place
//! requests that saw a mixture: 0
//! started before the reload: v0.example with 1 place
//! after: v9.example with 10 places
//! ```

use std::convert::Infallible;

use greenthread::channel::{self, Receiver};
use greenthread::sync::Value;
use greenthread::{scope, yield_now};

struct Config {
    host: String,
    places: usize,
}

impl Config {
    fn of_version(n: usize) -> Self {
        Self { host: format!("v{n}.example"), places: n + 1 }
    }

    fn describe(&self) -> String {
        format!("{} with {} place{}", self.host, self.places, if self.places == 1 { "" } else { "s" })
    }
}

static CONFIG: Value<Config> = Value::new();

#[greenthread::main]
fn main() {
    CONFIG.store(Config::of_version(0));
    let long_request = CONFIG.load().unwrap();
    println!("before: {}", long_request.describe());

    let (end, ended) = channel::bounded::<Infallible>(0);
    let mixed: usize = scope(|s| {
        let readers: Vec<_> = (0..4).map(|_| s.spawn(|| serve(&ended))).collect();
        for version in 1..10 {
            CONFIG.store(Config::of_version(version));
            yield_now(); // until the file changes again
        }
        drop(end);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    println!("requests that saw a mixture: {mixed}");
    println!("started before the reload: {}", long_request.describe());
    println!("after: {}", CONFIG.load().unwrap().describe());
}

/// Serves requests until told to end, and counts the requests that saw a mix of two configurations.
fn serve(ended: &Receiver<Infallible>) -> usize {
    let mut mixed = 0;
    while ended.try_recv().is_err_and(|nothing| nothing.is_empty()) {
        let config = CONFIG.load().unwrap();
        let host = config.host.clone();
        yield_now(); // the request takes a while
        mixed += usize::from(host != Config::of_version(config.places - 1).host);
    }
    mixed
}
