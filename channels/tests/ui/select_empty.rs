use greenthread_channels::{select};

fn main() {
    select! {}
}
