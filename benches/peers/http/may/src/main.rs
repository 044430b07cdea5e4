//! The plaintext server on may_minihttp, with a coroutine for each connection.

use std::io;

use may_minihttp::{HttpServer, HttpService, Request, Response};

#[path = "../../options.rs"]
mod options;

#[derive(Clone)]
struct Plaintext;

impl HttpService for Plaintext {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        if request.path() == "/plaintext" {
            response.header("Content-Type: text/plain").body("Hello, World!");
        } else {
            response.status_code(404, "Not Found");
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let options = options::parse();
    may::config().set_workers(options.workers);
    let server = HttpServer(Plaintext).start(options.addr)?;
    // This prints the requested address: may_minihttp does not report the port that port 0 became.
    println!("listening on {}", options.addr);
    server.join().expect("the server does not panic");
    Ok(())
}
