//! Tests of the settings: those from code, those from the environment, and the response to a bad
//! value.

use std::ffi::OsString;
use std::time::Duration;

use super::*;
use crate::api::config::env::{Settings, default_procs};

fn resolve(code: Config, env: &[(&str, &str)]) -> (Settings, Vec<String>) {
    let mut warnings = Vec::new();
    let get = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
    (Settings::resolve(&code, get, 2, &mut warnings), warnings)
}

fn defaults() -> Settings {
    Settings {
        procs: 2,
        procs_fixed: false,
        stack_size: DEFAULT_STACK_SIZE,
        guards: Guards::Auto,
        max_threads: 10_000,
        chaos: None,
        schedtrace: None,
        scheddetail: false,
        deadlock_report: true,
    }
}

#[test]
fn unset_and_empty_variables_mean_defaults_without_a_warning() {
    assert_eq!(resolve(Config::default(), &[]), (defaults(), vec![]));
    let names = [
        "GOMAXPROCS",
        "GODEBUG",
        "GREENTHREAD_STACK",
        "GREENTHREAD_GUARDS",
        "GREENTHREAD_MAXTHREADS",
        "GREENTHREAD_CHAOS",
    ];
    let empty = names.map(|name| (name, ""));
    assert_eq!(resolve(Config::default(), &empty), (defaults(), vec![]));
}

#[test]
fn good_values_are_taken() {
    let env = [
        ("GOMAXPROCS", "7"),
        ("GODEBUG", "gctrace=1,schedtrace=250,nonsense,scheddetail=1,deadlock=0,http2client=0"),
        ("GREENTHREAD_STACK", "1M"),
        ("GREENTHREAD_GUARDS", "holes"),
        ("GREENTHREAD_MAXTHREADS", "50"),
        ("GREENTHREAD_CHAOS", "7"),
    ];
    let expected = Settings {
        procs: 7,
        procs_fixed: true,
        stack_size: 1 << 20,
        guards: Guards::Holes,
        max_threads: 50,
        chaos: Some(7),
        schedtrace: Some(Duration::from_millis(250)),
        scheddetail: true,
        deadlock_report: false,
    };
    assert_eq!(resolve(Config::default(), &env), (expected, vec![]));
}

#[test]
fn stack_sizes_may_have_a_unit() {
    let cases =
        [("65536", 65536), ("16k", 16 << 10), ("256K", 256 << 10), ("1m", 1 << 20), ("2g", 2 << 30), ("64G", 64 << 30)];
    for (text, bytes) in cases {
        let (settings, warnings) = resolve(Config::default(), &[("GREENTHREAD_STACK", text)]);
        assert_eq!((settings.stack_size, warnings), (bytes, vec![]), "{text}");
    }
}

/// The variable, a bad value, and the text of the warning.
const BAD: &[(&str, &str, &str)] = &[
    ("GOMAXPROCS", "0", r#"GOMAXPROCS="0": not a whole number above 0; using 2, the number of CPUs"#),
    ("GOMAXPROCS", "-3", r#"GOMAXPROCS="-3": not a whole number above 0; using 2, the number of CPUs"#),
    ("GOMAXPROCS", "abc", r#"GOMAXPROCS="abc": not a whole number above 0; using 2, the number of CPUs"#),
    ("GOMAXPROCS", "+4", r#"GOMAXPROCS="+4": not a whole number above 0; using 2, the number of CPUs"#),
    ("GOMAXPROCS", " 4", r#"GOMAXPROCS=" 4": not a whole number above 0; using 2, the number of CPUs"#),
    ("GOMAXPROCS", "2.5", r#"GOMAXPROCS="2.5": not a whole number above 0; using 2, the number of CPUs"#),
    (
        "GREENTHREAD_STACK",
        "big",
        r#"GREENTHREAD_STACK="big": not a size such as 65536, 256k, 1m or 2g; using the default"#,
    ),
    ("GREENTHREAD_STACK", "k", r#"GREENTHREAD_STACK="k": not a size such as 65536, 256k, 1m or 2g; using the default"#),
    (
        "GREENTHREAD_STACK",
        "-1k",
        r#"GREENTHREAD_STACK="-1k": not a size such as 65536, 256k, 1m or 2g; using the default"#,
    ),
    (
        "GREENTHREAD_STACK",
        "1µ",
        r#"GREENTHREAD_STACK="1µ": not a size such as 65536, 256k, 1m or 2g; using the default"#,
    ),
    (
        "GREENTHREAD_GUARDS",
        "Holes",
        r#"GREENTHREAD_GUARDS="Holes": not one of auto, install, userfault, holes and mprotect; using auto"#,
    ),
    ("GREENTHREAD_MAXTHREADS", "0", r#"GREENTHREAD_MAXTHREADS="0": not a whole number above 0; using 10000"#),
    ("GREENTHREAD_CHAOS", "yes", r#"GREENTHREAD_CHAOS="yes": not a whole number; using 0, which is off"#),
    ("GREENTHREAD_MAXTHREADS", "x", r#"GREENTHREAD_MAXTHREADS="x": not a whole number above 0; using 10000"#),
    (
        "GODEBUG",
        "schedtrace=soon",
        r#"GODEBUG="schedtrace=soon": schedtrace is not a whole number of milliseconds; using schedtrace=0"#,
    ),
    (
        "GODEBUG",
        "schedtrace",
        r#"GODEBUG="schedtrace": schedtrace is not a whole number of milliseconds; using schedtrace=0"#,
    ),
    (
        "GODEBUG",
        "a=b,scheddetail=yes",
        r#"GODEBUG="scheddetail=yes": scheddetail is neither 0 nor 1; using scheddetail=0"#,
    ),
    ("GODEBUG", "deadlock=0,deadlock=off", r#"GODEBUG="deadlock=off": deadlock is neither 0 nor 1; using deadlock=1"#),
];

#[test]
fn bad_value_is_named_and_the_default_used() {
    for &(name, value, text) in BAD {
        assert_eq!(resolve(Config::default(), &[(name, value)]), (defaults(), vec![text.to_owned()]));
    }
}

#[test]
fn value_out_of_range_is_named_and_the_nearest_used() {
    for value in ["1025", "1000000", "99999999999999999999999"] {
        let (settings, warnings) = resolve(Config::default(), &[("GOMAXPROCS", value)]);
        assert_eq!((settings.procs, settings.procs_fixed), (1024, true));
        let text = format!(r#"GOMAXPROCS="{value}": more than the largest number of Ps; using 1024"#);
        assert_eq!(warnings, [text]);
    }
    for (value, bytes, text) in [
        ("0", 16 << 10, r#"GREENTHREAD_STACK="0": less than the smallest stack; using 16k"#),
        ("15k", 16 << 10, r#"GREENTHREAD_STACK="15k": less than the smallest stack; using 16k"#),
        ("65g", 64 << 30, r#"GREENTHREAD_STACK="65g": more than the largest stack; using 64g"#),
        (
            "99999999999999999999g",
            64 << 30,
            r#"GREENTHREAD_STACK="99999999999999999999g": more than the largest stack; using 64g"#,
        ),
    ] {
        let (settings, warnings) = resolve(Config::default(), &[("GREENTHREAD_STACK", value)]);
        assert_eq!(settings.stack_size, bytes);
        assert_eq!(warnings, [text]);
    }
}

#[test]
fn code_wins_and_the_environment_is_not_read() {
    let env =
        [("GOMAXPROCS", "abc"), ("GREENTHREAD_STACK", "1m"), ("GODEBUG", "schedtrace=x,deadlock=x,scheddetail=1")];
    let code = Config::default().procs(3).schedtrace(Duration::ZERO).deadlock(true);
    let expected = Settings { procs: 3, procs_fixed: true, stack_size: 1 << 20, scheddetail: true, ..defaults() };
    assert_eq!(resolve(code, &env), (expected, vec![]));
}

#[test]
fn code_switches_chaos_off() {
    let env = [("GREENTHREAD_CHAOS", "7")];
    assert_eq!(resolve(Config::default().chaos(None), &env), (defaults(), vec![]));
    assert_eq!(resolve(Config::default(), &[("GREENTHREAD_CHAOS", "0")]), (defaults(), vec![]));
}

#[test]
fn bad_values_in_code_are_errors() {
    for (config, text) in [
        (Config::default().procs(0), "config: procs is 0, but must be from 1 to 1024"),
        (Config::default().procs(1025), "config: procs is 1025, but must be from 1 to 1024"),
        (Config::default().stack_size(4096), "config: stack_size is 4096, but must be from 16384 to 68719476736"),
        (Config::default().max_threads(0), "config: max_threads is 0, but must be at least 1"),
    ] {
        assert_eq!(config.install().unwrap_err().to_string(), text);
    }
}

#[test]
fn the_default_number_of_ps_is_in_range() {
    assert!((1..=MAX_PROCS).contains(&default_procs()));
}
