//! Compiling in another process: the same answers, and no harm whatever the process does. This program is that process too.

mod common;

use common::*;
use mayfly_packs::*;
use std::process::ExitCode;
use std::time::Duration;

const NAME: &str = "modules_are_compiled_by_a_process_of_their_own";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if has("compile") {
        return match compile_for_parent() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        };
    }
    if has("--list") {
        // As the harness of the standard library lists its tests.
        if !has("--ignored") {
            println!("{NAME}: test");
        }
        return ExitCode::SUCCESS;
    }
    the_same_answers_and_a_cache();
    a_module_that_takes_too_much();
    a_program_that_is_no_compiler();
    println!("test {NAME} ... ok");
    ExitCode::SUCCESS
}

fn process() -> CompilerProcess {
    CompilerProcess::new(std::env::current_exe().unwrap(), ["compile"])
}

fn options(process: CompilerProcess) -> EngineOptions {
    EngineOptions { compiler: Compiler::Child(process), ..small_options() }
}

fn good() -> Vec<u8> {
    wat::parse_str(good_wat("")).unwrap()
}

fn engines_with(process: &CompilerProcess) -> [std::sync::Arc<dyn Engine>; 3] {
    let options = options(process.clone());
    let profile = |profile| std::sync::Arc::new(WasmtimeEngine::new(profile, &options).unwrap());
    let wasmi = new_engine(EngineKind::Wasmi, &options).unwrap();
    [profile(WasmtimeProfile::Server), profile(WasmtimeProfile::Deterministic), wasmi]
}

fn the_same_answers_and_a_cache() {
    for engine in engines_with(&process()) {
        assert_eq!(call(&load(&good(), &*engine).unwrap()).unwrap(), [2.0, 3.0, 4.0]);
        assert_eq!(check(&pack_of(&good())).unwrap().check_compiles(&*engine), Ok(1));
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = || Some(ArtefactCache::open(&folder.path().join("cache")).unwrap());
    let with = |process| {
        let options = EngineOptions { cache: cache(), ..options(process) };
        load(&good(), &*new_engine(EngineKind::Wasmtime, &options).unwrap())
    };
    let gone = CompilerProcess { program: "/no/such/program".into(), ..process() };
    assert!(what(with(gone.clone())).contains("/no/such/program"));
    with(process()).unwrap();
    assert_eq!(call(&with(gone).unwrap()).unwrap(), [2.0, 3.0, 4.0], "from the cache");
    // And what this process puts there, the other way round.
    let own = EngineOptions { cache: cache(), ..small_options() };
    load(&good(), &*new_engine(EngineKind::Wasmtime, &own).unwrap()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 1, "one artefact, whoever made it");
}

fn what(loaded: Result<Pack>) -> String {
    match loaded.map(drop) {
        Err(PackError::Compile { kernel, what }) => {
            assert_eq!(kernel, "k");
            what
        }
        other => panic!("{other:?}"),
    }
}

fn a_module_that_takes_too_much() {
    // No compiler gets far in 8 MiB of address space. (An interpreter does.)
    let narrow = CompilerProcess { memory_bytes: 8 << 20, ..process() };
    for engine in &engines_with(&narrow)[..2] {
        if cfg!(unix) {
            let said = what(load(&good(), &**engine));
            assert!(said.contains("8 MiB") || said.contains("memory"), "{said}");
        }
    }
}

fn a_program_that_is_no_compiler() {
    let run = |program: &str, args: &[&str], time| {
        let process = CompilerProcess { time, ..CompilerProcess::new(program, args) };
        what(load(&good(), &*new_engine(EngineKind::Wasmtime, &options(process)).unwrap()))
    };
    let long = Duration::from_secs(10);
    if cfg!(unix) {
        assert!(
            run("sh", &["-c", "cat >/dev/null; echo this is no machine code, but it is long enough for a MAC"], long)
                .contains("of no use")
        );
        assert!(run("sh", &["-c", "echo"], long).contains("of no use"));
        assert_eq!(run("sh", &["-c", "echo error: it is raining >&2; exit 3"], long), "it is raining");
        assert!(run("sh", &["-c", "kill -9 $$"], long).contains("asks too much"));
        assert!(run("sleep", &["600"], Duration::from_millis(50)).contains("asks too much"), "and it is ended");
    }
}
