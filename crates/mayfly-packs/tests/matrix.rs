//! Signature × hash × version and the rest of trust: every way to be wrong, its error, and that the order of checks holds.

mod common;

use common::*;
use mayfly_packs::*;
use serde_json::json;
use std::collections::BTreeMap;

fn good() -> Vec<u8> {
    wat::parse_str(good_wat("")).unwrap()
}

fn kind(files: &BTreeMap<String, Vec<u8>>) -> String {
    kind_with(files, &trust(), &Policy::at(NOW))
}

fn kind_with(files: &BTreeMap<String, Vec<u8>>, trust: &TrustedKeys, policy: &Policy) -> String {
    verify(&PackFiles::Memory(files.clone()), trust, policy).map_or_else(|e| e.kind(), |_| "ok".into())
}

/// What can be wrong with one of the three, and the error it gives alone.
const SIGNATURES: &[(&str, &str)] = &[
    ("good", "ok"),
    ("stranger", "NoTrustedKey"),
    ("of another manifest", "BadSignature"),
    ("ed25519 of another", "BadSignature"),
    ("ml-dsa of another", "BadSignature"),
    ("none", "BadEnvelope"),
    ("garbage", "BadEnvelope"),
];
const HASHES: &[(&str, &str)] = &[("good", "ok"), ("module changed", "HashMismatch"), ("module missing", "Io")];
const VERSIONS: &[(&str, &str)] = &[
    ("good", "ok"),
    ("too old", "RuntimeTooOld"),
    ("too new", "RuntimeTooNew"),
    ("engine too old", "RuntimeTooOld"),
    ("unknown feature", "MissingFeature"),
    ("downgrade", "Downgrade"),
    ("expired", "Expired"),
];

fn make(signature: &str, hash: &str, version: &str) -> BTreeMap<String, Vec<u8>> {
    let wasm = good();
    let mut text = manifest(&wasm, &key(1));
    match version {
        "too old" => text["min_runtime_version"] = json!("99.0.0"),
        "too new" => text["max_runtime_version"] = json!("0.0.1"),
        "engine too old" => {
            text["kernels"][0]["platforms"]["wasmtime"]["min_version"] = json!("49.0.0");
            text["kernels"][0]["platforms"]["wasmi"]["min_version"] = json!("3.0.0");
        }
        "unknown feature" => {
            text["kernels"][0]["platforms"]["wasmtime"]["features"] = json!(["threads"]);
            text["kernels"][0]["platforms"]["wasmi"]["features"] = json!(["threads"]);
        }
        "downgrade" => text["counter"] = json!(4),
        "expired" => text["not_after"] = json!(NOW - 1),
        _ => {}
    }
    let mut files = signed(&text, &[("k.wasm", &wasm)], &key(1));
    match hash {
        "module changed" => files.get_mut("k.wasm").unwrap()[20] ^= 1,
        "module missing" => drop(files.remove("k.wasm")),
        _ => {}
    }
    sign(&mut files, signature);
    files
}

fn sign(files: &mut BTreeMap<String, Vec<u8>>, signature: &str) {
    let text = files[MANIFEST_FILE].clone();
    let by = |bytes: &[u8], signer: u8| {
        let mut envelope = Envelope::default();
        envelope.sign(bytes, &key(signer)).unwrap();
        serde_json::from_str::<serde_json::Value>(&envelope.to_json()).unwrap()
    };
    let other = by(b"another", 1);
    let mut envelope = by(&text, if signature == "stranger" { 2 } else { 1 });
    match signature {
        "of another manifest" => envelope = other,
        "ed25519 of another" => envelope["signatures"][0]["ed25519"] = other["signatures"][0]["ed25519"].clone(),
        "ml-dsa of another" => envelope["signatures"][0]["ml_dsa_87"] = other["signatures"][0]["ml_dsa_87"].clone(),
        "garbage" => envelope = json!([1, 2, 3]),
        _ => {}
    }
    files.insert(ENVELOPE_FILE.into(), envelope.to_string().into_bytes());
    if signature == "none" {
        files.remove(ENVELOPE_FILE);
    }
}

#[test]
fn every_combination_gives_the_error_of_the_first_check_that_fails() {
    let policy = Policy { installed_counter: Some(5), ..Policy::at(NOW) };
    for (signature, by_signature) in SIGNATURES {
        for (version, by_version) in VERSIONS {
            for (hash, by_hash) in HASHES {
                let first = [by_signature, by_version, by_hash].into_iter().find(|e| **e != "ok").unwrap_or(&"ok");
                let found = kind_with(&make(signature, hash, version), &trust(), &policy);
                assert_eq!(&found, *first, "signature {signature}, version {version}, hash {hash}");
            }
        }
    }
}

#[test]
fn the_error_carries_what_was_expected_and_found() {
    let files = make("good", "module changed", "good");
    let error = check(&files).unwrap_err();
    let actual = sha256_hex(&files["k.wasm"]);
    assert_eq!(error, PackError::HashMismatch { path: "k.wasm".into(), expected: sha256_hex(&good()), actual });
    assert_eq!(error.kind(), "HashMismatch");
    assert_eq!(error.fields()["path"], "k.wasm");
}

#[test]
fn trust_over_time() {
    let files = pack_of(&good());
    let at = |trust: &TrustedKeys, now| kind_with(&files, trust, &Policy::at(now));
    let mut store = TrustedKeys::default();
    assert_eq!(at(&store, NOW), "NoTrustedKey");
    store.add(key(1).public(), Some(NOW));
    assert_eq!([at(&store, NOW), at(&store, NOW + 1)], ["ok", "Expired"]);
    store.add(key(1).public(), None);
    assert_eq!(at(&store, NOW + 1), "ok");
    store.revoke_pack("test-pack", 4, "bug");
    assert_eq!(at(&store, NOW), "ok");
    store.revoke_pack("test-pack", 5, "bug");
    assert_eq!(at(&store, NOW), "Revoked");
    let mut store = trust();
    assert!(!TrustedKeys::default().revoke_key(key(1).public().id(), "stolen"), "nobody trusted it");
    assert!(store.revoke_key(key(1).public().id(), "stolen"), "it was trusted");
    assert_eq!(at(&store, NOW), "Revoked");
    store.add(key(1).public(), None);
    assert_eq!(at(&store, NOW), "Revoked", "adding a revoked key again does not help");
    assert_eq!(TrustedKeys::from_json(&store.to_json()).unwrap(), store);
    // Written by hand, in capitals: the same key. And something that is no key id is no revocation.
    let id = key(1).public().id().to_string();
    let by_hand = |id: &str| {
        store.to_json().replace(
            &format!("\"key_id\": \"{}\",\n      \"reason\"", key(1).public().id()),
            &format!("\"key_id\": \"{id}\",\n      \"reason\""),
        )
    };
    assert_ne!(by_hand(&id.to_uppercase()), store.to_json());
    assert_eq!(TrustedKeys::from_json(&by_hand(&id.to_uppercase())).unwrap(), store);
    assert!(matches!(TrustedKeys::from_json(&by_hand("abc")), Err(PackError::BadKey { .. })));
    assert_eq!(TrustedKeys::from_json(&key(1).public().to_json()).unwrap(), trust());
}

#[test]
fn several_signers() {
    let mut files = pack_of(&good());
    let text = files[MANIFEST_FILE].clone();
    let mut envelope = Envelope::from_json(&files[ENVELOPE_FILE]).unwrap();
    envelope.sign(&text, &key(2)).unwrap();
    files.insert(ENVELOPE_FILE.into(), envelope.to_json().into_bytes());
    assert_eq!(kind(&files), "ok", "one trusted signer is enough");
    assert_eq!(kind_with(&files, &TrustedKeys::with_key(key(2).public()), &Policy::at(NOW)), "ok");
    let mut both = trust();
    both.add(key(2).public(), None);
    let verified = verify(&PackFiles::Memory(files.clone()), &both, &Policy::at(NOW)).unwrap();
    assert_eq!(verified.signers().len(), 2);
    // A wrong signature by a known key refuses the pack, even beside a good one.
    let mut wrong = Envelope::default();
    wrong.sign(b"another", &key(2)).unwrap();
    let mixed = Envelope { signatures: vec![envelope.signatures[0].clone(), wrong.signatures[0].clone()] };
    files.insert(ENVELOPE_FILE.into(), mixed.to_json().into_bytes());
    assert_eq!(kind_with(&files, &both, &Policy::at(NOW)), "BadSignature");
    assert_eq!(kind(&files), "ok", "by a stranger it says nothing");
}

#[test]
fn the_author_must_have_signed() {
    let wasm = good();
    let files = signed(&manifest(&wasm, &key(2)), &[("k.wasm", &wasm)], &key(1));
    assert_eq!(kind(&files), "SchemaViolation");
}

#[test]
fn every_bit_of_manifest_and_envelope_counts() {
    let files = pack_of(&good());
    let step = if std::env::var_os("MAYFLY_HEAVY").is_some() { 1 } else { 97 };
    for name in [MANIFEST_FILE, ENVELOPE_FILE] {
        for bit in (0..files[name].len() * 8).step_by(step) {
            let mut changed = files.clone();
            changed.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let error = check(&changed).err().unwrap_or_else(|| panic!("{name}, bit {bit} passes"));
            let kinds = ["BadSignature", "BadEnvelope", "NoTrustedKey"];
            assert!(kinds.contains(&error.kind().as_str()), "{name}, bit {bit}: {error:?}");
        }
        for end in (0..files[name].len()).step_by(61) {
            let mut cut = files.clone();
            cut.get_mut(name).unwrap().truncate(end);
            assert!(check(&cut).is_err(), "{name} cut to {end}");
        }
    }
}

#[test]
fn manifests_that_a_schema_refuses_and_some_that_it_cannot() {
    let wasm = good();
    type Change = fn(&mut serde_json::Value);
    let cases: &[(&str, Change)] = &[
        ("/name", |m| m["name"] = json!("Bad Name")),
        ("/version", |m| m["version"] = json!("1.0")),
        ("/extra", |m| m["extra"] = json!(1)),
        ("/kernels/0/hash", |m| m["kernels"][0]["hash"] = json!("sha256:00")),
        ("/kernels/0/path", |m| m["kernels"][0]["path"] = json!("../k.wasm")),
        ("/kernels/0/path", |m| m["kernels"][0]["path"] = json!("/etc/passwd")),
        ("/kernels/0/resource_limits/max_memory_pages", |m| {
            m["kernels"][0]["resource_limits"]["max_memory_pages"] = json!(0)
        }),
        ("/kernels/0/resource_limits/max_memory_pages", |m| {
            m["kernels"][0]["inputs"][0]["shape"] = json!(["n", 100_000])
        }),
        ("/kernels/0/resource_limits/max_memory_pages", |m| {
            m["kernels"][0]["inputs"][0]["shape"] = json!([100_000]);
            m["kernels"][0]["outputs"][0]["shape"] = json!([100_000]);
        }),
        ("/kernels/0/inputs/0/dtype", |m| m["kernels"][0]["inputs"][0]["dtype"] = json!("f64")),
        ("/kernels/0/inputs/0/shape/0", |m| m["kernels"][0]["inputs"][0]["shape"] = json!(["99999999999"])),
        ("/kernels/0/inputs", |m| m["kernels"][0]["outputs"][0]["shape"] = json!(["unbound"])),
        ("/kernels/0/outputs", |m| m["kernels"][0]["outputs"][0]["name"] = json!("x")),
        ("/kernels/0/abi_version", |m| m["kernels"][0]["abi_version"] = json!(2)),
        ("/kernels/0/params/p/default", |m| m["kernels"][0]["params"] = json!({"p": {"type": "u32", "default": -1}})),
        ("/kernels/0/params/p/default", |m| {
            m["kernels"][0]["params"] = json!({"p": {"type": "enum", "values": ["a"], "default": "b"}})
        }),
        ("/kernels/1/id", |m| {
            let twin = m["kernels"][0].clone();
            m["kernels"].as_array_mut().unwrap().push(twin);
        }),
        ("/fallbacks/none", |m| m["fallbacks"] = json!({"none": "native:rope_f32"})),
        ("/kernels", |m| m["kernels"] = json!([])),
        ("/counter", |m| m["counter"] = json!(-1)),
    ];
    for (place, change) in cases {
        let mut text = manifest(&wasm, &key(1));
        change(&mut text);
        let error = check(&signed(&text, &[("k.wasm", &wasm)], &key(1))).unwrap_err();
        let PackError::SchemaViolation { path, what } = &error else { panic!("{place}: {error:?}") };
        assert_eq!(path, place, "{what}");
    }
}

#[test]
fn a_member_that_occurs_twice_is_refused() {
    let wasm = good();
    let text = manifest(&wasm, &key(1)).to_string().replacen("\"counter\":5", "\"counter\":9,\"counter\":5", 1);
    let mut envelope = Envelope::default();
    envelope.sign(text.as_bytes(), &key(1)).unwrap();
    let mut files = pack_of(&wasm);
    files.insert(ENVELOPE_FILE.into(), envelope.to_json().into_bytes());
    files.insert(MANIFEST_FILE.into(), text.into_bytes());
    assert_eq!(kind(&files), "SchemaViolation");
}

#[test]
fn a_pack_for_one_engine_runs_on_no_other() {
    let wasm = good();
    let mut text = manifest(&wasm, &key(1));
    text["kernels"][0]["platforms"].as_object_mut().unwrap().remove("wasmtime");
    let files = signed(&text, &[("k.wasm", &wasm)], &key(1));
    let on = |engine| kind_with(&files, &trust(), &Policy { engine: Some(engine), ..Policy::at(NOW) });
    assert_eq!([on(EngineKind::Wasmtime), on(EngineKind::Wasmi)], ["MissingFeature", "ok"]);
    let verified = check(&files).unwrap();
    let engine = new_engine(EngineKind::Wasmtime, &small_options()).unwrap();
    assert!(matches!(Pack::load(&verified, &*engine), Err(PackError::MissingFeature { .. })));
}

#[test]
fn artefacts_are_believed_only_when_this_machine_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let cache = ArtefactCache::open(&folder.path().join("cache")).unwrap();
    let options = EngineOptions { cache: Some(cache), ..small_options() };
    let verified = check(&pack_of(&good())).unwrap();
    let run = || call(&Pack::load(&verified, &*new_engine(EngineKind::Wasmtime, &options).unwrap()).unwrap()).unwrap();
    let files =
        || std::fs::read_dir(folder.path().join("cache")).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(run(), [2.0, 3.0, 4.0]);
    let [artefact] = &files()[..] else { panic!("one artefact") };
    let sealed = std::fs::read(artefact).unwrap();
    assert_eq!(run(), [2.0, 3.0, 4.0]);
    for at in [0, 31, 32, sealed.len() / 2, sealed.len() - 1] {
        let mut forged = sealed.clone();
        forged[at] ^= 1;
        std::fs::write(artefact, &forged).unwrap();
        assert_eq!(run(), [2.0, 3.0, 4.0]);
        assert_ne!(std::fs::read(artefact).unwrap(), forged, "replaced by a fresh one");
    }
    std::fs::write(artefact, &sealed[..20]).unwrap();
    assert_eq!(run(), [2.0, 3.0, 4.0]);
    // Another machine's key makes every artefact a stranger's.
    std::fs::write(folder.path().join("machine.key"), [7; 32]).unwrap();
    let cache = ArtefactCache::open(&folder.path().join("cache")).unwrap();
    let before = std::fs::read(artefact).unwrap();
    let other = EngineOptions { cache: Some(cache), ..small_options() };
    load(&good(), &*new_engine(EngineKind::Wasmtime, &other).unwrap()).unwrap();
    assert_ne!(std::fs::read(artefact).unwrap(), before);
}
