//! What is refused, in etcd's words: clients in Go compare the text.

use tonic::{Code, Status};

macro_rules! etcd_errors {
    ($($name:ident = $number:literal, $code:ident, $text:literal;)*) => {
        /// A request that is refused. Text and code are etcd's, byte for byte (`api/v3rpc/rpctypes/error.go`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum EtcdError {
            $(#[doc = $text] $name,)*
        }

        impl EtcdError {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its number in outcomes of entries: never given to another one.
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number),* }
            }

            /// Of a number.
            pub fn from_number(number: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|error| error.number() == number)
            }

            /// The gRPC code.
            pub fn code(self) -> Code {
                match self { $(Self::$name => Code::$code),* }
            }

            /// The gRPC message.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

etcd_errors! {
    EmptyKey = 1, InvalidArgument, "etcdserver: key is not provided";
    KeyNotFound = 2, InvalidArgument, "etcdserver: key not found";
    ValueProvided = 3, InvalidArgument, "etcdserver: value is provided";
    LeaseProvided = 4, InvalidArgument, "etcdserver: lease is provided";
    TooManyOps = 5, InvalidArgument, "etcdserver: too many operations in txn request";
    DuplicateKey = 6, InvalidArgument, "etcdserver: duplicate key given in txn request";
    InvalidSortOption = 7, InvalidArgument, "etcdserver: invalid sort option";
    Compacted = 8, OutOfRange, "etcdserver: mvcc: required revision has been compacted";
    FutureRev = 9, OutOfRange, "etcdserver: mvcc: required revision is a future revision";
    LeaseNotFound = 10, NotFound, "etcdserver: requested lease not found";
    RequestTooLarge = 11, InvalidArgument, "etcdserver: request is too large";
    TooManyRequests = 12, ResourceExhausted, "etcdserver: too many requests";
    Stopped = 13, Unavailable, "etcdserver: server stopped";
    Corrupt = 14, DataLoss, "etcdserver: corrupt cluster";
    NoLeader = 15, Unavailable, "etcdserver: no leader";
    Timeout = 16, Unavailable, "etcdserver: request timed out";
    LeaseExists = 17, FailedPrecondition, "etcdserver: lease already exists";
    LeaseTtlTooLarge = 18, OutOfRange, "etcdserver: too large lease TTL";
    MemberNotFound = 19, NotFound, "etcdserver: member not found";
    PeerUrlExists = 20, FailedPrecondition, "etcdserver: Peer URLs already exists";
    NotEnoughStarted = 21, Unknown, "etcdserver: re-configuration failed due to not enough started members";
    MemberBadUrls = 22, InvalidArgument, "etcdserver: given member URLs are invalid";
    UnhealthyCluster = 23, Unavailable, "etcdserver: unhealthy cluster";
    LearnerNotReady = 24, FailedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader";
    MemberNotLearner = 25, FailedPrecondition, "etcdserver: can only promote a learner member";
    NotLeader = 26, FailedPrecondition, "etcdserver: not leader";
    BadLeaderTransferee = 27, FailedPrecondition, "etcdserver: bad leader transferee";
    NoSpace = 70, ResourceExhausted, "etcdserver: mvcc: database space exceeded";
    LeaderTransferTimeout = 28, Unavailable, "etcdserver: request timed out, leader transfer took too long";
    UserEmpty = 50, InvalidArgument, "etcdserver: user name is empty";
    RoleEmpty = 51, InvalidArgument, "etcdserver: role name is empty";
    AuthFailed = 52, InvalidArgument, "etcdserver: authentication failed, invalid user ID or password";
    PermissionNotGiven = 53, InvalidArgument, "etcdserver: permission not given";
    InvalidAuthManagement = 54, InvalidArgument, "etcdserver: invalid auth management";
    AuthOldRevision = 55, InvalidArgument, "etcdserver: revision of auth store is old";
    RootUserNotFound = 56, FailedPrecondition, "etcdserver: root user does not exist";
    RootRoleNotFound = 57, FailedPrecondition, "etcdserver: root user does not have root role";
    UserExists = 58, FailedPrecondition, "etcdserver: user name already exists";
    UserNotFound = 59, FailedPrecondition, "etcdserver: user name not found";
    RoleExists = 60, FailedPrecondition, "etcdserver: role name already exists";
    RoleNotFound = 61, FailedPrecondition, "etcdserver: role name not found";
    RoleNotGranted = 62, FailedPrecondition, "etcdserver: role is not granted to the user";
    PermissionNotGranted = 63, FailedPrecondition, "etcdserver: permission is not granted to the role";
    AuthNotEnabled = 64, FailedPrecondition, "etcdserver: authentication is not enabled";
    PermissionDenied = 65, PermissionDenied, "etcdserver: permission denied";
    InvalidAuthToken = 66, Unauthenticated, "etcdserver: invalid auth token";
    NoPasswordUser = 67, Unknown, "auth: authentication failed, password was given for no password user";
}

impl EtcdError {
    /// As Go prints it, which is what etcd tells within an answer: "rpc error: code = … desc = …".
    pub(crate) fn in_words_of_go(self) -> String {
        format!("rpc error: code = {:?} desc = {}", self.code(), self.text())
    }
}

impl From<EtcdError> for Status {
    fn from(error: EtcdError) -> Self {
        Status::new(error.code(), error.text())
    }
}

impl core::fmt::Display for EtcdError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::EtcdError;

    #[test]
    fn numbers_are_told_apart() {
        for (i, error) in EtcdError::ALL.iter().enumerate() {
            assert_eq!(EtcdError::from_number(error.number()), Some(*error));
            assert!(EtcdError::ALL[..i].iter().all(|other| other.number() != error.number()));
        }
        assert_eq!(EtcdError::from_number(0), None);
    }
}
