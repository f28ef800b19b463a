//! Gives freed memory back to the operating system. This is the one file with unsafe code, because no well-kept library
//! has a safe wrapper for glibc's call.

/// Returns the freed memory that glibc's allocator keeps. After a burst this can be nearly all that was in use, because
/// glibc only gives back memory at an end of its heaps (malloc_trim(3)). While a heap is searched, threads that allocate
/// from it wait, for some milliseconds at most. Other allocators give memory back by themselves.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "a declaration of glibc's function, see below")]
pub fn trim() {
    // SAFETY: this is the signature in malloc.h. The function takes no pointer, has no precondition, and may be called by
    // any thread at any time ("MT-Safe" in malloc_trim(3)), which is why calling it is declared to be safe.
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    malloc_trim(0);
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn trim() {}
