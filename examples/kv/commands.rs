//! The table of the commands, and the errors that a request can cause.

use std::fmt;
use std::time::{Duration, Instant};

use crate::connection::Session;
use crate::resp::{Replies, Request, integer};
use crate::store::Store;
use crate::{admin, keys, lists, strings};

/// A request that is being processed.
pub(crate) struct Call<'c, 's> {
    pub(crate) request: Request<'c>,
    pub(crate) session: &'c mut Session<'s>,
    pub(crate) now: Instant,
}

impl<'c, 's> Call<'c, 's> {
    pub(crate) fn replies(&mut self) -> &mut Replies {
        &mut self.session.replies
    }

    pub(crate) fn store(&self) -> &'s Store {
        &self.session.database.store
    }

    /// Returns the first argument, which is the key for most commands.
    pub(crate) fn key(&self) -> &'c [u8] {
        self.request.at(1)
    }

    /// Returns the number at `index`.
    pub(crate) fn number(&self, index: usize) -> Result<i64, Failure> {
        integer(self.request.at(index)).ok_or(Failure::NotAnInteger)
    }

    /// Returns the time that is `amount` units ahead of now.
    pub(crate) fn ahead(&self, amount: i64, unit: Duration) -> Result<Instant, Failure> {
        let milliseconds = amount.checked_mul(unit.as_millis() as i64);
        let ahead = milliseconds.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        ahead.and_then(|ahead| self.now.checked_add(ahead)).ok_or_else(|| Failure::InvalidExpiry(self.command()))
    }

    /// Returns the name of the command, for a message.
    pub(crate) fn command(&self) -> String {
        String::from_utf8_lossy(self.request.at(0)).to_lowercase()
    }
}

/// The reason that a request failed, in Redis's words.
pub(crate) enum Failure {
    Unknown(String),
    UnknownSubcommand(String),
    Arity(String),
    WrongType,
    NotAnInteger,
    NotPositive,
    Overflow,
    DecrementOverflow,
    Syntax,
    InvalidExpiry(String),
    DatabaseIndex,
    Subscribed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(what) => write!(f, "ERR unknown command {what}"),
            Self::UnknownSubcommand(what) => write!(f, "ERR unknown subcommand '{what}'"),
            Self::Arity(command) => write!(f, "ERR wrong number of arguments for '{command}' command"),
            Self::WrongType => f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value"),
            Self::NotAnInteger => f.write_str("ERR value is not an integer or out of range"),
            Self::NotPositive => f.write_str("ERR value is out of range, must be positive"),
            Self::Overflow => f.write_str("ERR increment or decrement would overflow"),
            Self::DecrementOverflow => f.write_str("ERR decrement would overflow"),
            Self::Syntax => f.write_str("ERR syntax error"),
            Self::InvalidExpiry(command) => write!(f, "ERR invalid expire time in '{command}' command"),
            Self::DatabaseIndex => f.write_str("ERR DB index is out of range"),
            Self::Subscribed(command) => write!(
                f,
                "ERR Can't execute '{command}': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT are allowed in this context"
            ),
        }
    }
}

/// The outcome of a command; the reply has been written if it is `Ok`.
pub(crate) type Outcome = Result<(), Failure>;

struct Command {
    name: &'static str,
    /// The number of arguments, including the name; a negative number is a minimum, as in Redis.
    arity: i32,
    /// Whether a subscriber may send the command.
    always: bool,
    run: fn(&mut Call<'_, '_>) -> Outcome,
}

const fn command(name: &'static str, arity: i32, run: fn(&mut Call<'_, '_>) -> Outcome) -> Command {
    Command { name, arity, always: false, run }
}

const fn always(name: &'static str, arity: i32, run: fn(&mut Call<'_, '_>) -> Outcome) -> Command {
    Command { name, arity, always: true, run }
}

/// All commands, by name.
const COMMANDS: &[Command] = &[
    command("CLIENT", -2, admin::client),
    command("COMMAND", -1, admin::command),
    command("CONFIG", -2, admin::config),
    command("DBSIZE", 1, keys::dbsize),
    command("DECR", 2, strings::decr),
    command("DECRBY", 3, strings::decrby),
    command("DEL", -2, keys::del),
    command("ECHO", 2, admin::echo),
    command("EXISTS", -2, keys::exists),
    command("EXPIRE", 3, keys::expire),
    command("FLUSHALL", -1, keys::flushall),
    command("GET", 2, strings::get),
    always("HOST:", -1, admin::not_redis),
    command("INCR", 2, strings::incr),
    command("INCRBY", 3, strings::incrby),
    command("INFO", -1, admin::info),
    command("KEYS", 2, keys::keys),
    command("LLEN", 2, lists::llen),
    command("LPOP", -2, lists::lpop),
    command("LPUSH", -3, lists::lpush),
    command("LRANGE", 4, lists::lrange),
    command("MGET", -2, strings::mget),
    command("MSET", -3, strings::mset),
    command("PERSIST", 2, keys::persist),
    command("PEXPIRE", 3, keys::pexpire),
    always("PING", -1, admin::ping),
    always("POST", -1, admin::not_redis),
    always("PSUBSCRIBE", -2, admin::psubscribe),
    command("PTTL", 2, keys::pttl),
    command("PUBLISH", 3, admin::publish),
    always("PUNSUBSCRIBE", -1, admin::punsubscribe),
    always("QUIT", -1, admin::quit),
    command("RPOP", -2, lists::rpop),
    command("RPUSH", -3, lists::rpush),
    command("SELECT", 2, admin::select),
    command("SET", -3, strings::set),
    always("SUBSCRIBE", -2, admin::subscribe),
    command("TTL", 2, keys::ttl),
    command("TYPE", 2, keys::kind),
    always("UNSUBSCRIBE", -1, admin::unsubscribe),
];

fn find(name: &[u8]) -> Option<&'static Command> {
    let upper = |command: &Command| command.name.bytes().cmp(name.iter().map(u8::to_ascii_uppercase));
    COMMANDS.binary_search_by(upper).ok().map(|at| &COMMANDS[at])
}

/// Runs a request, and writes the reply. An empty request has no reply.
pub(crate) fn run(mut call: Call<'_, '_>) {
    if call.request.len() > 0
        && let Err(failure) = try_run(&mut call)
    {
        call.replies().error(&failure);
    }
}

fn try_run(call: &mut Call<'_, '_>) -> Outcome {
    let command = find(call.request.at(0)).ok_or_else(|| Failure::Unknown(unknown(call.request)))?;
    let least = command.arity.unsigned_abs() as usize;
    if call.request.len() < least || (command.arity > 0 && call.request.len() > least) {
        return Err(Failure::Arity(command.name.to_lowercase()));
    }
    let subscribed = call.session.subscriptions.as_ref().is_some_and(|subscriptions| subscriptions.len() > 0);
    if subscribed && !command.always {
        return Err(Failure::Subscribed(command.name.to_lowercase()));
    }
    (command.run)(call)
}

/// Quotes the beginning of an unknown command, but no more than fits into a message.
fn unknown(request: Request<'_>) -> String {
    const MOST: usize = 128;
    let quote = |bytes: &[u8]| format!("'{}'", String::from_utf8_lossy(&bytes[..bytes.len().min(MOST)]));
    let mut text = format!("{}, with args beginning with: ", quote(request.at(0)));
    for argument in request.from(1) {
        if text.len() >= MOST {
            break;
        }
        text.push_str(&quote(argument));
        text.push(' ');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case() {
        for command in COMMANDS {
            for name in [command.name.to_string(), command.name.to_lowercase()] {
                assert!(find(name.as_bytes()).is_some_and(|found| found.name == command.name), "{name}");
            }
        }
        assert!(find(b"GE").is_none() && find(b"GETX").is_none() && find(b"").is_none());
    }
}
