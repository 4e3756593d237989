//! `scripts/setup.sh` on machines that are not this one: what it asks is answered by stand-ins in front of `PATH`.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// What the script itself is written with.
const TOOLS: [&str; 17] = [
    "sh",
    "sed",
    "cut",
    "sort",
    "head",
    "tail",
    "printf",
    "dirname",
    "readlink",
    "mktemp",
    "rm",
    "tr",
    "grep",
    "env",
    "cat",
    "touch",
    "sha256sum",
];

/// A machine with nothing but the given programs.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// One that lacks nothing for the demo.
    fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(this.folder.path().join("bin")).unwrap();
        let found = |tool: &str| {
            let path = std::env::var_os("PATH").unwrap();
            std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.exists())
        };
        for (tool, path) in TOOLS.iter().filter_map(|tool| Some((tool, found(tool)?))) {
            symlink(path, this.folder.path().join("bin").join(tool)).unwrap();
        }
        this.with("cargo", "echo cargo 9.9.9")
            .with("cc", "exit 0")
            .with("chromium", "")
            .with("chromedriver", "")
            .with("fc-list", "echo DejaVu Sans; echo Liberation Sans")
            .with("id", "echo 1000")
    }

    fn with(self, name: &str, script: &str) -> Self {
        let program = self.folder.path().join("bin").join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn without(self, name: &str) -> Self {
        fs::remove_file(self.folder.path().join("bin").join(name)).unwrap();
        self
    }

    /// Files of this names in a folder of libraries, the only one that is looked at.
    fn with_libraries(self, names: &[&str]) -> Self {
        for name in names {
            let file = self.folder.path().join("lib").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        self
    }

    fn setup(&self, parts: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/setup.sh");
        let mut command = Command::new(self.folder.path().join("bin/sh"));
        command.arg(script).args(parts).env_clear().env("PATH", self.folder.path().join("bin"));
        command.env("LIBCLANG_PATH", self.folder.path().join("lib")).output().unwrap()
    }

    /// Exit code and the one line it says.
    #[track_caller]
    fn says(&self, parts: &[&str]) -> (i32, String) {
        let clock = Instant::now();
        let output = self.setup(parts);
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
        (output.status.code().unwrap(), said)
    }
}

#[test]
fn clangs_other_library_is_not_taken_for_libclang() {
    let complete = || Machine::new().with("pkg-config", "exit 0");
    let nothing_missing = (0, "setup: nothing is missing\n".to_owned());
    for libraries in [
        &["libclang-cpp.so", "libclang-cpp.so.14", "clang/14/include/stddef.h"][..],
        // A library that would find none of the compiler's headers.
        &["libclang.so"],
        &[],
    ] {
        let (code, said) = complete().with_libraries(libraries).says(&["build"]);
        assert!(
            code == 1 && said.contains("libclang-dev") && said.contains("LIBCLANG_PATH"),
            "{libraries:?}: {said}"
        );
    }
    for library in ["libclang.so", "libclang-14.so", "libclang.so.1", "libclang-14.so.14.0.6"] {
        let machine =
            complete().with_libraries(&["libclang-cpp.so.14", library, "clang/14/include/stddef.h"]);
        assert_eq!(machine.says(&["build"]), nothing_missing, "{library}");
    }
    // The demo is built without all of it.
    assert_eq!(Machine::new().with("pkg-config", "exit 1").says(&["demo"]), nothing_missing);
}

/// Here the models are there, and nothing can tell.
#[test]
fn text_models_that_cannot_be_fetched_are_said_and_keep_nobody_from_building() {
    let output = Machine::new().without("sha256sum").setup(&["demo"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("no text models") && said.contains("built without a reader"), "{said}");
}

#[test]
fn what_is_missing_and_how_to_get_it_is_one_line_for_whoever_cannot_install() {
    let line = |machine: Machine| {
        let (code, said) = machine.without("chromedriver").with("cc", "exit 1").says(&["demo"]);
        assert_eq!(code, 1, "{said}");
        for word in ["chromedriver", "C compiler", "gcc libc6-dev chromium-driver"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        said
    };
    assert!(line(Machine::new()).contains("package manager"));
    let apt = || Machine::new().with("apt-get", "touch \"$0.ran\"");
    assert!(line(apt()).contains("no sudo, so please run as root: apt-get update && apt-get install"));
    assert!(line(apt().with("sudo", "exit 1")).contains("sudo wants a password"));
}

#[test]
fn what_is_installed_is_looked_for_again() {
    let broken = Machine::new()
        .without("chromium")
        .with("id", "echo 0")
        .with("apt-get", "echo no such package; exit 100");
    let output = broken.setup(&["demo"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.code() == Some(1) && said.contains("cannot install chromium: no such package"),
        "{said}"
    );

    let useless = Machine::new().without("chromium").with("id", "echo 0").with("apt-get", "exit 0");
    let output = useless.setup(&["demo"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("still missing: chromium"), "{said}");

    let installs = "case $1 in install) printf '#!/bin/sh\\n' >\"${0%/*}/chromium\"; chmod +x \"${0%/*}/chromium\";; esac";
    let good = Machine::new().without("chromium").with("id", "echo 0").with("apt-get", installs);
    symlink("/bin/chmod", good.folder.path().join("bin/chmod")).unwrap();
    let output = good.setup(&["demo"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_machine_that_does_not_know_localhost_is_said_before_anything_is_compiled() {
    let (code, said) = Machine::new().with("getent", "exit 2").says(&["demo"]);
    assert!(code == 1 && said.contains("localhost") && said.contains(">>/etc/hosts"), "{said}");
}

#[test]
fn rust_that_is_missing_or_too_old_is_said_before_anything_is_compiled() {
    let (code, said) = Machine::new().without("cargo").says(&["demo"]);
    assert!(code == 1 && said.contains("cargo is missing") && said.contains("rustup.rs"), "{said}");
    let (code, said) = Machine::new().with("cargo", "echo cargo 1.63.0").says(&["demo"]);
    assert!(code == 1 && said.contains("1.63.0 is too old"), "{said}");
    let (code, said) =
        Machine::new().with("cargo", "echo 'no default toolchain' >&2; exit 1").says(&["demo"]);
    assert!(code == 1 && said.contains("no default toolchain"), "{said}");
}
