use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        recv(rx) {}
    }

    select! {
        send(tx, 1), default => {}
    }

    select! {
        recv(rx)
    }
}
