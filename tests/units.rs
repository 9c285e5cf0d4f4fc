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
    assert_eq!(units.len(), 5, "{units:?}");
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
    let units: [PathBuf; 5] = units().try_into().unwrap();
    let [push_tls, push, tls, service, socket] = units.map(|unit| std::fs::read_to_string(unit).unwrap());
    assert_eq!(value(&service, "Sockets"), "tkbd.socket tkbd-push.socket");
    // A door that is shut has its socket masked, and the daemon is to start without it.
    assert!(!service.contains("\nRequires="), "{service}");
    // As many starts as it takes, by default the sixth within ten seconds would be the last; also after a mistake in the
    // setup, for where the service has failed for good clients start it through its sockets as fast as it ends.
    assert_eq!(
        (value(&service, "Restart").as_str(), value(&service, "StartLimitIntervalSec").as_str()),
        ("always", "0")
    );
    assert!(!service.contains("\nRestartPrevent"), "{service}");
    for (unit, name, port) in [
        (&socket, "http", "8080"),
        (&push, "push", "1235"),
        (&tls, "https", "443"),
        (&push_tls, "pushs", "1236"),
    ] {
        // By default a socket gives up after twenty starts in two seconds, and then everybody is refused.
        assert_eq!(value(unit, "TriggerLimitIntervalSec"), "0");
        assert_eq!(value(unit, "FileDescriptorName"), name);
        assert_eq!(value(unit, "Service"), "tkbd.service");
        assert!(
            value(unit, "ListenStream").ends_with(&format!(":{port}")),
            "as contrib/debian/tkbd.toml has it"
        );
    }
}

/// Its name is the same whatever the setup says by now: in the package, in the container, and for what looks at that.
#[test]
fn the_control_socket_has_a_name_of_its_own() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let setup: toml::Table = read("contrib/debian/tkbd.toml").parse().unwrap();
    let socket = setup["control"]["socket"].as_str().unwrap();
    let container = read("contrib/container/Containerfile");
    assert!(container.contains(&format!("ENV TKBD_CONTROL_SOCKET={socket}\n")), "{container}");
    let asks = format!("[\"/usr/bin/tkbd\", \"status\", \"--socket\", \"{socket}\"]");
    assert!(container.contains(&asks), "{container}");
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
