//! What the guards of all locks have in common.

/// Implements that a guard dereferences to the value, prints as the value does, and unlocks when it is dropped; after
/// `mut`, that it lends the value for changes too.
///
/// The guard has a field `lock` that leads to a lock with fields `raw` and `data`. For the safety comments: I1 says that `data` is
/// touched only by whoever holds `raw`, and I2 that a guard exists only while `raw` is locked on its behalf, so
/// that `$unlock` may be called once.
macro_rules! impl_guard {
    ([$($generics:tt)*] mut $guard:ty, $unlock:ident) => {
        impl<$($generics)*> std::ops::DerefMut for $guard {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: I1, and I2: the lock is held alone as long as the guard lives; `&mut self` makes this the only
                // reference.
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
                // SAFETY: I1, and I2: the lock is held as long as the guard lives.
                unsafe { &*self.lock.data.get() }
            }
        }

        impl<$($generics)*> Drop for $guard {
            #[inline]
            fn drop(&mut self) {
                // SAFETY: I2.
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
