//! Fails the test in which something left the description of JumpCloud's API: a request of the agent,
//! or an answer of the simulation that was not made strange on purpose.

use ephemerald::sandbox::jumpcloud::Console;

/// Looks at the end of the test, when it is dropped. A test that has failed already is left alone.
pub(crate) struct WithinContract(pub(crate) Console);

impl Drop for WithinContract {
    fn drop(&mut self) {
        let found: Vec<String> = self.0.violations().iter().map(ToString::to_string).collect();
        if !std::thread::panicking() {
            assert!(found.is_empty(), "outside JumpCloud's API as it is described:\n{}", found.join("\n"));
        }
    }
}
