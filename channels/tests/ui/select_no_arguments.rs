use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        recv -> n => drop(n),
    }

    select! {
        recv => {}
    }

    select! {
        recv[rx] -> n => drop(n),
    }

    select! {
        recv
    }
}
