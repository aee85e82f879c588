//! Two ways not to go on: the request is refused, which is an answer, or the database fails, which ends the node.

use crate::etcd_error::EtcdError;
use crate::module::Fault;

#[derive(Debug)]
pub(crate) enum Stop {
    Refused(EtcdError),
    Fault(Fault),
}

impl From<EtcdError> for Stop {
    fn from(error: EtcdError) -> Self {
        Self::Refused(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a request is answered.
pub type Answer<T> = Result<T, EtcdError>;

pub(crate) fn settle<T>(result: Result<T, Stop>) -> Result<Answer<T>, Fault> {
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(Stop::Refused(error)) => Ok(Err(error)),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}
