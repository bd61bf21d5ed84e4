//! The help of every command, and what it says of commands and flags that are still to come.

use clap::{Command, CommandFactory};

use crate::compare::{golden, nothing_else};
use pfdata::cli::Cli;

/// Every command below `command`, by the words that name it.
fn all(command: &Command) -> Vec<(Vec<String>, Command)> {
    let mut found = Vec::new();
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let name = below.get_name().to_owned();
        found.push((vec![name.clone()], below.clone()));
        for (mut words, command) in all(below) {
            words.insert(0, name.clone());
            found.push((words, command));
        }
    }
    found
}

/// Runs `pfdata` where no terminal and no variable has a say in how help looks.
fn say(words: &[String]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pfdata"))
        .args(words)
        .env("COLUMNS", "100")
        .env_remove("PFDATA_CONFIG_DIR")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {stderr}");
    assert_eq!(stderr, "", "help is the answer: {words:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_of_every_command_is_as_it_was() {
    let help = say(&["help".to_owned()]);
    assert_eq!(help, say(&["--help".to_owned()]));
    golden("help", "pfdata.txt", &help);
    let mut names = vec!["pfdata.txt".to_owned()];
    for (words, _) in all(&Cli::command()) {
        let name = format!("pfdata-{}.txt", words.join("-"));
        let help = say(&[&words[..], &["--help".to_owned()]].concat());
        golden("help", &name, &help);
        names.push(name);
    }
    assert!(names.len() > 30, "{names:?}");
    nothing_else("help", &names);
}

#[test]
fn what_is_hidden_says_what_it_will_do() {
    const MARK: &str = " (not built yet)";
    let mut hidden = Vec::new();
    for (words, command) in all(&Cli::command()) {
        let place = words.join(" ");
        if command.is_hide_set() {
            hidden.push((place, command.get_about().map(ToString::to_string)));
            // It takes anything, to be refused by its own name.
            continue;
        }
        for flag in command.get_arguments().filter(|flag| flag.is_hide_set()) {
            let help = flag.get_help().map(ToString::to_string);
            hidden.push((format!("{place} {}", flag.get_id()), help));
        }
    }
    assert!(hidden.len() > 20, "{hidden:?}");
    for (place, help) in hidden {
        let help = help.unwrap_or_default();
        let said = help.strip_suffix(MARK).unwrap_or_else(|| panic!("{place}: {help}"));
        assert!(said.split(' ').count() > 3, "{place}: {help}");
    }
}
