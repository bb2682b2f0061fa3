//! The floors of the library, held against the source: arrows point down, mechanisms do not know each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and the modules it may name. What is not listed may not exist.
const FLOORS: &[(&str, &[&str])] = &[
    ("primitives", &[]),
    ("model", &["primitives"]),
    ("ports", &["primitives", "model"]),
    ("config", &["primitives", "model"]),
    ("embedded", &["primitives", "model", "ports", "config"]),
    ("audit", &["primitives", "model"]),
    ("password", &["primitives", "model", "config"]),
    ("token", &["primitives", "model", "config"]),
    ("mfa", &["primitives", "model", "config"]),
    ("passkey", &["primitives", "model", "config"]),
    ("rbac", &["primitives", "model"]),
    ("flows", &["primitives", "model", "ports", "config", "audit", "password", "rbac", "token", "mfa", "passkey"]),
    ("error", &["password", "flows"]),
    ("builder", &["primitives", "model", "ports", "config", "password", "token", "passkey", "flows", "embedded", "authkit"]),
    ("authkit", &["primitives", "model", "ports", "config", "password", "token", "mfa", "passkey", "flows", "builder"]),
];

/// The flows that other flows may call.
const DOORS: &[&str] = &[
    "engine",
    "audit_seal",
    "audit_stream",
    "refusals",
    "account_cache",
    "breach",
    "planned",
    "throttle",
    "guessing",
    "factor_check",
    "mfa_token",
    "mfa_policy",
    "sent_code",
    "trusted_device",
    "passkey_check",
    "first_factor",
    "session_issue",
    "authenticate",
    "access_book",
    "authorize",
    "administration",
    "one_time",
    "outbox",
    "notify",
    "outbox_books",
    "pending_registration",
];

fn source_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            source_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The code of a file: no comments, and nothing from its unit tests on, which may use what they like.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every module that stands right behind `prefix`, groups in braces included.
fn named_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => drop(found.insert(word(rest))),
            Some(group) => {
                let (mut depth, mut start) = (0_i32, true);
                for (index, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            found.insert(word(&group[index..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn modules() -> BTreeMap<String, Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    let mut modules: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        let first = file.strip_prefix(&root).expect("inside").components().next().expect("a name").as_os_str().to_string_lossy();
        modules.entry(first.trim_end_matches(".rs").to_owned()).or_default().push(file);
    }
    modules
}

#[test]
fn every_module_names_only_the_floors_below_it() {
    let mut wrong = Vec::new();
    for (module, files) in modules() {
        if matches!(module.as_str(), "lib" | "testkit" | "manual") {
            continue;
        }
        let Some((_, allowed)) = FLOORS.iter().find(|(name, _)| *name == module) else {
            panic!("the module `{module}` has no place in the table of floors");
        };
        for file in files {
            for named in named_behind(&code(&file), "crate::") {
                if named != module && !allowed.contains(&named.as_str()) {
                    wrong.push(format!("{} names crate::{named}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn flows_call_each_other_only_through_the_doors() {
    let mut wrong = Vec::new();
    for file in &modules()["flows"] {
        let folder = file.parent().and_then(Path::file_name).expect("a folder").to_string_lossy().into_owned();
        // A flow of several files is named by its folder, and they may call each other.
        let is_part = folder != "flows";
        let name = if is_part { folder } else { file.file_stem().expect("a name").to_string_lossy().into_owned() };
        let code = code(file);
        let beside = if is_part { BTreeSet::new() } else { named_behind(&code, "super::") };
        for named in named_behind(&code, "crate::flows::").into_iter().chain(beside) {
            let is_type = named.starts_with(char::is_uppercase);
            // The background task is made of the flow that rotates keys and the one that forgets.
            let own_part = name == "maintenance" && ["keys", "retention"].contains(&named.as_str())
                // The check value of a secret is sealed as the keys are.
                || name == "password_secrets" && named == "keys"
                || name == "admin_roles" && named == "role_impact";
            if name != "mod" && !is_type && named != name && !own_part && !DOORS.contains(&named.as_str()) {
                wrong.push(format!("{name} calls {named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "flows that call flows:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_engine_commits() {
    let callers: Vec<_> = modules()["flows"]
        .iter()
        .filter(|file| !file.ends_with("engine.rs") && code(file).contains("store.commit("))
        .cloned()
        .collect();
    assert!(callers.is_empty(), "{callers:?} go around Engine::commit, which publishes revocations");
}

#[test]
fn the_library_knows_no_database_and_no_web_framework() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("readable");
    let dependencies = manifest.split("[dev-dependencies]").next().expect("the part before");
    for name in ["sqlx", "redis", "poem", "hyper", "axum", "reqwest"] {
        assert!(!dependencies.lines().any(|line| line.starts_with(name)), "authkit-core depends on {name}");
    }
}

#[test]
fn the_scanner_sees_what_it_should() {
    let code = "use crate::{model::{User, Session}, ports};\nlet x = crate::token::Keyring::new();";
    assert_eq!(named_behind(code, "crate::"), ["model", "ports", "token"].map(str::to_owned).into());
}
