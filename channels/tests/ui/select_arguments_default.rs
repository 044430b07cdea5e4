use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        default(1, 2) => {}
    }

    select! {
        default[1] => {}
    }

    select! {
        default {}
    }
}
