use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        recv(rx) -> n if rx.is_empty() => drop(n),
        default => {}
    }
}
