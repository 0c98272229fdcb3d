//! Links libtorch and compiles the C++ shim; without the feature `torch` it does nothing.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    commit();
    #[cfg(feature = "torch")]
    libtorch::link();
}

/// Hands the commit that is built to the crate, where there is one.
fn commit() {
    const LOG: &str = ".git/logs/HEAD";
    if !std::path::Path::new(LOG).exists() {
        return;
    }
    println!("cargo::rerun-if-changed={LOG}");
    let output = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    if let Ok(output) = output
        && output.status.success()
    {
        println!("cargo::rustc-env=SYSTOLE_COMMIT={}", String::from_utf8_lossy(&output.stdout).trim());
    }
}

#[cfg(feature = "torch")]
mod libtorch {
    use std::env;
    use std::path::{Path, PathBuf};

    const SHIM: &str = "src/torch/shim.cpp";

    pub(crate) fn link() {
        let lib = libtorch_lib();
        run_path("$ORIGIN/../lib/systole");
        run_path(lib.to_str().expect("cargo hands build scripts UTF-8"));
        if Path::new(SHIM).exists() {
            println!("cargo::rerun-if-changed={SHIM}");
            compile_shim(&lib);
        } else {
            println!("cargo::rerun-if-changed=src/torch");
        }
    }

    /// Folder of `libtorch_cpu.so`; torch-sys tells it only to packages that depend on it directly.
    fn libtorch_lib() -> PathBuf {
        env::var_os("DEP_TCH_LIBTORCH_LIB").expect("torch-sys is a direct dependency").into()
    }

    /// Where binaries, tests and examples of this package look for libtorch when they start: first where
    /// `make install` puts it, then where it lay at the build. `LD_LIBRARY_PATH` comes before both.
    fn run_path(folder: &str) {
        println!("cargo::rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{folder}");
    }

    fn compile_shim(lib: &Path) {
        let include = lib.with_file_name("include");
        cc::Build::new()
            .cpp(true)
            .pic(true)
            .warnings(false)
            .opt_level(1)
            .flag("-std=c++17")
            .flag("-D_GLIBCXX_USE_CXX11_ABI=1")
            .include(&include)
            .include(include.join("torch/csrc/api/include"))
            .file(SHIM)
            .compile("systole_shim");
    }
}
