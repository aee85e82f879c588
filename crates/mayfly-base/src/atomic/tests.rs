use super::*;
use std::string::ToString;
use std::vec::Vec;
use std::{assert, assert_eq, format, panic};

fn put(path: impl AsRef<Path>, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), WriteError> {
    write(path, Access::Usual, content)
}

fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn makes_and_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    put(&path, |w| w.write_all(b"one")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one");
    put(&path, |w| w.write_all(b"two, longer")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two, longer");
    assert_eq!(names(folder.path()), ["model"]);
}

#[test]
fn a_failure_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    fs::write(&path, b"old").unwrap();
    let error = put(&path, |w| {
        w.write_all(&[7; 1 << 20])?;
        Err(io::Error::other("disk on fire"))
    })
    .unwrap_err();
    assert!(error.to_string().contains("disk on fire") || format!("{error:?}").contains("disk on fire"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["model"]);
}

#[test]
fn a_panic_in_the_writer_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    fs::write(&path, b"old").unwrap();
    let result = std::panic::catch_unwind(|| put(&path, |_| panic!("in the middle")));
    assert!(result.is_err());
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["model"]);
}

#[test]
fn a_missing_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = put(folder.path().join("no/model"), |w| w.write_all(b"x")).unwrap_err();
    assert!(matches!(error, WriteError::Io(e) if e.kind() == io::ErrorKind::NotFound));
}

#[test]
fn a_file_that_is_there_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    create(&path, Access::Private, |w| w.write_all(b"one")).unwrap();
    let error = create(&path, Access::Private, |w| w.write_all(b"two")).unwrap_err();
    assert!(matches!(error, WriteError::Io(e) if e.kind() == io::ErrorKind::AlreadyExists));
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(names(folder.path()), ["key"]);
}

#[test]
fn what_a_kill_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::find(&folder.path().join("trust.list")).unwrap();
    let (_, left) = target.temporary(Access::Private).unwrap().keep().unwrap();
    assert!(left.exists());
    let others =
        [".trust.list.abc.tmp", ".other.abcdef.tmp", "trust.list", "trust.list.abcdef.tmp", ".trust.list.a-cdef.tmp"];
    others.iter().for_each(|name| fs::write(folder.path().join(name), b"x").unwrap());
    fs::create_dir(folder.path().join(".trust.list.folder.tmp")).unwrap();
    assert_eq!(clean(folder.path(), &["trust.list"]).unwrap(), 1);
    assert!(!left.exists());
    assert_eq!(names(folder.path()).len(), others.len() + 1);
}

#[test]
fn a_bare_name_is_written_beside_itself() {
    let target = Target::find(Path::new("surely-not-here.mayfly")).unwrap();
    assert_eq!(target.folder, Path::new("."));
}

#[test]
fn a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = put(folder.path(), |w| w.write_all(b"x")).unwrap_err();
    assert!(matches!(error, WriteError::NotReplaceable("a folder")), "{error}");
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn permissions_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        fs::write(&path, b"old").unwrap();
        for wanted in [0o640, 0o600, 0o775] {
            fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).unwrap();
            put(&path, |w| w.write_all(b"new")).unwrap();
            assert_eq!(mode(&path), wanted);
        }
    }

    #[test]
    fn a_new_file_has_the_permissions_of_any_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, usual) = (folder.path().join("ours"), folder.path().join("usual"));
        put(&ours, |w| w.write_all(b"x")).unwrap();
        fs::write(&usual, b"x").unwrap();
        assert_eq!(mode(&ours), mode(&usual));
    }

    #[test]
    fn a_private_file_is_private_whatever_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        fs::write(&old, b"old").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o664)).unwrap();
        for path in [&new, &old] {
            write(path, Access::Private, |w| w.write_all(b"secret")).unwrap();
            assert_eq!(mode(path), 0o600);
        }
    }

    #[test]
    fn a_read_only_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        let error = put(&path, |w| w.write_all(b"new")).unwrap_err();
        assert!(matches!(error, WriteError::NotReplaceable("read-only")), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_device_is_refused() {
        let error = put("/dev/null", |w| w.write_all(b"x")).unwrap_err();
        assert!(matches!(error, WriteError::NotReplaceable("not a regular file")), "{error}");
    }

    #[test]
    fn a_symbolic_link_stays_and_its_target_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let (link, real) = (folder.path().join("link"), inner.join("real"));
        fs::write(&real, b"old").unwrap();
        symlink("inner/real", &link).unwrap();
        put(&link, |w| w.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["inner", "link"]);
        assert_eq!(names(&inner), ["real"]);
    }
}
