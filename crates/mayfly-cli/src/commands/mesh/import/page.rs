//! Keys in pages that fit into an answer.

use super::super::connect::Reached;
use super::stop::{Side, Stop};
use mayfly_mesh::proto::etcdserverpb::{RangeRequest, RangeResponse};
use tonic::Code;

/// Keys of a page; fewer where their values are long.
const PAGE: i64 = 256;

/// Reads one side.
pub struct Pages {
    side: Side,
    limit: i64,
}

impl Pages {
    pub fn new(side: Side) -> Self {
        Self { side, limit: PAGE }
    }

    /// The first keys of a range, and whether there are more. What was too long once is asked for in smaller pages from then on.
    pub async fn next(&mut self, reached: &Reached, range: &RangeRequest) -> Result<RangeResponse, Stop> {
        let mut kv = reached.kv();
        loop {
            let request = RangeRequest { limit: self.limit, ..range.clone() };
            match reached.within(kv.range(request)).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if status.message().contains("compacted") => return Err(Stop::Compacted),
                // An answer that is longer than this program takes, or than comes in time.
                Err(status) if self.limit > 1 && matches!(status.code(), Code::OutOfRange | Code::DeadlineExceeded) => {
                    self.limit /= 2;
                }
                Err(status) => return Err(Stop::of(self.side, reached, status)),
            }
        }
    }
}
