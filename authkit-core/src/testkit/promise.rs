//! What a contract is made of: promises, each with a check that can fail.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// How long one promise may take before it counts as broken: what hangs does not hold.
const PATIENCE: Duration = Duration::from_mins(5);

/// One thing that every implementation of a port promises, and the check that holds it to that. `Subjects` is where the check gets
/// fresh ones from.
#[non_exhaustive]
pub struct Promise<Subjects> {
    /// The promise, in words.
    pub name: &'static str,
    /// Panics when it is broken.
    pub check: fn(Subjects) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<Subjects> Promise<Subjects> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, check: fn(Subjects) -> Pin<Box<dyn Future<Output = ()> + Send>>) -> Self {
        Self { name, check }
    }
}

impl<Subjects> Clone for Promise<Subjects> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Subjects> Copy for Promise<Subjects> {}

impl<Subjects> fmt::Debug for Promise<Subjects> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Holds the subjects to one promise. The error is what the check said when it failed.
pub async fn run<Subjects: Clone + Sync>(promise: &Promise<Subjects>, subjects: &Subjects) -> Result<(), String> {
    let check = tokio::spawn((promise.check)(subjects.clone()));
    let stop = check.abort_handle();
    match tokio::time::timeout(PATIENCE, check).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failed)) => Err(failed.try_into_panic().map_or_else(|_| "the check was cancelled".to_owned(), panic_message)),
        Err(_) => {
            stop.abort();
            Err(format!("not done within {PATIENCE:?}"))
        }
    }
}

/// Runs one promise as a test, on a runtime with several threads.
///
/// # Panics
/// When the promise is broken.
#[doc(hidden)]
pub fn assert_promise<Subjects: Clone + Sync>(promise: &Promise<Subjects>, subjects: &Subjects) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let result = runtime.expect("the machine can run four threads").block_on(run(promise, subjects));
    if let Err(message) = result {
        panic!("{} is broken: {message}", promise.name);
    }
}

fn panic_message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "the check panicked".to_owned(), |message| (*message).to_owned()),
    }
}
