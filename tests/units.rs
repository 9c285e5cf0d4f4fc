//! What is shipped beside the program: units that may do little, and a package of files that there are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn units() -> Vec<PathBuf> {
    let directory = std::fs::read_dir(root().join("contrib/systemd")).unwrap();
    let mut units: Vec<PathBuf> = directory.map(|entry| entry.unwrap().path()).collect();
    units.sort();
    assert_eq!(units.len(), 3, "{units:?}");
    units
}

/// The value of a key, which must stand there once.
fn value(unit: &str, key: &str) -> String {
    let values: Vec<&str> =
        unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect();
    assert_eq!(values.len(), 1, "{key}: {values:?}");
    values[0].to_owned()
}

#[test]
fn o9_the_unit_may_do_little() {
    let unit = root().join("contrib/systemd/tkbd.service");
    let scored = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=12"])
        .arg(&unit)
        .output();
    let text = std::fs::read_to_string(&unit).unwrap();
    for (key, wanted) in
        [("CapabilityBoundingSet", ""), ("NoNewPrivileges", "yes"), ("ProtectSystem", "strict")]
    {
        assert_eq!(value(&text, key), wanted);
    }
    match scored {
        // It fails above the threshold, which is ten times the score: 1.2.
        Ok(scored) => assert!(scored.status.success(), "{}", String::from_utf8_lossy(&scored.stdout)),
        Err(error) => {
            println!("SKIPPED: the unit is not scored, since systemd-analyze cannot be run ({error})");
        }
    }
}

#[test]
fn o9_no_code_of_ours_is_unsafe() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    assert!(root().join("Cargo.lock").exists() && root().join("deny.toml").exists());
}

#[test]
fn the_units_fit_together() {
    let [push, service, socket] = units().try_into().unwrap();
    let [push, service, socket] = [push, service, socket].map(|unit| std::fs::read_to_string(unit).unwrap());
    assert_eq!(value(&service, "Sockets"), "tkbd.socket tkbd-push.socket");
    // A mistake of the setup is none that another start would mend.
    assert_eq!(value(&service, "RestartPreventExitStatus"), "78");
    // Of all others there may be as many as it takes: by default the sixth within ten seconds would be the last.
    assert_eq!(
        (value(&service, "Restart").as_str(), value(&service, "StartLimitIntervalSec").as_str()),
        ("always", "0")
    );
    for (unit, name, port) in [(&socket, "http", "8080"), (&push, "push", "1235")] {
        assert_eq!(value(unit, "FileDescriptorName"), name);
        assert_eq!(value(unit, "Service"), "tkbd.service");
        assert!(
            value(unit, "ListenStream").ends_with(&format!(":{port}")),
            "as contrib/debian/tkbd.toml has it"
        );
    }
}

#[test]
fn the_package_has_files_that_there_are_and_a_setup_that_is_right() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let package = &manifest["package"]["metadata"]["deb"];
    for asset in package["assets"].as_array().unwrap() {
        let path = asset[0].as_str().unwrap();
        let found = match path.split_once('*') {
            Some((directory, _)) => root().join(directory).is_dir(),
            None => path.starts_with("target/") || root().join(path).is_file(),
        };
        assert!(found, "{path}");
    }
    let checked = Command::new(env!("CARGO_BIN_EXE_tkbd"))
        .args(["check", "contrib/debian/tkbd.toml"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
