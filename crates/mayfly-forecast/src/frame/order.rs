//! The order of series in a frame.

/// Places of ids in the order of a frame: whole numbers as such, else as text.
pub(super) fn order(ids: &[String]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..ids.len() as u32).collect();
    let numbers: Option<Vec<i64>> = ids.iter().map(|id| id.parse().ok()).collect();
    match numbers {
        Some(numbers) => order.sort_by_key(|i| (numbers[*i as usize], &ids[*i as usize])),
        None => order.sort_by_key(|i| &ids[*i as usize]),
    }
    order
}
