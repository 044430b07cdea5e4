use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        receive(rx) -> n => drop(n),
    }

    select! {
        recv(rx) -> _ => {}
        _ => {}
    }

    select! {
        Ok(n) = rx => drop(n),
    }

    select! {
        recv(rx) -> _ => {},, default => {}
    }
}
