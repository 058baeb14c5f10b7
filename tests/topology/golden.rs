//! Files beside files: what is told of each broken topology, and what each sound one gives.
//!
//! `PROCESSION_BLESS=1 cargo test --test topology` writes the expected files anew; read the difference before you
//! commit it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use procession::topology::{Checked, Topology, graph};

use crate::catalog::FakeCatalog;

/// The topologies of a folder, in order.
fn topologies(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/topology").join(folder);
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|file| file.extension() == Some(OsStr::new("toml")));
    files.sort();
    assert!(!files.is_empty(), "no topologies in {}", folder.display());
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("readable")
}

/// Checks a file under its bare name, so that nothing depends on where the repository lies.
fn check(file: &Path) -> Checked {
    let name = file.file_name().expect("a file");
    Topology::check_toml(&read(file), Path::new(name), &FakeCatalog)
}

/// Compares with the file beside, or writes it.
fn expect(file: &Path, extension: &str, found: &str, differences: &mut Vec<String>) {
    let beside = file.with_extension(extension);
    if std::env::var_os("PROCESSION_BLESS").is_some() {
        return fs::write(&beside, found).expect("writable");
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    if expected != found {
        differences.push(format!("{}\nexpected:\n{expected}\nfound:\n{found}", beside.display()));
    }
}

#[test]
fn t1_every_defect_is_told_with_its_place_and_mend() {
    let mut differences = Vec::new();
    for file in topologies("broken") {
        let Checked { plan, findings } = check(&file);
        assert_eq!(plan.is_none(), findings.has_errors(), "{}", file.display());
        assert!(!findings.is_empty(), "{} has no defect", file.display());
        for finding in &findings {
            assert!(finding.place.is_some(), "no place: {finding}");
            assert!(finding.help.is_some(), "no mend: {finding}");
        }
        expect(&file, "stderr", &format!("{findings}\n"), &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn t2_plan_and_pictures_show_the_same() {
    let mut differences = Vec::new();
    for file in topologies("sound") {
        let Checked { plan, findings } = check(&file);
        assert!(findings.is_empty(), "{findings}");
        let plan = plan.expect("nothing stands in the way");
        let json = serde_json::to_string_pretty(&plan).expect("a plan is data");
        expect(&file, "json", &format!("{json}\n"), &mut differences);
        let topology = Topology::from_toml(&read(&file), &file).expect("it is sound");
        expect(&file, "written", &topology.to_toml().expect("TOML can say it"), &mut differences);
        expect(&file, "mmd", &graph::mermaid(&plan), &mut differences);
        expect(&file, "dot", &graph::graphviz(&plan), &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn graphviz_accepts_its_pictures() {
    use std::process::{Command, Stdio};
    for file in topologies("sound") {
        let dot =
            Command::new("dot").arg("-Tcanon").arg(file.with_extension("dot")).stdout(Stdio::null()).status();
        match dot {
            Ok(status) => assert!(status.success(), "dot refuses {}", file.display()),
            Err(_) => return eprintln!("skipped: there is no `dot` here"),
        }
    }
}

#[test]
fn what_the_documentation_shows_is_sound() {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TOPOLOGY.md"));
    let shown: Vec<_> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!shown.is_empty(), "the page shows topologies");
    for text in shown {
        let Checked { findings, .. } = Topology::check_toml(text, Path::new("shown.toml"), &FakeCatalog);
        assert!(findings.is_empty(), "{findings}");
    }
}
