//! Overwrites of 8 bytes at file positions, applied to whatever piece is being sent.

/// A position in the file and the bytes that stand there instead.
pub type Patch = (u64, [u8; 8]);

/// Overwrites what of `patches` falls into `piece`, which lies at `start` in the file.
/// Later patches win where some overlap.
pub fn apply(piece: &mut [u8], start: u64, patches: &[Patch]) {
    let end = start.saturating_add(piece.len() as u64);
    for (position, bytes) in patches {
        let from = start.max(*position);
        let to = end.min(position.saturating_add(8));
        if from >= to {
            continue;
        }
        // Both lie within the piece and within the patch, so that neither difference passes its length.
        let within = |base: u64| (from - base) as usize..(to - base) as usize;
        piece[within(start)].copy_from_slice(&bytes[within(*position)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATCH: Patch = (10, [1, 2, 3, 4, 5, 6, 7, 8]);

    fn patched(start: u64, len: usize, patches: &[Patch]) -> Vec<u8> {
        let mut piece = vec![0; len];
        apply(&mut piece, start, patches);
        piece
    }

    #[test]
    fn a_patch_is_cut_where_the_piece_is() {
        assert_eq!(patched(8, 12, &[PATCH]), [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0]);
        assert_eq!(patched(8, 4, &[PATCH]), [0, 0, 1, 2]);
        assert_eq!(patched(12, 3, &[PATCH]), [3, 4, 5]);
        assert_eq!(patched(17, 2, &[PATCH]), [8, 0]);
    }

    #[test]
    fn a_patch_beside_the_piece_changes_nothing() {
        assert_eq!(patched(18, 2, &[PATCH]), [0, 0]);
        assert_eq!(patched(8, 2, &[PATCH]), [0, 0]);
        assert_eq!(patched(0, 0, &[PATCH]), [0; 0]);
        assert_eq!(patched(0, 2, &[(u64::MAX - 3, [1; 8])]), [0, 0]);
        assert_eq!(patched(u64::MAX - 1, 2, &[(u64::MAX - 3, [1; 8])]).len(), 2);
    }

    proptest! {
        #[test]
        fn pieces_put_together_are_the_patched_whole(
            len in 0usize..200,
            patches in prop::collection::vec((0u64..220, any::<[u8; 8]>()), 0..6),
            cuts in prop::collection::vec(0usize..200, 0..6),
        ) {
            let original: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut whole = original.clone();
            for (position, bytes) in &patches {
                for (offset, byte) in bytes.iter().enumerate() {
                    if let Some(target) = whole.get_mut(*position as usize + offset) {
                        *target = *byte;
                    }
                }
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(len)).chain([0, len]).collect();
            cuts.sort_unstable();
            let mut joined = Vec::new();
            for pair in cuts.windows(2) {
                let mut piece = original[pair[0]..pair[1]].to_vec();
                apply(&mut piece, pair[0] as u64, &patches);
                joined.extend(piece);
            }
            prop_assert_eq!(joined, whole);
        }
    }
}
