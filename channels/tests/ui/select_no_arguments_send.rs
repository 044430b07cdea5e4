use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        send -> result => drop(result),
    }

    select! {
        send { tx, 1 } -> _ => {}
    }
}
