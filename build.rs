//! Compiles the libtorch shim, and tells binaries and tests where libtorch lies.

#[cfg(feature = "torch")]
use std::path::PathBuf;

#[cfg(feature = "torch")]
fn main() {
    println!("cargo:rerun-if-changed=src/torch/shim.cpp");
    let lib = PathBuf::from(std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys is a direct dependency"));
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{}", lib.display());
    let include = lib.parent().expect("libtorch's lib folder lies in a folder").join("include");
    cc::Build::new()
        .cpp(true)
        .pic(true)
        .warnings(false)
        .opt_level(1)
        .flag("-std=c++17")
        .flag("-D_GLIBCXX_USE_CXX11_ABI=1")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .file("src/torch/shim.cpp")
        .compile("systole_shim");
}

#[cfg(not(feature = "torch"))]
fn main() {}
