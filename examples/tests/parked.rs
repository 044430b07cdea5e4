//! The example `parked`, with each method of making guards.

use std::process::Command;

#[test]
fn parks_and_ends_with_each_method() {
    for method in ["auto", "install", "userfault", "holes", "mprotect"] {
        let run = Command::new(env!("CARGO_BIN_EXE_parked")).arg("3000").env("GREENTHREAD_GUARDS", method).output();
        let output = run.unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{method}: {out}{err}");
        let lines: Vec<&str> = out.lines().collect();
        let [first, each, mappings, last] = lines[..] else { panic!("{method}: {out}{err}") };
        let used = first.strip_prefix("3000 goroutines, 3000 of them parked; guards by ").unwrap();
        // A method that the kernel does not support is named, with the one used instead.
        let replaced = format!("guards by {method} are not available");
        assert_ne!(used == method, err.contains(&replaced) || method == "auto", "{method}: {out}{err}");
        assert!(each.starts_with("each: ") && mappings.starts_with("mappings: "), "{out}");
        assert_eq!(last, "all have ended: 3000");
    }
}

#[test]
fn says_how_to_use_it() {
    for wrong in ["0", "many", "-1"] {
        let output = Command::new(env!("CARGO_BIN_EXE_parked")).arg(wrong).output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(2), b"usage: parked [COUNT]\n".to_vec()), "{wrong}");
    }
}
