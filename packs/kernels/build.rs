//! What the linker must export of each module.

fn main() {
    for arg in ["--no-entry", "--export=kernel_forward", "--export=__heap_base", "-zstack-size=16384"] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
}
