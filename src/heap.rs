//! Gives freed memory back to the operating system. The one file with unsafe code: glibc's call has no safe wrapper in a
//! library that is well kept.

/// Returns what glibc's allocator keeps of freed memory: after a burst that can be nearly all of what was in use, because
/// glibc only gives back what lies at an end of its heaps (malloc_trim(3)). Threads that allocate wait for a heap that is
/// just being searched, some milliseconds at most. Other allocators give memory back by themselves.
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
