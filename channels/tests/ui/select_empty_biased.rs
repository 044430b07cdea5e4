use greenthread_channels::{select_biased};

fn main() {
    select_biased! {}
}
