//! [`Parallel::map_longest_first`]: the dearest tasks start first.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Parallel;
use crate::batch::Order;
use crate::call;
use crate::error::{self, Error};
use crate::measure::Run;
use crate::task::Data;

impl Parallel {
    /// Runs `f` on every input as [`map`](Self::map) does, and starts with those whose `cost` is highest,
    /// so that no long task is left for the end, when the other workers have nothing more to do. The
    /// results come in the order of the inputs.
    ///
    /// A cost may be in any unit, as bytes of a file, since only the order counts; inputs that cost the
    /// same start in their order.
    ///
    /// ```
    /// # use joblab::{Backend, Parallel};
    /// let parallel = Parallel::new(1).backend(Backend::Sequential);
    /// let run = parallel.map_longest_first(|n: u64| n * n, [1, 3, 2], |n| *n as f64)?;
    /// assert_eq!(run.results, [1, 9, 4]);
    /// assert!(run.tasks[1].start < run.tasks[2].start && run.tasks[2].start < run.tasks[0].start);
    /// # Ok::<(), joblab::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), and where a cost is NaN or `cost` panics.
    pub fn map_longest_first<A: Data, R: Data>(
        &self,
        f: fn(A) -> R,
        inputs: impl IntoIterator<Item = A>,
        cost: impl Fn(&A) -> f64,
    ) -> Result<Run<R>, Error> {
        let (mut all, mut costs) = (Vec::new(), Vec::new());
        let look = || {
            for input in inputs {
                costs.push(cost(&input));
                all.push(Some(input));
            }
        };
        catch_unwind(AssertUnwindSafe(look))
            .map_err(|payload| Error::input(all.len(), &error::panic_message(payload)))?;
        let order = Order::longest_first(&costs)?;
        let tasks = (0..costs.len()).map(|place| {
            let input = all[order.index(place)].take();
            (f, input.expect("an order has each task once"))
        });
        let (setup, mut tasks) = self.call(tasks, false)?;
        call::run_in_order(setup, &mut tasks, &order)
    }
}
