//! A model of the commands on a map, to compare the server with.

use std::collections::BTreeMap;

use crate::client::Reply;
use crate::common::random::Rng;

enum Value {
    String(String),
    List(Vec<String>),
}

#[derive(Default)]
pub(crate) struct Model {
    /// Each value, and whether it expires. It expires in an hour, so that no test sees it happen.
    keys: BTreeMap<String, (Value, bool)>,
}

/// Returns a random command, usually a sensible one.
pub(crate) fn command(rng: &mut Rng) -> Vec<String> {
    let key = |rng: &mut Rng| format!("k{}", rng.index(8));
    let value = |rng: &mut Rng| if rng.one_in(3) { format!("v{}", rng.index(5)) } else { rng.index(50).to_string() };
    let place = |rng: &mut Rng| (rng.index(13) as i64 - 6).to_string();
    let number = |rng: &mut Rng| (rng.index(100) as i64 - 50).to_string();
    let which = rng.index(30);
    let mut words = |name: &str, arguments: &[&dyn Fn(&mut Rng) -> String]| {
        let mut words = vec![name.to_string()];
        words.extend(arguments.iter().map(|argument| argument(rng)));
        words
    };
    let literal = |text: &'static str| move |_: &mut Rng| text.to_string();
    match which {
        0 | 1 => words("SET", &[&key, &value]),
        2 => words("SET", &[&key, &value, &literal("NX")]),
        3 => words("SET", &[&key, &value, &literal("XX"), &literal("GET")]),
        4 => words("SET", &[&key, &value, &literal("EX"), &literal("3600")]),
        5 => words("SET", &[&key, &value, &literal("KEEPTTL")]),
        6 => words("GET", &[&key]),
        7 => words("INCR", &[&key]),
        8 => words("DECR", &[&key]),
        9 => words("INCRBY", &[&key, &number]),
        10 => words("DECRBY", &[&key, &number]),
        11 => words("MGET", &[&key, &key, &key]),
        12 => words("MSET", &[&key, &value, &key, &value]),
        13 => words("DEL", &[&key, &key]),
        14 => words("EXISTS", &[&key, &key, &key]),
        15 | 16 => words("LPUSH", &[&key, &value, &value]),
        17 | 18 => words("RPUSH", &[&key, &value, &value]),
        19 => words("LPOP", &[&key]),
        20 => words("RPOP", &[&key, &|rng| rng.index(4).to_string()]),
        21 => words("LRANGE", &[&key, &place, &place]),
        22 => words("LLEN", &[&key]),
        23 => words("TYPE", &[&key]),
        24 => words("EXPIRE", &[&key, &literal("3600")]),
        25 => words("PEXPIRE", &[&key, &literal("0")]),
        26 => words("PERSIST", &[&key]),
        27 => words("TTL", &[&key]),
        28 => words("KEYS", &[&|rng| format!("?[{}-5]", rng.index(6))]),
        _ => words("DBSIZE", &[]),
    }
}

fn wrong_type() -> Reply {
    Reply::Error("WRONGTYPE Operation against a key holding the wrong kind of value".into())
}

fn maybe(text: Option<String>) -> Reply {
    text.map_or(Reply::Nil, Reply::Bulk)
}

fn strings(texts: impl IntoIterator<Item = String>) -> Reply {
    Reply::Array(texts.into_iter().map(Reply::Bulk).collect())
}

impl Model {
    /// Runs the command and returns its reply, or the error.
    pub(crate) fn run(&mut self, words: &[String]) -> Reply {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let reply = match words[0] {
            "SET" => self.set(words[1], words[2], &words[3..]),
            "GET" => self.string(words[1]).map(maybe),
            "INCR" => self.add(words[1], 1),
            "DECR" => self.add(words[1], -1),
            "INCRBY" => self.add(words[1], words[2].parse().unwrap()),
            "DECRBY" => self.add(words[1], -words[2].parse::<i64>().unwrap()),
            "LPUSH" | "RPUSH" => self.push(words[1], &words[2..], words[0] == "LPUSH"),
            "LPOP" | "RPOP" => self.pop(words[1], words.get(2).map(|n| n.parse().unwrap()), words[0] == "LPOP"),
            "LRANGE" => self.list(words[1]).map(|list| {
                let len = list.len() as i64;
                let place = |word: &str| word.parse::<i64>().map(|n| if n < 0 { n + len } else { n }).unwrap();
                let (first, last) = (place(words[2]), place(words[3]));
                strings((0..len).filter(|n| (first..=last).contains(n)).map(|n| list[n as usize].clone()))
            }),
            "LLEN" => self.list(words[1]).map(|list| Reply::Integer(list.len() as i64)),
            _ => Ok(self.run_on_keys(&words)),
        };
        reply.unwrap_or_else(|error| error)
    }

    fn run_on_keys(&mut self, words: &[&str]) -> Reply {
        let there = |model: &Self| words[1..].iter().filter(|key| model.keys.contains_key(**key)).count();
        Reply::Integer(match words[0] {
            "MGET" => {
                return Reply::Array(words[1..].iter().map(|key| self.string(key).map_or(Reply::Nil, maybe)).collect());
            }
            "MSET" => {
                for pair in words[1..].chunks(2) {
                    self.keys.insert(pair[0].into(), (Value::String(pair[1].into()), false));
                }
                return Reply::Simple("OK".into());
            }
            "TYPE" => {
                return Reply::Simple(
                    match self.keys.get(words[1]) {
                        None => "none",
                        Some((Value::String(_), _)) => "string",
                        Some((Value::List(_), _)) => "list",
                    }
                    .into(),
                );
            }
            "KEYS" => {
                let low = words[1].chars().nth(2).unwrap();
                let digit = |key: &str| key.chars().nth(1).unwrap();
                return strings(self.keys.keys().filter(|key| (low..='5').contains(&digit(key))).cloned());
            }
            "EXISTS" => there(self) as i64,
            "DBSIZE" => self.keys.len() as i64,
            "DEL" => words[1..].iter().filter(|key| self.keys.remove(**key).is_some()).count() as i64,
            "EXPIRE" => self.keys.get_mut(words[1]).map_or(0, |(_, expires)| {
                *expires = true;
                1
            }),
            "PEXPIRE" => self.keys.remove(words[1]).is_some().into(),
            "PERSIST" => self.keys.get_mut(words[1]).map_or(0, |(_, expires)| std::mem::take(expires).into()),
            "TTL" => self.keys.get(words[1]).map_or(-2, |(_, expires)| if *expires { 3600 } else { -1 }),
            other => panic!("{other}"),
        })
    }

    fn string(&self, key: &str) -> Result<Option<String>, Reply> {
        match self.keys.get(key) {
            None => Ok(None),
            Some((Value::String(text), _)) => Ok(Some(text.clone())),
            Some((Value::List(_), _)) => Err(wrong_type()),
        }
    }

    fn list(&self, key: &str) -> Result<Vec<String>, Reply> {
        match self.keys.get(key) {
            None => Ok(Vec::new()),
            Some((Value::List(list), _)) => Ok(list.clone()),
            Some((Value::String(_), _)) => Err(wrong_type()),
        }
    }

    fn set(&mut self, key: &str, value: &str, how: &[&str]) -> Result<Reply, Reply> {
        let get = how.contains(&"GET");
        let old = if get { maybe(self.string(key)?) } else { Reply::Nil };
        let there = self.keys.get(key).map(|(_, expires)| *expires);
        if (how.contains(&"NX") && there.is_some()) || (how.contains(&"XX") && there.is_none()) {
            return Ok(old);
        }
        let expires = how.contains(&"EX") || (how.contains(&"KEEPTTL") && there == Some(true));
        self.keys.insert(key.into(), (Value::String(value.into()), expires));
        Ok(if get { old } else { Reply::Simple("OK".into()) })
    }

    fn add(&mut self, key: &str, by: i64) -> Result<Reply, Reply> {
        let old = self.string(key)?.unwrap_or_else(|| "0".into());
        let no_integer = |_| Reply::Error("ERR value is not an integer or out of range".into());
        let sum = old.parse::<i64>().map_err(no_integer)? + by;
        let expires = self.keys.get(key).is_some_and(|(_, expires)| *expires);
        self.keys.insert(key.into(), (Value::String(sum.to_string()), expires));
        Ok(Reply::Integer(sum))
    }

    fn push(&mut self, key: &str, elements: &[&str], front: bool) -> Result<Reply, Reply> {
        self.list(key)?;
        let (Value::List(list), _) = self.keys.entry(key.into()).or_insert((Value::List(Vec::new()), false)) else {
            return Err(wrong_type());
        };
        for element in elements {
            list.insert(if front { 0 } else { list.len() }, element.to_string());
        }
        Ok(Reply::Integer(list.len() as i64))
    }

    fn pop(&mut self, key: &str, count: Option<usize>, front: bool) -> Result<Reply, Reply> {
        self.list(key)?;
        let Some((Value::List(list), _)) = self.keys.get_mut(key) else { return Ok(Reply::Nil) };
        let take = |list: &mut Vec<String>| if front { list.remove(0) } else { list.pop().expect("it is not empty") };
        let taken: Vec<_> = (0..count.unwrap_or(1).min(list.len())).map(|_| take(list)).collect();
        if list.is_empty() {
            self.keys.remove(key);
        }
        Ok(if count.is_some() { strings(taken) } else { Reply::Bulk(taken.concat()) })
    }
}
