use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        recv(rx) -> _ => drop(1);
        default => {}
    }

    select! {
        recv(rx) -> _ => {};
        default => {}
    }

    select! {
        default => drop(1);
    }
}
