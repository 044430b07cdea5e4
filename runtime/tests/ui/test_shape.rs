#[greenthread::test]
async fn future() {}

#[greenthread::test]
fn argument(n: u32) {}

#[greenthread::test]
const fn constant() {}

#[greenthread::test]
extern "C" fn foreign() {}

trait Tests {
    #[greenthread::test]
    fn no_body();
}

#[greenthread::test]
struct Test;

#[greenthread::test]
fn generic<T>() {}

fn main() {}
