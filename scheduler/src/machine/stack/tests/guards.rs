//! The methods of making guards: their limits, and the choice between them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::iter;
use std::ops::Range;
use std::ptr;
use std::slice;
use std::thread;

use super::super::class_for;
use super::super::guards::{Guarding, Guards};
use super::super::pool::Pool;
use super::{DEFAULT, Parked, methods, pool_of, with_each};
use crate::machine::stack::Stack;
use crate::machine::sys::memory::{self, Span, page_size};

/// Takes stacks until there is none, and returns them with the error.
fn take_all(pool: &'static Pool) -> (Vec<Stack>, io::Error) {
    let mut stacks = Vec::new();
    loop {
        match pool.take(DEFAULT) {
            Ok(stack) => stacks.push(stack),
            Err(error) => return (stacks, error),
        }
    }
}

#[test]
fn where_a_guard_takes_mappings_there_is_a_limit_and_a_reason() {
    for (method, most) in [(Guards::Mprotect, 201), (Guards::Holes, 100)] {
        if method.check().is_err() {
            continue;
        }
        let pool = pool_of(method, most);
        let (mut stacks, error) = take_all(pool);
        assert_eq!(stacks.len(), 94, "the rest is for urgent use");
        let urgent: Vec<_> = iter::from_fn(|| pool.take_free(class_for(DEFAULT).unwrap(), true)).collect();
        assert_eq!(urgent.len(), 6);
        urgent.into_iter().for_each(|stack| pool.give(stack));
        assert!(pool.take_free(class_for(DEFAULT).unwrap(), false).is_none());
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        let text = error.to_string();
        for part in ["the 100 stacks", method.name(), "mappings", "raise"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        pool.give(stacks.pop().unwrap());
        let again = pool.take(DEFAULT).unwrap();
        pool.give(Parked::new(again, 24 << 10, 1).end());
    }
}

/// Returns the smallest range that contains the slots of the stacks.
fn range_of(stacks: &[Stack]) -> Range<usize> {
    let limits = stacks.iter().map(|stack| stack.meta().limit());
    let tops = stacks.iter().map(|stack| stack.meta().top());
    limits.min().unwrap()..tops.max().unwrap()
}

#[test]
fn guards_take_as_many_mappings_as_documented() {
    const STACKS: usize = 640;
    for (method, each) in Guards::METHODS.into_iter().zip([0, 0, 1, 2]) {
        if method.check().is_err() || fs::exists("/proc/self/maps").is_ok_and(|exists| !exists) {
            continue;
        }
        let pool = pool_of(method, 0);
        let stacks: Vec<_> = (0..STACKS).map(|_| pool.take(DEFAULT).unwrap()).collect();
        let slots = range_of(&stacks);
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let starts = maps.lines().filter_map(|line| usize::from_str_radix(line.split_once('-')?.0, 16).ok());
        let mappings = starts.filter(|start| slots.contains(start)).count();
        assert!(mappings.abs_diff(each * STACKS) <= 2, "{mappings} mappings for {STACKS} guards by {method}");
        stacks.into_iter().for_each(|stack| pool.give(stack));
    }
}

#[test]
fn no_later_mapping_is_placed_in_a_hole() {
    if Guards::Holes.check().is_err() {
        return;
    }
    let pool = pool_of(Guards::Holes, 0);
    let stacks: Vec<_> = (0..5000).map(|_| pool.take(DEFAULT).unwrap()).collect();
    let slots = range_of(&stacks);
    // Each is small enough for a hole. Every other one is made inaccessible, so that the kernel
    // cannot merge them.
    let areas: Vec<usize> = (0..30_000)
        .map(|i| if i % 2 == 0 { memory::map(page_size()) } else { memory::reserve(page_size()) })
        .collect::<io::Result<_>>()
        .unwrap();
    let inside = areas.iter().filter(|area| slots.contains(area)).count();
    for area in areas {
        // SAFETY: the area was mapped above and is not in use.
        unsafe { memory::release(area..area + page_size()) };
    }
    stacks.into_iter().for_each(|stack| pool.give(stack));
    assert_eq!(inside, 0, "areas in {slots:x?}");
}

#[test]
fn no_two_arenas_of_holes_overlap() {
    const LEN: usize = 3 << 20;
    if Guards::Holes.check().is_err() {
        return;
    }
    let find = || (0..500).map(|_| memory::find_unclaimed(LEN).unwrap()).collect::<Vec<_>>();
    let mut starts: Vec<usize> = thread::scope(|scope| {
        let finders: Vec<_> = (0..4).map(|_| scope.spawn(find)).collect();
        finders.into_iter().flat_map(|finder| finder.join().unwrap()).collect()
    });
    starts.sort_unstable();
    assert!(starts.windows(2).all(|pair| pair[0] + LEN <= pair[1]), "{starts:x?}");
}

#[test]
fn what_the_program_maps_among_holes_is_left_alone() {
    if Guards::Holes.check().is_err() {
        return;
    }
    let pool = pool_of(Guards::Holes, 0);
    let first = pool.take(DEFAULT).unwrap();
    // The group of the first stack has 64 slots, and the next group begins above it.
    let there = first.meta().limit() + 64 * DEFAULT + DEFAULT / 2;
    let page = Span::new(there..there + page_size());
    memory::map_at(&page).unwrap();
    // SAFETY: the page was mapped above.
    unsafe { ptr::with_exposed_provenance_mut::<u64>(there).write_volatile(4711) };
    let stacks: Vec<_> = (0..200).map(|_| pool.take(DEFAULT).unwrap()).collect();
    let parked: Vec<_> = stacks.into_iter().map(|stack| Parked::new(stack, 200 << 10, 1)).collect();
    // SAFETY: the page was mapped above.
    assert_eq!(unsafe { ptr::with_exposed_provenance::<u64>(there).read_volatile() }, 4711);
    parked.into_iter().for_each(|parked| pool.give(parked.end()));
    pool.give(first);
    // SAFETY: the page was mapped above, and is not in use.
    unsafe { memory::release(there..there + page_size()) };
}

#[test]
fn a_method_that_does_not_work_is_replaced_and_the_reason_returned() {
    let guarding = Guarding::new();
    assert_eq!(guarding.chosen(), Guards::Auto);
    let (best, refusal) = guarding.choose(Guards::Auto);
    assert_eq!((Some(&best), refusal.is_none()), (methods().first(), true));
    let (still, refusal) = guarding.choose(Guards::Mprotect);
    assert_eq!((still, refusal.is_none()), (best, true), "the first choice stays");
    for method in Guards::METHODS {
        let (used, refusal) = Guarding::new().choose(method);
        assert_eq!(used == method, refusal.is_none(), "{method}");
        assert!(used == method || used == best, "{method}");
    }
    for method in [Guards::Auto].into_iter().chain(Guards::METHODS) {
        assert_eq!(Guards::named(method.name()), Some(method));
    }
    assert_eq!(Guards::named("none"), None);
}

#[test]
fn a_system_call_that_writes_to_a_guard_fails() {
    with_each(|pool| {
        let stack = pool.take(DEFAULT).unwrap();
        let mut zeros = File::open("/dev/zero").unwrap();
        // SAFETY: the guard holds nothing, and the call fails.
        let guard =
            unsafe { slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(stack.low() - page_size()), 1) };
        let error = zeros.read(guard).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
        pool.give(stack);
    });
}
