use greenthread_channels::{bounded, select};

fn main() {
    let (tx, rx) = bounded::<u8>(1);

    select! {
        recv(rx) => n => drop(n),
    }

    select! {
        send(tx, 1) => {}
    }

    select! {
        recv(rx) => println!("received"),
    }
}
