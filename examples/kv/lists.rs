//! Commands on lists.

use std::collections::VecDeque;
use std::time::Instant;

use crate::commands::{Call, Failure, Outcome};
use crate::store::{Shard, Value};

type List = VecDeque<Vec<u8>>;

/// Returns the list at the key, or `None` if the key does not exist.
fn list<'s>(shard: &'s mut Shard, key: &[u8], now: Instant) -> Result<Option<&'s mut List>, Failure> {
    match shard.get(key, now) {
        None => Ok(None),
        Some(Value::List(list)) => Ok(Some(list)),
        Some(Value::String(_)) => Err(Failure::WrongType),
    }
}

pub(crate) fn lpush(call: &mut Call<'_, '_>) -> Outcome {
    push(call, List::push_front)
}

pub(crate) fn rpush(call: &mut Call<'_, '_>) -> Outcome {
    push(call, List::push_back)
}

fn push(call: &mut Call<'_, '_>, push: fn(&mut List, Vec<u8>)) -> Outcome {
    let (key, now) = (call.key(), call.now);
    let elements = call.request.from(2).map(<[u8]>::to_vec);
    let mut shard = call.store().shard(key);
    let len = if let Some(list) = list(&mut shard, key, now)? {
        elements.for_each(|element| push(list, element));
        list.len()
    } else {
        let mut list = List::new();
        elements.for_each(|element| push(&mut list, element));
        let len = list.len();
        shard.insert(key, Value::List(list), None);
        len
    };
    drop(shard);
    call.replies().count(len);
    Ok(())
}

pub(crate) fn lpop(call: &mut Call<'_, '_>) -> Outcome {
    pop(call, List::pop_front)
}

pub(crate) fn rpop(call: &mut Call<'_, '_>) -> Outcome {
    pop(call, List::pop_back)
}

/// Replies with one element or null if the command has no count. With a count, replies with an
/// array, or null if the list does not exist.
fn pop(call: &mut Call<'_, '_>, pop: fn(&mut List) -> Option<Vec<u8>>) -> Outcome {
    let count = match call.request.len() {
        2 => None,
        3 => Some(call.number(2).ok().and_then(|count| usize::try_from(count).ok()).ok_or(Failure::NotPositive)?),
        _ => return Err(Failure::Arity(call.command())),
    };
    let (key, now) = (call.key(), call.now);
    let mut shard = call.store().shard(key);
    let Some(list) = list(&mut shard, key, now)? else {
        drop(shard);
        if count.is_some() {
            call.replies().null_array()
        } else {
            call.replies().null()
        }
        return Ok(());
    };
    let taken: Vec<_> = std::iter::from_fn(|| pop(list)).take(count.unwrap_or(1)).collect();
    if list.is_empty() {
        shard.remove(key);
    }
    drop(shard);
    if count.is_some() {
        call.replies().array(taken.len());
    }
    for element in &taken {
        call.replies().bulk(element);
    }
    Ok(())
}

pub(crate) fn llen(call: &mut Call<'_, '_>) -> Outcome {
    let (key, now) = (call.key(), call.now);
    let len = list(&mut call.store().shard(key), key, now)?.map_or(0, |list| list.len());
    call.replies().count(len);
    Ok(())
}

pub(crate) fn lrange(call: &mut Call<'_, '_>) -> Outcome {
    let (key, now) = (call.key(), call.now);
    let (first, last) = (call.number(2)?, call.number(3)?);
    let mut shard = call.store().shard(key);
    let empty = List::new();
    let list = list(&mut shard, key, now)?.map_or(&empty, |list| list);
    let len = list.len() as i64;
    // A negative index counts from the end.
    let place = |index: i64| if index < 0 { index.saturating_add(len).max(-1) } else { index };
    let first = place(first).max(0);
    let end = place(last).saturating_add(1).min(len);
    if first >= end {
        call.replies().array(0);
        return Ok(());
    }
    call.replies().array((end - first) as usize);
    for element in list.range(first as usize..end as usize) {
        call.replies().bulk(element);
    }
    Ok(())
}
