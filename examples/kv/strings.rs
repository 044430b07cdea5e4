//! Commands on strings.

use std::time::{Duration, Instant};

use crate::commands::{Call, Failure, Outcome};
use crate::resp::{decimal, integer};
use crate::store::{Shard, Value};

/// Returns the string at the key, or `None` if the key does not exist.
fn string<'s>(shard: &'s mut Shard, key: &[u8], now: Instant) -> Result<Option<&'s mut Vec<u8>>, Failure> {
    match shard.get(key, now) {
        None => Ok(None),
        Some(Value::String(string)) => Ok(Some(string)),
        Some(Value::List(_)) => Err(Failure::WrongType),
    }
}

pub(crate) fn get(call: &mut Call<'_, '_>) -> Outcome {
    let (key, now) = (call.key(), call.now);
    let mut shard = call.store().shard(key);
    let value = string(&mut shard, key, now)?;
    call.replies().maybe(value.map(|value| value.as_slice()));
    Ok(())
}

/// The options of SET after the key and the value.
#[derive(Default)]
struct How {
    /// Whether the key must exist: `Some(false)` for NX, `Some(true)` for XX.
    present: Option<bool>,
    get: bool,
    keep_ttl: bool,
    expires: Option<Instant>,
}

impl How {
    fn parse(call: &Call<'_, '_>) -> Result<Self, Failure> {
        let mut how = Self::default();
        let mut index = 3;
        while index < call.request.len() {
            let word = call.request.at(index).to_ascii_uppercase();
            match word.as_slice() {
                b"NX" if how.present.is_none_or(|present| !present) => how.present = Some(false),
                b"XX" if how.present.is_none_or(|present| present) => how.present = Some(true),
                b"GET" => how.get = true,
                b"KEEPTTL" if how.expires.is_none() => how.keep_ttl = true,
                b"EX" | b"PX" if how.expires.is_none() && !how.keep_ttl && index + 1 < call.request.len() => {
                    index += 1;
                    let unit = if word == b"EX" { Duration::from_secs(1) } else { Duration::from_millis(1) };
                    // Zero is not in the past, but Redis rejects it anyway.
                    let amount = call.number(index)?;
                    how.expires = Some(call.ahead(if amount == 0 { -1 } else { amount }, unit)?);
                }
                _ => return Err(Failure::Syntax),
            }
            index += 1;
        }
        Ok(how)
    }
}

pub(crate) fn set(call: &mut Call<'_, '_>) -> Outcome {
    let how = How::parse(call)?;
    let (key, value, now) = (call.key(), call.request.at(2), call.now);
    let mut shard = call.store().shard(key);
    let old = if how.get { string(&mut shard, key, now)?.cloned() } else { None };
    let before = shard.expiry(key, now);
    let done = how.present.is_none_or(|present| present == before.is_some());
    if done {
        let expires = if how.keep_ttl { before.flatten() } else { how.expires };
        shard.insert(key, Value::String(value.to_vec()), expires);
    }
    drop(shard);
    match (how.get, done) {
        (true, _) => call.replies().maybe(old.as_deref()),
        (false, true) => call.replies().simple("OK"),
        (false, false) => call.replies().null(),
    }
    Ok(())
}

pub(crate) fn mget(call: &mut Call<'_, '_>) -> Outcome {
    let keys = call.request.from(1);
    let mut shards = call.store().shards_of(keys.clone());
    call.replies().array(keys.clone().count());
    for key in keys {
        let value = match shards.shard(key).get(key, call.now) {
            Some(Value::String(value)) => Some(value.as_slice()),
            _ => None,
        };
        call.replies().maybe(value);
    }
    Ok(())
}

pub(crate) fn mset(call: &mut Call<'_, '_>) -> Outcome {
    if call.request.len().is_multiple_of(2) {
        return Err(Failure::Arity(call.command()));
    }
    let mut shards = call.store().shards_of(call.request.from(1).step_by(2));
    for (key, value) in call.request.from(1).step_by(2).zip(call.request.from(2).step_by(2)) {
        shards.shard(key).insert(key, Value::String(value.to_vec()), None);
    }
    drop(shards);
    call.replies().simple("OK");
    Ok(())
}

pub(crate) fn incr(call: &mut Call<'_, '_>) -> Outcome {
    add(call, 1)
}

pub(crate) fn decr(call: &mut Call<'_, '_>) -> Outcome {
    add(call, -1)
}

pub(crate) fn incrby(call: &mut Call<'_, '_>) -> Outcome {
    let by = call.number(2)?;
    add(call, by)
}

pub(crate) fn decrby(call: &mut Call<'_, '_>) -> Outcome {
    let by = call.number(2)?.checked_neg().ok_or(Failure::DecrementOverflow)?;
    add(call, by)
}

fn add(call: &mut Call<'_, '_>, by: i64) -> Outcome {
    let (key, now) = (call.key(), call.now);
    let mut shard = call.store().shard(key);
    let sum = match string(&mut shard, key, now)? {
        None => {
            shard.insert(key, Value::String(decimal(by)), None);
            by
        }
        Some(value) => {
            let old = integer(value).ok_or(Failure::NotAnInteger)?;
            let sum = old.checked_add(by).ok_or(Failure::Overflow)?;
            *value = decimal(sum);
            sum
        }
    };
    drop(shard);
    call.replies().integer(sum);
    Ok(())
}
