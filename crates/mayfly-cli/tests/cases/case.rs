//! A folder of one's own, the binary run in it, and what came out.
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder that is gone afterwards.
pub struct Case {
    dir: tempfile::TempDir,
}

/// What a run of the binary left.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Case {
    /// An empty folder.
    pub fn new() -> Case {
        Case { dir: tempfile::tempdir().unwrap() }
    }

    /// A folder with copies of these files of `tests/cases/inputs`.
    pub fn with(files: &[&str]) -> Case {
        let case = Case::new();
        let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/inputs");
        for file in files {
            std::fs::copy(inputs.join(file), case.path(file)).unwrap();
        }
        case
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Case {
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    /// Runs the binary in the folder, without a terminal; no run may panic.
    pub fn run(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
        let output = command.current_dir(self.dir.path()).args(args).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!ran.err.contains("panicked"), "{args:?}: {}", ran.err);
        ran
    }

    /// The same with this on standard input.
    pub fn with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
        command
            .current_dir(self.dir.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs the binary, which must succeed.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        ran
    }

    /// Runs the binary, which must refuse with exit code 1 and nothing on standard output; what it said.
    pub fn refused(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{args:?}: {}", ran.err);
        ran.err
    }
}

impl Ran {
    /// Standard output as one JSON object.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }

    /// The lines of standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}
