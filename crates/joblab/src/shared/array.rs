//! Shared numbers seen as arrays of the `ndarray` crate.

use bytemuck::Pod;
use ndarray::{ArrayView, ArrayViewMut, Dimension, ShapeError, StrideShape};

use super::slice::{Part, SharedSlice};
use crate::error::Error;

impl<T: Pod> SharedSlice<T> {
    /// The numbers as an array of that shape, without a copy. Needs the feature `ndarray`.
    ///
    /// ```
    /// # use joblab::{Backend, Parallel, SharedSlice};
    /// let table = SharedSlice::from_vec((0..12).map(f64::from).collect())?;
    /// let sum_of_row = |(row, table): (usize, SharedSlice<f64>)| {
    ///     table.view((3, 4)).map(|table| table.row(row).sum()).unwrap_or_default()
    /// };
    /// let parallel = Parallel::new(2).backend(Backend::Multiprocessing);
    /// let run = parallel.map(sum_of_row, (0..3).map(|row| (row, table.clone())))?;
    /// assert_eq!(run.results, [6.0, 22.0, 38.0]);
    /// # Ok::<(), joblab::Error>(())
    /// ```
    ///
    /// # Errors
    /// Where the shape has more places than there are numbers.
    pub fn view<D: Dimension>(
        &self,
        shape: impl Into<StrideShape<D>>,
    ) -> Result<ArrayView<'_, T, D>, Error> {
        ArrayView::from_shape(shape, self).map_err(|error| refused(self.len(), &error))
    }
}

impl<T: Pod> Part<T> {
    /// The numbers as an array of that shape, to be written in place. Needs the feature `ndarray`.
    ///
    /// ```
    /// # use joblab::{Backend, Parallel, Part, SharedSlice};
    /// let fill = |mut part: Part<u64>| {
    ///     let row = part.start() as u64 / 4;
    ///     part.view_mut((2, 4)).map(|mut rows| rows.row_mut(1).fill(row)).is_ok()
    /// };
    /// let (parts, whole) = SharedSlice::parts(16, 2)?;
    /// let parallel = Parallel::new(2).backend(Backend::Multiprocessing);
    /// assert_eq!(parallel.map(fill, parts)?.results, [true, true]);
    /// assert_eq!(whole.join()?.view((4, 4))?.column(3).to_vec(), [0, 0, 0, 2]);
    /// # Ok::<(), joblab::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`SharedSlice::view`].
    pub fn view_mut<D: Dimension>(
        &mut self,
        shape: impl Into<StrideShape<D>>,
    ) -> Result<ArrayViewMut<'_, T, D>, Error> {
        let numbers = self.len();
        ArrayViewMut::from_shape(shape, self).map_err(|error| refused(numbers, &error))
    }
}

fn refused(numbers: usize, error: &ShapeError) -> Error {
    Error::other(format!("{numbers} numbers do not fill an array of this shape: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_the_same_memory_and_has_to_fit() {
        let slice = SharedSlice::from_vec(vec![1.5_f32; 6]).unwrap();
        assert_eq!(slice.view((2, 3)).unwrap().as_ptr(), slice.as_ptr());
        let error = slice.view((2, 4)).unwrap_err().to_string();
        assert!(error.contains("6 numbers do not fill"), "{error}");
        let (mut parts, _whole) = SharedSlice::<u8>::parts(10, 2).unwrap();
        let first = parts[1].as_ptr();
        assert_eq!(parts[1].view_mut(5).unwrap().as_ptr(), first);
        assert!(parts[1].view_mut(6).is_err());
    }
}
