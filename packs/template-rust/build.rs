fn main() {
    println!("cargo:rustc-link-arg=--export=__heap_base");
    println!("cargo:rustc-link-arg=-zstack-size=16384");
}
