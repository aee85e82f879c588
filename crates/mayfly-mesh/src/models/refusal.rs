//! What the registry refuses, and why.

macro_rules! refusals {
    ($($name:ident = $number:literal, $code:ident, $text:literal;)*) => {
        /// A change of the registry that is refused; nothing happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ModelRefusal {
            $(#[doc = $text] $name,)*
        }

        impl ModelRefusal {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its number in outcomes of entries: never given to another one.
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number),* }
            }

            /// Of a number.
            pub fn from_number(number: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|refusal| refusal.number() == number)
            }

            /// The gRPC code.
            pub fn code(self) -> tonic::Code {
                match self { $(Self::$name => tonic::Code::$code),* }
            }

            /// What it says.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

refusals! {
    NoSuchModel = 1, NotFound, "no such model, or no such version of it";
    NothingLive = 2, NotFound, "no version of this model is live";
    NoCanary = 3, NotFound, "no version of this model is tried as a canary";
    NotTheNext = 4, Aborted, "another version was registered meanwhile: versions are counted up";
    OtherLive = 5, Aborted, "another version is live than was expected";
    SameStage = 6, FailedPrecondition, "the version is in that stage already";
    CanaryTaken = 7, FailedPrecondition, "another version is tried as a canary: promote it or take it back first";
    NothingBeside = 8, FailedPrecondition, "a canary is tried beside a live version, and none is live";
    Forgotten = 9, FailedPrecondition, "the bytes of that version were let go of";
    Expired = 10, FailedPrecondition, "the version is past its last day (not_after)";
    NothingBefore = 11, FailedPrecondition, "no version was live before";
    StillPinned = 12, FailedPrecondition, "a version that may become live again is kept: retire it, and promote others first";
    NoWayBack = 13, FailedPrecondition, "a version that was live, or retired, is no candidate any more";
    Unreadable = 14, InvalidArgument, "the manifest is not one";
    BadAlias = 15, InvalidArgument, "an alias has 1 to 64 letters, digits, dots, dashes or underscores, and is not a number or a stage";
}

impl std::fmt::Display for ModelRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for ModelRefusal {}
