//! A flag that ends a run early. Invariant: once set it stays set.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared between the one who interrupts and the loop, which looks at it between tokens and between phases.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the loop to end.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the loop should end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for loops that know nothing else of this type.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}
