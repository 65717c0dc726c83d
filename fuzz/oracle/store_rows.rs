//! What must hold of the rows of the history, whatever is under their checksum: read or refused, and what was read
//! comes back as it was.

use heartbeat::history::{block, rollup};

/// Panics where a property does not hold. The first byte says which kind of row the others are.
pub fn check(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => {
            let Some(segments) = block::decode_block_body(body) else { return };
            let row = block::encode_block(&segments);
            let again = block::decode_block(&row).expect("a row just made");
            assert_eq!(block::encode_block(&again), row);
        }
        1 => {
            let Some(groups) = block::decode_piece_body(body) else { return };
            let row = block::encode_piece(&groups);
            let again = block::decode_piece(&row).expect("a row just made");
            assert_eq!(block::encode_piece(&again), row);
        }
        _ => {
            let Some(rollups) = rollup::decode_rollups_body(body) else { return };
            let row = rollup::encode_rollups(&rollups);
            let again = rollup::decode_rollups(&row).expect("a row just made");
            assert_eq!(rollup::encode_rollups(&again), row);
        }
    }
}
