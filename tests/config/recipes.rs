//! The recipes of `docs/secrets.md`, read out of the page and run: each against a program of its name that wants
//! the arguments its maker documents and prints what it would print, and nothing else.
//! Refuses a recipe that no stand-in is for, and a stand-in that no recipe uses.

use std::{fs, path::Path, process};

use ephemerald::{
    agent,
    config::{Config, Integration, Sources},
    secrets::KEPT,
};

const CONNECTION: &str = r#"{"url": "https://console.jumpcloud.com", "token": "canary"}"#;

/// What each program wants, by its maker's reference: its words in order, where `*` is the reader's own.
const STAND_INS: [(&str, &[&str]); 6] = [
    // developer.hashicorp.com/vault/docs/commands/kv/get: flags before the path.
    ("vault", &["kv", "get", "-mount=*", "-field=connection", "*"]),
    ("bao", &["kv", "get", "-mount=*", "-field=connection", "*"]),
    (
        "aws",
        &[
            "secretsmanager",
            "get-secret-value",
            "--region",
            "*",
            "--secret-id",
            "*",
            "--query",
            "SecretString",
            "--output",
            "text",
        ],
    ),
    ("gcloud", &["secrets", "versions", "access", "latest", "--secret=*", "--project=*"]),
    (
        "az",
        &[
            "keyvault",
            "secret",
            "show",
            "--vault-name",
            "*",
            "--name",
            "*",
            "--query",
            "value",
            "--output",
            "tsv",
        ],
    ),
    ("op", &["read", "--no-newline", "op://*/*/*"]),
];

/// The blocks of this language in the page that hold these words.
fn blocks<'a>(page: &'a str, language: &'a str, holding: &'a str) -> impl Iterator<Item = &'a str> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced
        .filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
        .filter(move |b| b.contains(holding))
}

/// Writes a program. By a shell: what this process holds open for writing could not be run.
fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let made = process::Command::new("/bin/sh")
        .args(["-c", r#"printf '%s' "$2" > "$1" && chmod 755 "$1""#, "sh"])
        .arg(path)
        .arg(text)
        .status();
    assert!(made.unwrap().success());
}

/// A program that wants exactly these words; `op` wants its token, too.
fn stand_in(words: &[&str], wants: &str) -> String {
    let mut text = format!("#!/bin/sh\n[ $# -eq {} ] || exit 64\n{wants}\n", words.len());
    for word in words {
        let pattern: String =
            word.chars().map(|c| if c == '*' { "?*".to_owned() } else { format!("'{c}'") }).collect();
        text += &format!("case $1 in {pattern}) shift ;; *) exit 65 ;; esac\n");
    }
    text + &format!("printf '%s\\n' '{CONNECTION}'\n")
}

/// The page with its programs' directories below this one, and the programs there.
fn installed(root: &Path) -> String {
    let page = include_str!("../../docs/secrets.md");
    let below = |text: &str| {
        text.replace("\"/usr/", &format!("\"{}/usr/", root.display()))
            .replace("exec /usr/", &format!("exec {}/usr/", root.display()))
    };
    for (name, words) in STAND_INS {
        // The other programs find who they are by themselves; this one by the script's help.
        let wants =
            if name == "op" { "[ \"$OP_SERVICE_ACCOUNT_TOKEN\" = ops_token ] || exit 66" } else { "" };
        for dir in ["usr/bin", "usr/local/bin"] {
            program(&root.join(dir).join(name), &stand_in(words, wants));
        }
    }
    // Commands get the credentials' directory by the environment, which a test does not change for all others.
    let script = blocks(page, "sh", "OP_SERVICE_ACCOUNT_TOKEN").next().unwrap();
    let credentials = root.join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("op-token"), "ops_token\n").unwrap();
    let script = below(script).replace("$CREDENTIALS_DIRECTORY", &credentials.display().to_string());
    program(&root.join("usr/local/lib/ephemerald/op-read"), &script);
    below(page)
}

fn integration(root: &Path, recipe: &str) -> (Config, Integration) {
    let main = root.join("ephemerald.toml");
    fs::write(&main, format!("[[integration]]\nname = \"main\"\n{recipe}")).unwrap();
    let config = Config::load(&Sources { file: Some(main), ..Sources::default() }).unwrap().config;
    let integration = config.integrations[0].clone();
    (config, integration)
}

#[test]
fn each_recipe_of_the_page_gives_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let page = installed(dir.path());
    let mut used = Vec::new();
    for recipe in blocks(&page, "toml", "connection_command") {
        let (config, integration) = integration(dir.path(), recipe);
        let prepared =
            agent::prepare(&config, &integration).unwrap_or_else(|error| panic!("{recipe}: {error}"));
        assert_eq!(prepared.connection.place.url, "https://console.jumpcloud.com");
        used.extend(STAND_INS.map(|(name, _)| name).into_iter().filter(|name| {
            recipe.contains(&format!("bin/{name}\"")) || (*name == "op" && recipe.contains("/op-read\""))
        }));
        // One word less is another call, which the stand-in refuses: so it looks at them.
        let end = recipe.rfind(", \"").unwrap();
        let (config, integration) = self::integration(dir.path(), &format!("{}]", &recipe[..end]));
        let error = agent::prepare(&config, &integration).unwrap_err();
        assert!(error.contains("exit status") && !error.contains("canary"), "{recipe}: {error}");
    }
    assert_eq!(used, STAND_INS.map(|(name, _)| name));
}

#[test]
fn the_page_names_exactly_what_is_passed_on_of_the_environment() {
    let page = include_str!("../../docs/secrets.md");
    let list = page.split("<!-- kept -->").nth(1).unwrap().split("<!-- end -->").next().unwrap();
    let named: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(named, KEPT);
    assert!(page.contains(ephemerald::secrets::PATH));
}
