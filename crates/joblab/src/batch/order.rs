//! The order in which a call starts its tasks, where that is not the list's.

use std::sync::Arc;

use crate::error::Error;

/// Which task of the list is at which place of the order. The engine counts in places; what users see
/// counts in the list's indices.
#[derive(Clone, Default)]
pub(crate) struct Order(Option<Arc<[usize]>>);

impl Order {
    /// The dearest first, and those that cost the same as they stand in the list: LPT, the longest
    /// processing time first (R. L. Graham, "Bounds on multiprocessing timing anomalies", 1969).
    ///
    /// # Errors
    /// Where a cost is no number.
    pub(crate) fn longest_first(costs: &[f64]) -> Result<Self, Error> {
        if let Some(index) = costs.iter().position(|cost| cost.is_nan()) {
            return Err(Error::cost(index));
        }
        let mut indices: Vec<usize> = (0..costs.len()).collect();
        indices.sort_by(|&a, &b| costs[b].total_cmp(&costs[a]));
        Ok(Order(Some(indices.into())))
    }

    /// The list's index of the task at this place.
    pub(crate) fn index(&self, place: usize) -> usize {
        self.0.as_ref().map_or(place, |indices| indices[place])
    }

    pub(crate) fn is_lists_own(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_is_first() {
        let order = Order::longest_first(&[1.0, f64::INFINITY, -2.0, 1.0, 0.0]).unwrap();
        assert_eq!([0, 1, 2, 3, 4].map(|place| order.index(place)), [1, 0, 3, 4, 2]);
        assert_eq!(Order::default().index(7), 7);
        let error = Order::longest_first(&[1.0, f64::NAN]).map(|_| ()).unwrap_err();
        assert_eq!(error.task_index(), Some(1));
    }
}
