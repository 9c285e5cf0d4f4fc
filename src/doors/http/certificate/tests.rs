//! A pair that is read anew, as a signal has it done. Sessions with it are in tests/tls.rs.

use super::{BadPair, Certificate, Files, SOON, Status, Summary};
use chrono::{TimeDelta, Utc};
use rcgen::{CertificateParams, KeyPair};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes a pair for a host that is good from yesterday until so many days from now.
fn write(dir: &Path, host: &str, days: u32) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.not_before = (SystemTime::now() - 2 * DAY).into();
    params.not_after = (SystemTime::now() - DAY + DAY * (days + 1)).into();
    fs::write(dir.join("key"), key.serialize_pem()).unwrap();
    fs::set_permissions(dir.join("key"), Permissions::from_mode(0o640)).unwrap();
    fs::write(dir.join("pem"), params.self_signed(&key).unwrap().pem()).unwrap();
}

fn open(dir: &Path) -> Result<Arc<Certificate>, BadPair> {
    let every = Duration::from_secs(60);
    let (certificate, key) = (dir.join("pem"), dir.join("key"));
    Certificate::open(Files { name: "http.tls", certificate, key, client_ca: None, every })
}

fn reload(certificate: &Certificate) -> Result<Summary, BadPair> {
    certificate.take(certificate.read())
}

#[test]
fn o8_what_is_bad_is_told_and_what_was_served_stays() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "one.example", 30);
    let certificate = open(dir.path()).unwrap();
    let Status { served, refused } = certificate.status();
    assert_eq!((served.hosts.as_slice(), refused), (&["one.example".to_owned()][..], None));
    assert!((served.until - Utc::now()).num_days() >= 29);

    let before = certificate.config();
    assert_eq!(reload(&certificate).unwrap(), served, "the same again is as good");
    assert!(Arc::ptr_eq(&certificate.config(), &before), "and nothing new");

    write(dir.path(), "two.example", 0);
    fs::write(dir.path().join("key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let why = reload(&certificate).unwrap_err();
    assert!(matches!(why, BadPair::Mismatch { .. }), "{why}");
    assert_eq!(certificate.status(), Status { served, refused: Some(why) });
    assert!(Arc::ptr_eq(&certificate.config(), &before));

    write(dir.path(), "two.example", 30);
    assert_eq!(reload(&certificate).unwrap().hosts, ["two.example"]);
    assert_eq!(certificate.status().refused, None);
    assert!(!Arc::ptr_eq(&certificate.config(), &before));
}

#[test]
fn o8_a_warning_begins_fourteen_days_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "one.example", 30);
    let certificate = open(dir.path()).unwrap();
    let until = certificate.status().served.until;
    let minute = TimeDelta::minutes(1);
    assert!(!certificate.warn(until - SOON - minute));
    assert!(certificate.warn(until - SOON + minute));
    assert!(certificate.warn(until + minute));
    assert_eq!(SOON, TimeDelta::days(14));
}
