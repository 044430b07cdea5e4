//! Commands about the connection and the server, along with the publish and subscribe commands.

use std::process;
use std::sync::atomic::Ordering;

use crate::commands::{Call, Failure, Outcome};
use crate::keys;
use crate::pubsub::{Kind, nothing_to_unsubscribe};
use crate::resp::Request;

pub(crate) fn ping(call: &mut Call<'_, '_>) -> Outcome {
    if call.request.len() > 2 {
        return Err(Failure::Arity(call.command()));
    }
    let text = call.request.from(1).next();
    if call.session.subscriptions.as_ref().is_some_and(|subscriptions| subscriptions.len() > 0) {
        // A subscriber can understand only arrays.
        let replies = call.replies();
        replies.array(2);
        replies.bulk(b"pong");
        replies.bulk(text.unwrap_or_default());
    } else {
        match text {
            None => call.replies().simple("PONG"),
            Some(text) => call.replies().bulk(text),
        }
    }
    Ok(())
}

pub(crate) fn echo(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.request.at(1);
    call.replies().bulk(text);
    Ok(())
}

pub(crate) fn quit(call: &mut Call<'_, '_>) -> Outcome {
    call.session.quit = true;
    call.replies().simple("OK");
    Ok(())
}

/// Handles `POST` and `Host:`, which occur at the beginning of HTTP requests. Disconnects without a
/// reply, as Redis does. The lines that follow are not the client's own commands but, for example,
/// a form that a web page makes its visitor's browser send to this port.
pub(crate) fn not_redis(call: &mut Call<'_, '_>) -> Outcome {
    call.session.quit = true;
    Ok(())
}

/// Selects the only database, as clients do when they start.
pub(crate) fn select(call: &mut Call<'_, '_>) -> Outcome {
    match call.number(1)? {
        0 => call.replies().simple("OK"),
        _ => return Err(Failure::DatabaseIndex),
    }
    Ok(())
}

/// Returns the word after the name of the command, in uppercase.
fn subcommand(request: Request<'_>) -> Vec<u8> {
    request.at(1).to_ascii_uppercase()
}

fn unknown_subcommand(request: Request<'_>) -> Failure {
    Failure::UnknownSubcommand(String::from_utf8_lossy(request.at(1)).into_owned())
}

/// The settings that clients read before they start: nothing is ever saved.
const SETTINGS: &[(&str, &str)] = &[("appendonly", "no"), ("save", "")];

pub(crate) fn config(call: &mut Call<'_, '_>) -> Outcome {
    if subcommand(call.request) != b"GET" {
        return Err(unknown_subcommand(call.request));
    }
    if call.request.len() < 3 {
        return Err(Failure::Arity("config|get".into()));
    }
    let wanted = |name: &str| call.request.from(2).any(|pattern| crate::glob::matches(pattern, name.as_bytes()));
    let found: Vec<_> = SETTINGS.iter().filter(|(name, _)| wanted(name)).collect();
    call.replies().array(found.len() * 2);
    for (name, value) in found {
        call.replies().bulk(name.as_bytes());
        call.replies().bulk(value.as_bytes());
    }
    Ok(())
}

/// Answers clients that request the table of commands for command-line completion. They can do
/// without it.
pub(crate) fn command(call: &mut Call<'_, '_>) -> Outcome {
    call.replies().array(0);
    Ok(())
}

pub(crate) fn client(call: &mut Call<'_, '_>) -> Outcome {
    match (subcommand(call.request).as_slice(), call.request.len()) {
        (b"ID", 2) => {
            let id = call.session.id;
            call.replies().integer(id as i64);
        }
        (b"GETNAME", 2) => {
            let name = std::mem::take(&mut call.session.name);
            call.replies().maybe(Some(name.as_slice()).filter(|name| !name.is_empty()));
            call.session.name = name;
        }
        (b"SETNAME", 3) => {
            call.session.name = call.request.at(2).to_vec();
            call.replies().simple("OK");
        }
        // Sets the name and version of the client's library.
        (b"SETINFO", 4) => call.replies().simple("OK"),
        (b"ID" | b"GETNAME" | b"SETNAME" | b"SETINFO", _) => {
            let name = String::from_utf8_lossy(call.request.at(1)).to_lowercase();
            return Err(Failure::Arity(format!("client|{name}")));
        }
        _ => return Err(unknown_subcommand(call.request)),
    }
    Ok(())
}

pub(crate) fn info(call: &mut Call<'_, '_>) -> Outcome {
    let (keys, expires) = keys::sizes(call);
    let database = call.session.database;
    let text = format!(
        "# Server\r\nserver_name:greenthread-kv\r\nserver_version:{}\r\nredis_mode:standalone\r\nprocess_id:{}\r\n\
         uptime_in_seconds:{}\r\n\r\n# Clients\r\nconnected_clients:{}\r\n\r\n# Stats\r\n\
         total_connections_received:{}\r\ntotal_commands_processed:{}\r\n\r\n# Keyspace\r\n{}",
        env!("CARGO_PKG_VERSION"),
        process::id(),
        database.started.elapsed().as_secs(),
        database.clients.load(Ordering::Relaxed),
        database.accepted.load(Ordering::Relaxed),
        database.commands.load(Ordering::Relaxed),
        if keys > 0 { format!("db0:keys={keys},expires={expires}\r\n") } else { String::new() },
    );
    call.replies().bulk(text.as_bytes());
    Ok(())
}

pub(crate) fn publish(call: &mut Call<'_, '_>) -> Outcome {
    let reached = call.session.database.broker.publish(call.request.at(1), call.request.at(2));
    call.replies().count(reached);
    Ok(())
}

pub(crate) fn subscribe(call: &mut Call<'_, '_>) -> Outcome {
    add(call, Kind::Channel)
}

pub(crate) fn psubscribe(call: &mut Call<'_, '_>) -> Outcome {
    add(call, Kind::Pattern)
}

fn add(call: &mut Call<'_, '_>, kind: Kind) -> Outcome {
    for name in call.request.from(1) {
        call.session.subscribe().add(kind, name);
    }
    Ok(())
}

pub(crate) fn unsubscribe(call: &mut Call<'_, '_>) -> Outcome {
    remove(call, Kind::Channel)
}

pub(crate) fn punsubscribe(call: &mut Call<'_, '_>) -> Outcome {
    remove(call, Kind::Pattern)
}

fn remove(call: &mut Call<'_, '_>, kind: Kind) -> Outcome {
    let names = call.request.from(1);
    if call.session.subscriptions.is_none() {
        nothing_to_unsubscribe(kind, names, call.replies());
        return Ok(());
    }
    let subscriptions = call.session.subscribe();
    if call.request.len() == 1 {
        subscriptions.remove_all(kind);
    }
    for name in names {
        subscriptions.remove(kind, name);
    }
    Ok(())
}
