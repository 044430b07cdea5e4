//! The answer to each request.

use std::time::Duration;

use crate::answer::Answer;
use crate::framer::Request;
use crate::head::Method;
use crate::status::Status;

const GREETING: &[u8] = b"Hello, World!";
const JSON: &[u8] = br#"{"message":"Hello, World!"}"#;

/// The longest sleep that a client can ask for.
const MAX_SLEEP: Duration = Duration::from_secs(3600);

/// The work that a request needs.
pub(crate) enum Route<'a> {
    /// This answer, at once.
    Answer(Answer<'a>),
    /// A sleep before the answer.
    Sleep(Duration),
}

/// Returns the route of a request. Reads only the target and the method, because the body may not
/// have arrived yet.
pub(crate) fn find(request: &Request) -> Route<'_> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let get = matches!(request.method, Method::Get | Method::Head);
    match path {
        "/plaintext" if get => Route::Answer(Answer::ok("text/plain", GREETING)),
        "/json" if get => Route::Answer(Answer::ok("application/json", JSON)),
        "/slow" if get => match sleep(query) {
            Some(duration) => Route::Sleep(duration),
            None => Route::Answer(Answer::plain(Status::BadRequest)),
        },
        "/echo" if request.method == Method::Post => {
            Route::Answer(Answer::ok("application/octet-stream", &request.body))
        }
        "/plaintext" | "/json" | "/slow" => Route::Answer(Answer::wrong_method("GET, HEAD")),
        "/echo" => Route::Answer(Answer::wrong_method("POST")),
        _ => Route::Answer(Answer::plain(Status::NotFound)),
    }
}

/// Parses the duration in `ms=N`.
fn sleep(query: &str) -> Option<Duration> {
    let ms = query.split('&').find_map(|pair| pair.strip_prefix("ms="))?;
    Some(Duration::from_millis(ms.parse().ok()?)).filter(|duration| *duration <= MAX_SLEEP)
}
