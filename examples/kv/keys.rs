//! Commands on keys with any value, and on all keys.

use std::time::{Duration, Instant};

use crate::commands::{Call, Failure, Outcome};
use crate::glob;
use crate::store::{Key, Value};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) fn del(call: &mut Call<'_, '_>) -> Outcome {
    let (keys, now) = (call.request.from(1), call.now);
    let mut shards = call.store().shards_of(keys.clone());
    let removed = keys.filter(|key| {
        let shard = shards.shard(key);
        shard.get(key, now).is_some() && shard.remove(key)
    });
    let removed = removed.count();
    drop(shards);
    call.replies().count(removed);
    Ok(())
}

pub(crate) fn exists(call: &mut Call<'_, '_>) -> Outcome {
    let (keys, now) = (call.request.from(1), call.now);
    let mut shards = call.store().shards_of(keys.clone());
    let count = keys.filter(|key| shards.shard(key).get(key, now).is_some()).count();
    drop(shards);
    call.replies().count(count);
    Ok(())
}

pub(crate) fn kind(call: &mut Call<'_, '_>) -> Outcome {
    let (key, now) = (call.key(), call.now);
    let kind = match call.store().shard(key).get(key, now) {
        None => "none",
        Some(Value::String(_)) => "string",
        Some(Value::List(_)) => "list",
    };
    call.replies().simple(kind);
    Ok(())
}

pub(crate) fn expire(call: &mut Call<'_, '_>) -> Outcome {
    set_expiry(call, SECOND)
}

pub(crate) fn pexpire(call: &mut Call<'_, '_>) -> Outcome {
    set_expiry(call, MILLISECOND)
}

fn set_expiry(call: &mut Call<'_, '_>, unit: Duration) -> Outcome {
    let (key, now) = (call.key(), call.now);
    let amount = call.number(2)?;
    // A time in the past expires the key at once.
    let expires = if amount > 0 { Some(call.ahead(amount, unit)?) } else { None };
    let mut shard = call.store().shard(key);
    let there = shard.get(key, now).is_some();
    match expires {
        _ if !there => {}
        Some(at) => shard.set_expiry(key, Some(at)),
        None => {
            shard.remove(key);
        }
    }
    drop(shard);
    call.replies().count(there.into());
    Ok(())
}

pub(crate) fn persist(call: &mut Call<'_, '_>) -> Outcome {
    let (key, now) = (call.key(), call.now);
    let mut shard = call.store().shard(key);
    let expired = shard.expiry(key, now).flatten().is_some();
    shard.set_expiry(key, None);
    drop(shard);
    call.replies().count(expired.into());
    Ok(())
}

pub(crate) fn ttl(call: &mut Call<'_, '_>) -> Outcome {
    // Rounded as in Redis: right after `EXPIRE key 10`, the reply is 10.
    time_to_live(call, |left| (left + MILLISECOND * 500).as_secs().into())
}

pub(crate) fn pttl(call: &mut Call<'_, '_>) -> Outcome {
    time_to_live(call, |left| left.as_millis())
}

fn time_to_live(call: &mut Call<'_, '_>, in_units: fn(Duration) -> u128) -> Outcome {
    let (key, now) = (call.key(), call.now);
    let left = |at: Instant| in_units(at - now);
    let reply = match call.store().shard(key).expiry(key, now) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => i64::try_from(left(at)).unwrap_or(i64::MAX),
    };
    call.replies().integer(reply);
    Ok(())
}

pub(crate) fn keys(call: &mut Call<'_, '_>) -> Outcome {
    let (pattern, now) = (call.key(), call.now);
    let all = call.store().all();
    let found: Vec<Key> =
        all.iter().flat_map(|shard| shard.keys(now)).filter(|key| glob::matches(pattern, key)).cloned().collect();
    drop(all);
    call.replies().array(found.len());
    for key in &found {
        call.replies().bulk(key);
    }
    Ok(())
}

/// Returns the number of keys, and the number of keys that expire.
pub(crate) fn sizes(call: &Call<'_, '_>) -> (usize, usize) {
    let all = call.store().all();
    let sizes = all.iter().map(|shard| shard.len(call.now));
    sizes.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

pub(crate) fn dbsize(call: &mut Call<'_, '_>) -> Outcome {
    let (keys, _) = sizes(call);
    call.replies().count(keys);
    Ok(())
}

pub(crate) fn flushall(call: &mut Call<'_, '_>) -> Outcome {
    let mode = call.request.from(1).next();
    let known = mode.is_none_or(|mode| mode.eq_ignore_ascii_case(b"ASYNC") || mode.eq_ignore_ascii_case(b"SYNC"));
    if !known || call.request.len() > 2 {
        return Err(Failure::Syntax);
    }
    call.store().clear();
    call.replies().simple("OK");
    Ok(())
}
