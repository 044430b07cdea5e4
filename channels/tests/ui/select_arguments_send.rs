use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        send(tx) -> _ => {}
    }

    select! {
        send(tx, 1, 2) -> _ => {}
    }

    select! {
        send() -> _ => {}
    }
}
