//! The trait impls that all guards share.

/// Implements `Deref`, `Drop` (which unlocks), `Debug` and `Display` for a guard, and `DerefMut` if
/// `mut` comes first.
///
/// The guard has a field `lock` that refers to a lock with the fields `raw` and `data`. The safety
/// comments rely on two invariants of that lock. I1: `data` is touched only by the holder of `raw`.
/// I2: a guard exists only while `raw` is locked on its behalf, so that `$unlock` may be called
/// once.
macro_rules! impl_guard {
    ([$($generics:tt)*] mut $guard:ty, $unlock:ident) => {
        impl<$($generics)*> std::ops::DerefMut for $guard {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: by I2 the lock is held exclusively as long as the guard lives, so I1
                // allows the access; `&mut self` makes this the only reference.
                unsafe { &mut *self.lock.data.get() }
            }
        }

        impl_guard!([$($generics)*] $guard, $unlock);
    };
    ([$($generics:tt)*] $guard:ty, $unlock:ident) => {
        impl<$($generics)*> std::ops::Deref for $guard {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: by I2 the lock is held as long as the guard lives, so I1 allows the
                // access.
                unsafe { &*self.lock.data.get() }
            }
        }

        impl<$($generics)*> Drop for $guard {
            #[inline]
            fn drop(&mut self) {
                // SAFETY: by I2 the lock is held on behalf of this guard, which is dropped once.
                unsafe { self.lock.raw.$unlock() };
            }
        }

        impl<$($generics)* + std::fmt::Debug> std::fmt::Debug for $guard {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<$($generics)* + std::fmt::Display> std::fmt::Display for $guard {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

pub(super) use impl_guard;
