use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        recv() -> _ => {}
    }

    select! {
        recv(rx, 1) -> _ => {}
    }

    select! {
        recv(rx rx) -> _ => {}
    }
}
