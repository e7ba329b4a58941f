//! The pictures of the README, and the program that makes them.

#![allow(clippy::unwrap_used)] // a test says what it expects by failing

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use roxmltree::Document;

/// What a page can load in no noticeable time, in bytes.
const MAX_SIZE: usize = 60_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pictures in a text of Markdown: description and path.
fn pictures(markdown: &str) -> Vec<(&str, &str)> {
    let parts = markdown.split("![").skip(1);
    parts
        .filter_map(|part| {
            let (description, rest) = part.split_once("](")?;
            Some((description, rest.split_once(')')?.0))
        })
        .collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).unwrap().flatten();
    files
        .map(|file| file.file_name().into_string().unwrap())
        .collect()
}

/// The text in a picture of a terminal, in pieces.
fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let texts = document
        .descendants()
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")));
    texts
        .filter_map(|node| node.text())
        .map(ToOwned::to_owned)
        .collect()
}

/// The link in the QR code of a picture, which zbarimg draws itself.
fn scan(picture: &Path) -> String {
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
        .arg(picture)
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Checks that the QR code and the key in a picture of an enrolment say the same.
#[track_caller]
fn assert_scannable(picture: &Path) {
    let link = scan(picture);
    let secret = link
        .split_once("secret=")
        .map_or("", |(_, rest)| rest.split('&').next().unwrap());
    assert!(
        link.starts_with("otpauth://totp/") && secret.len() == 32,
        "{link:?}"
    );
    let shown = texts(&fs::read_to_string(picture).unwrap());
    assert!(
        shown
            .iter()
            .any(|text| text.replace(' ', "").contains(secret)),
        "{secret} in {shown:?}"
    );
}

#[test]
fn every_picture_of_the_readme_is_small_and_only_a_picture() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown = pictures(&readme);
    assert!(!shown.is_empty());
    for (description, path) in &shown {
        assert!(
            description.len() > 30,
            "for those who do not see it: {path}"
        );
        let svg = fs::read_to_string(root().join(path)).unwrap();
        assert!(svg.len() < MAX_SIZE, "{path}: {} bytes", svg.len());
        let document = Document::parse(&svg).unwrap();
        let elements = document.descendants().filter(roxmltree::Node::is_element);
        let used: BTreeSet<_> = elements
            .clone()
            .map(|node| node.tag_name().name())
            .collect();
        let known = BTreeSet::from(["circle", "g", "path", "rect", "svg", "text", "title"]);
        assert!(used.is_subset(&known), "{path}: {used:?}");
        let mut attributes = elements.flat_map(|node| node.attributes());
        assert!(
            !attributes.any(|it| it.name() == "href" || it.name().starts_with("on")),
            "{path}"
        );
    }
    let shown: BTreeSet<_> = shown.iter().map(|(_, path)| (*path).to_owned()).collect();
    let existing = names(&root().join("docs/images"));
    let existing = existing.iter().map(|name| format!("docs/images/{name}"));
    assert_eq!(shown, existing.collect(), "each is shown");
}

#[test]
fn the_qr_code_in_the_readme_can_be_scanned() {
    assert_scannable(&root().join("docs/images/enrol.svg"));
}

#[test]
fn make_screenshots_makes_every_picture_again() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_screenshots"))
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    assert_eq!(names(folder.path()), names(&root().join("docs/images")));
    assert_scannable(&folder.path().join("enrol.svg"));
    for name in names(folder.path()) {
        let svg = fs::read_to_string(folder.path().join(&name)).unwrap();
        assert!(!texts(&svg).is_empty() && svg.len() < MAX_SIZE, "{name}");
    }
}
