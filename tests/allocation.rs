//! Decoding allocates nothing per leaf, and nothing at all for a heartbeat: the buffers are reused.

use heartbeat::wire::Decoder;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came; counting touches a plain
// cell.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of a second decoding of the same bytes.
fn allocations(decoder: &mut Decoder, bytes: &[u8]) -> u64 {
    assert!(decoder.decode(bytes).is_ok());
    let before = ALLOCATIONS.get();
    assert!(decoder.decode(bytes).is_ok());
    ALLOCATIONS.get() - before
}

#[test]
fn decoding_in_the_steady_state_allocates_nothing_per_leaf() {
    let mut decoder = Decoder::new();
    let htb = br#"{"ID":"HTB","name":"Web1","seq":1,"interval":30,"rtt":0.5,"up":9,"v":"1"}"#;
    assert_eq!(allocations(&mut decoder, htb), 0);
    let leaves: Vec<_> = (0..500).map(|i| format!(r#""key{i}":"{i}.5""#)).collect();
    let flat = plg(&leaves.join(","));
    assert_eq!(allocations(&mut decoder, flat.as_bytes()), 0);
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(flat.as_bytes(), 6);
    assert_eq!(allocations(&mut decoder, &packed), 0);
    // serde_json keeps one small buffer per message, for strings with escapes.
    let leaves: Vec<_> = (0..500).map(|i| format!(r#""k\u00e9{i}":{{"x":{i}.5}}"#)).collect();
    let nested = plg(&leaves.join(","));
    assert!(allocations(&mut decoder, nested.as_bytes()) < 10);
}

fn plg(members: &str) -> String {
    format!(r#"{{"ID":"PLG","name":"web1","plugin":"p","part":[1,2],"data":{{{members}}}}}"#)
}
