//! Sums of cells.

use statmill_plugin_api::encoding::Value;

/// A sum of cells: exact as long as they are whole numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    whole: i128,
    rest: Option<f64>,
}

impl Sum {
    /// Adds a cell; what is no number adds nothing.
    pub(crate) fn add(&mut self, cell: &Value) {
        match cell {
            Value::Int(number) => self.whole = self.whole.saturating_add(*number),
            Value::Num(number) => self.rest = Some(self.rest.unwrap_or(0.0) + number),
            _ => {}
        }
    }

    /// What was added.
    pub(crate) fn value(&self) -> Value {
        match self.rest {
            None => Value::Int(self.whole),
            Some(_) => Value::Num(self.number()),
        }
    }

    /// What was added, as it can be drawn.
    pub(crate) fn number(&self) -> f64 {
        self.rest.unwrap_or(0.0) + self.whole as f64
    }
}
