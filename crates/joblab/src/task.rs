//! A task: a call that is plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What travels to a worker and back: anything that serde can write and read, and that owns what
/// it holds.
// A notebook shows no notes, so that the label has to say what to do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to a worker",
    label = "serde must be able to write and to read it: put `#[derive(Serialize, Deserialize)]` on a \
             type of your own, turn an error of a library to text with `.to_string()`, take a `String` \
             for a `&str`; `Parallel::sharedmem` needs none of this"
)]
pub trait Data: Serialize + for<'de> OwnsItsData<'de> + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + for<'de> OwnsItsData<'de> + Send + 'static> Data for T {}

/// serde's `DeserializeOwned`, by a name that says something where a task takes or returns a reference
/// and the compiler writes that an implementation "is not general enough".
#[doc(hidden)]
pub trait OwnsItsData<'de>: Deserialize<'de> {}

#[diagnostic::do_not_recommend]
impl<'de, T: Deserialize<'de>> OwnsItsData<'de> for T {}

/// A call of `f` with `arg` that has not happened yet; [`delayed`] makes one.
///
/// A list of these is what [`Parallel::run`](crate::Parallel::run) takes, as joblib's `Parallel`
/// takes a list of `delayed(f)(arg)`.
#[derive(Clone, Copy)]
pub struct Delayed<A, R> {
    pub(crate) f: fn(A) -> R,
    pub(crate) arg: A,
}

/// Writes a call down, to be run later by [`Parallel::run`](crate::Parallel::run).
///
/// `f` is a function or a closure that captures nothing, so that it can be called in another
/// process too. Several arguments travel as a tuple.
///
/// ```
/// # use joblab::{Parallel, delayed};
/// fn power((base, exponent): (u64, u32)) -> u64 {
///     base.pow(exponent)
/// }
/// let tasks = [delayed(power, (2, 10)), delayed(power, (3, 3))];
/// assert_eq!(Parallel::new(2).run(tasks)?.results, [1024, 27]);
/// # Ok::<(), joblab::Error>(())
/// ```
pub fn delayed<A, R>(f: fn(A) -> R, arg: A) -> Delayed<A, R> {
    Delayed { f, arg }
}

/// Shows types and argument; a function's address says nothing to a reader.
impl<A: fmt::Debug, R> fmt::Debug for Delayed<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (argument, result) = (std::any::type_name::<A>(), std::any::type_name::<R>());
        write!(f, "delayed(fn({argument}) -> {result}, {:?})", self.arg)
    }
}

/// What a list of tasks may hold: [`Delayed`] calls, or references to calls that can be cloned,
/// so that the same list can be run again.
///
/// ```
/// # use joblab::{Parallel, delayed};
/// let tasks: Vec<_> = (0..4).map(|i| delayed(|i: u64| i * i, i)).collect();
/// let parallel = Parallel::new(2);
/// assert_eq!(parallel.run(&tasks)?.results, parallel.run(tasks)?.results);
/// # Ok::<(), joblab::Error>(())
/// ```
pub trait Task {
    /// What the task's function takes.
    type Arg: Data;
    /// What the task's function returns.
    type Output: Data;

    /// The call itself.
    fn into_delayed(self) -> Delayed<Self::Arg, Self::Output>;
}

impl<A: Data, R: Data> Task for Delayed<A, R> {
    type Arg = A;
    type Output = R;

    fn into_delayed(self) -> Delayed<A, R> {
        self
    }
}

impl<A: Data + Clone, R: Data> Task for &Delayed<A, R> {
    type Arg = A;
    type Output = R;

    fn into_delayed(self) -> Delayed<A, R> {
        delayed(self.f, self.arg.clone())
    }
}
