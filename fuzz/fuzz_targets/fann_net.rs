//! FANN `.net` text: no panic, and what is accepted runs and is written back as text that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mayfly_format::FormatError;
use mayfly_format::fann_net::{FannFile, Precision};

fuzz_target!(|text: &[u8]| {
    let Ok(net) = FannFile::parse("fuzz.net", text) else { return };
    let inputs = vec![0.5; net.input_count()];
    for precision in [Precision::Single, Precision::Double] {
        let outputs = net.run(&inputs, precision).expect("a net that was accepted runs");
        assert_eq!(outputs.len(), net.output_count());
    }
    let written = match net.to_text() {
        Ok(written) => written,
        Err(FormatError::FixedPointRange { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    // six decimals lose digits once; after that the text stays the same
    let again = FannFile::parse("again.net", written.as_bytes()).expect("what was written is read");
    assert_eq!(again.to_text().expect("and written again"), written);
});
