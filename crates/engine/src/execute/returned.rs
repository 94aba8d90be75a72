//! What a statement has returned, held against the limits of the mesh.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::record_batch::RecordBatch;
use tokio::time::Instant;
use weft_policy::Allowance;

use crate::{
    error::{Error, Result},
    row_bytes::row_bytes,
};

/// The rows of a statement, and what they weigh where that is limited: of all
/// its runs together, where it has several rows of parameters.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    rows: AtomicU64,
    bytes: AtomicU64,
    /// When the first of them began.
    began: OnceLock<Instant>,
}

impl Returned {
    /// When the statement began to run.
    pub(super) fn began(&self) -> Instant {
        *self.began.get_or_init(Instant::now)
    }

    /// Counts a batch before it is handed over: one that goes beyond a limit is not.
    pub(super) fn add(&self, batch: &RecordBatch, allowance: &Allowance) -> Result<()> {
        if let Some(limit) = &allowance.rows
            && add(&self.rows, batch.num_rows() as u64) > limit.most
        {
            return Err(Error::over_rows(limit));
        }
        if let Some(limit) = &allowance.bytes
            && add(&self.bytes, row_bytes(batch).iter().sum()) > limit.most.bytes()
        {
            return Err(Error::over_bytes(limit));
        }
        Ok(())
    }
}

/// The sum after it.
fn add(sum: &AtomicU64, more: u64) -> u64 {
    sum.fetch_add(more, Ordering::Relaxed).saturating_add(more)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array};
    use weft_mesh::ByteSize;
    use weft_policy::Limit;

    use super::*;

    fn batch(rows: i64) -> RecordBatch {
        let array: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter([("n", array)]).unwrap()
    }

    #[test]
    fn a_result_of_the_very_size_is_within_its_limit() {
        let allowance = Allowance {
            rows: Some(Limit {
                name: "interns".into(),
                most: 128,
            }),
            bytes: Some(Limit {
                name: "all".into(),
                most: ByteSize::parse("1KiB").unwrap(),
            }),
            ..Allowance::default()
        };
        let returned = Returned::default();
        assert_eq!(returned.add(&batch(100), &allowance), Ok(()));
        assert_eq!(returned.add(&batch(28), &allowance), Ok(()));
        assert_eq!(returned.add(&batch(0), &allowance), Ok(()));
        assert_eq!(
            returned.add(&batch(1), &allowance).unwrap_err().to_string(),
            "limit `interns` (rows 128): the statement returns more; filter or aggregate, or write `LIMIT 128`"
        );
        let by_weight = Allowance {
            rows: None,
            ..allowance
        };
        let returned = Returned::default();
        assert_eq!(returned.add(&batch(128), &by_weight), Ok(()));
        assert_eq!(
            returned.add(&batch(1), &by_weight).unwrap_err().to_string(),
            "limit `all` (bytes 1KiB): the statement returns more; select fewer columns or rows"
        );
        let free = Allowance::default();
        assert_eq!(Returned::default().add(&batch(1_000_000), &free), Ok(()));
    }
}
