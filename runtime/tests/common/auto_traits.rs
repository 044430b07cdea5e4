//! Tells at run time whether a type is `Send` and `Sync`, so that "no" can be tested, too.

use std::marker::PhantomData;

/// A stand-in for a `T`.
///
/// Where the bounds of an inherent method hold, it wins over that of [`No`].
pub struct Ask<T: ?Sized>(pub PhantomData<T>);

pub trait No {
    fn is_send(&self) -> bool {
        false
    }
    fn is_sync(&self) -> bool {
        false
    }
}
impl<T: ?Sized> No for Ask<T> {}
impl<T: ?Sized + Send> Ask<T> {
    pub fn is_send(&self) -> bool {
        true
    }
}
impl<T: ?Sized + Sync> Ask<T> {
    pub fn is_sync(&self) -> bool {
        true
    }
}

/// Evaluates to whether the type is `Send`, and whether it is `Sync`, as a pair.
macro_rules! asked {
    ($t:ty) => {{
        // The trait is unused if the type is both `Send` and `Sync`.
        #[allow(unused_imports)]
        use $crate::common::auto_traits::No as _;
        let ask = $crate::common::auto_traits::Ask::<$t>(std::marker::PhantomData);
        (ask.is_send(), ask.is_sync())
    }};
}
