//! How much stack common libraries use: a table, in KiB.
//!
//! Each program runs in a goroutine whose stack nothing has run on before. The lowest page that it
//! has touched tells how deep it went (`/proc/self/pagemap`), so the figures are multiples of a
//! page. A program may use a little more than is shown in its first page.

mod programs;

use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::FileExt;

use greenthread::{Builder, channel, stack};

const PAGE: usize = 4096;
const RESERVED: usize = 8 << 20;

/// Returns how many bytes below `top` the lowest page of this stack lies that was ever touched.
fn used(top: usize, low: usize) -> usize {
    let pagemap = File::open("/proc/self/pagemap").expect("/proc is mounted");
    let is_present = |page: &usize| {
        let mut entry = [0; 8];
        pagemap.read_exact_at(&mut entry, (page / PAGE * 8) as u64).expect("the page is mapped");
        u64::from_le_bytes(entry) >> 63 == 1
    };
    let lowest = (low..top).step_by(PAGE).find(is_present);
    lowest.map_or(0, |page| top - page)
}

/// Runs `program` on a stack of its own, which it keeps, and returns how many KiB it has used.
fn measure(program: fn()) -> usize {
    let (tx, result) = channel::bounded(1);
    let body = move || {
        let local = 0_u8;
        let top = (&raw const local).addr();
        let low = (top - stack::remaining().expect("this is a goroutine")).next_multiple_of(PAGE);
        program();
        tx.send(used(top, low)).expect("main waits");
        // Nothing may run on this stack anymore.
        let _ = channel::never::<Infallible>().recv();
    };
    Builder::new().stack_size(RESERVED).spawn(body).expect("8 MiB are possible");
    result.recv().expect("the program has not panicked").div_ceil(1 << 10)
}

#[greenthread::main]
fn main() {
    for (name, program) in programs::PROGRAMS {
        println!("{name}\t{}", measure(*program));
    }
}
