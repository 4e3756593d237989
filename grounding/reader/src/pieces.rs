//! Pieces of a picture that hang together, corner to corner.

/// Edges of a piece in pixels; right and bottom are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) right: usize,
    pub(crate) bottom: usize,
}

/// Calls `found` with every piece of the pixels that are `set`, and with the indices of its pixels.
pub(crate) fn pieces(
    (width, height): (usize, usize),
    set: impl Fn(usize) -> bool,
    mut found: impl FnMut(Piece, &[usize]),
) {
    let mut seen = vec![false; width * height];
    let mut members = Vec::new();
    for start in 0..width * height {
        if seen[start] || !set(start) {
            continue;
        }
        seen[start] = true;
        members.clear();
        members.push(start);
        let (x, y) = (start % width, start / width);
        let mut piece = Piece { left: x, top: y, right: x + 1, bottom: y + 1 };
        let mut next = 0;
        while let Some(&at) = members.get(next) {
            next += 1;
            let (x, y) = (at % width, at / width);
            (piece.left, piece.right) = (piece.left.min(x), piece.right.max(x + 1));
            (piece.top, piece.bottom) = (piece.top.min(y), piece.bottom.max(y + 1));
            let columns = x.saturating_sub(1)..(x + 2).min(width);
            for near_y in y.saturating_sub(1)..(y + 2).min(height) {
                for near in columns.clone().map(|near_x| near_y * width + near_x) {
                    if !seen[near] && set(near) {
                        seen[near] = true;
                        members.push(near);
                    }
                }
            }
        }
        found(piece, &members);
    }
}
