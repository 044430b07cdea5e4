use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        recv(rx) -> _ => drop(1)
        default => {}
    }

    select! {
        send(tx, 1) -> result => result.unwrap()
        recv(rx) -> _ => {}
    }

    select! {
        default => 1 2
    }

    select! {
        recv(rx) -> _ => let n = 1,
    }
}
