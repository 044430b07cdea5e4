use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        recv(rx) -> _ =>
    }

    select! {
        recv(rx) -> _ =>,
    }

    select! {
        send(tx, 1) -> _ =>
        recv(rx) -> _ => {}
    }

    select! {
        recv(rx) -> _ =>
        default => {}
    }

    select! {
        default =>
    }
}
