//! The command line: what can be typed, and which room does it.

mod access;
mod commands;
mod key;
mod members;
mod password;
mod show;
mod sql;
mod start;
mod values;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{CONFIG_VARIABLE, Config, ConfigError, KEYS, Source, Sources, env_name};
use crate::datadir::DataDir;
use crate::logging;

/// Exit status of a program that SIGINT has ended, as shells give it.
const EXIT_INTERRUPTED: i32 = 130;
const CONFIG_FILE: &str = "p2pdb.toml";

/// A database server for any MySQL client, with no central server behind it.
#[derive(Debug, Parser)]
#[command(name = "p2pdb-node", version, args_conflicts_with_subcommands = false)]
struct Cli {
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the node (also without any subcommand); makes one with a realm of its own at first start
    Run,
    /// Make a node with a realm of its own, and a root account with a random password
    Init,
    /// Make a ticket with which another node can join this realm
    Invite(members::Invite),
    /// Make a node in the realm of a ticket, join it, catch up, and run
    Join(start::Join),
    /// List the members, or remove one
    Members(members::Members),
    /// Show how the node is: frontier, heads, fingerprint, peers
    Status(Json),
    /// Show the log as a graph of blocks, newest first
    Log(show::Log),
    /// Recompute every hash, signature and verdict, replay the log, and compare with the tables
    ///
    /// Ends with 0 where all is sound and there, with 1 where something is damaged or may be missing, and with 2 where it could not
    /// look.
    Verify(Json),
    /// Write every block to a CAR file, which `ipfs dag import` takes, too
    Export(commands::Export),
    /// Take in the blocks of a CAR file
    Import(commands::Import),
    /// Write a consistent copy of the store with the node's keys to a new directory
    Backup(commands::Backup),
    /// Make the node's data directory from a backup
    Restore(commands::Restore),
    /// Set a new password for a login of this node; that of root is written to client.cnf
    Password(password::Password),
    /// Make, show, export and import keys of accounts, and let nodes act for them
    Key(key::Key),
    /// Type SQL; with -e run some and leave
    Sql(sql::Sql),
}

/// For programs.
#[derive(Debug, Args)]
struct Json {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Settings that every command shows in its help; the others only those that run a node.
const SHOWN_EVERYWHERE: [&str; 3] = ["data-dir", "config", "log-level"];
/// Commands that run a node or make one, and show every setting.
const WITH_SETTINGS: [&str; 3] = ["run", "init", "join"];

fn command() -> Command {
    let mut command = with_settings(Cli::command(), true);
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for name in names {
        let all = WITH_SETTINGS.contains(&name.as_str());
        command = command.mut_subcommand(&name, |sub| {
            let sub = with_settings(sub, all);
            let below: Vec<String> = sub.get_subcommands().map(|c| c.get_name().to_owned()).collect();
            let sub = below.iter().fold(sub, |s, n| s.mut_subcommand(n, |b| with_settings(b, false)));
            if all { sub } else { sub.after_help("Every setting: p2pdb-node --help") }
        });
    }
    command.after_help(
        "Flags are stronger than the environment, the environment than the TOML file. Use --help for every key.",
    )
}

/// The command with a flag for each setting; `all` of them shown in its long help, or only what matters everywhere.
fn with_settings(command: Command, all: bool) -> Command {
    let hidden = |name: &str| !all && !SHOWN_EVERYWHERE.contains(&name);
    let mut command = command.arg(
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .hide_short_help(true)
            .help_heading("Configuration")
            .help("TOML file to read; default: p2pdb.toml in the data directory, if there is one [env: P2PDB_CONFIG]"),
    );
    for key in KEYS {
        let default =
            if key.default.is_empty() { String::new() } else { format!(" [default: {}]", key.default) };
        let arg = Arg::new(key.name)
            .long(key.name)
            .value_name(key.value)
            .hide(hidden(key.name))
            .hide_short_help(key.name != "data-dir")
            .help_heading("Configuration")
            .help(format!("{}{default} [env: {}]", key.help, env_name(key.name)));
        command = command.arg(if key.list { arg.action(ArgAction::Append) } else { arg });
    }
    command
}

fn sources(matches: &ArgMatches, env: impl Fn(&str) -> Option<String>) -> anyhow::Result<Sources> {
    // A flag may stand behind the command or before it; the innermost counts.
    let mut levels = vec![matches];
    while let Some((_, sub)) = levels[0].subcommand() {
        levels.insert(0, sub);
    }
    let mut sources = Sources::default();
    for key in KEYS {
        let given = levels.iter().find_map(|m| {
            let typed = m.value_source(key.name) == Some(ValueSource::CommandLine);
            let values = m.get_many::<String>(key.name)?;
            typed.then(|| values.cloned().collect::<Vec<_>>().join(","))
        });
        if let Some(value) = given {
            sources.set(Source::Flag, key.name, value)?;
        }
    }
    sources.read_environment(&env);
    let named = levels.iter().find_map(|m| m.get_one::<String>("config")).cloned();
    match named.or_else(|| env(CONFIG_VARIABLE).filter(|f| !f.is_empty())) {
        Some(file) => sources.read_file(&PathBuf::from(file))?,
        None => {
            let file = PathBuf::from(sources.get("data-dir").0).join(CONFIG_FILE);
            if file.exists() {
                sources.read_file(&file)?;
            }
        }
    }
    Ok(sources)
}

/// What a command is given.
struct Context_ {
    config: Config,
    dir: DataDir,
}

/// The command line is wrong in a way that is told in other words than its parser's, which would repeat a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongArguments(String);

/// What the program ends with after this error (`docs/configuration.md`).
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let wrong = error.is::<WrongArguments>() || error.is::<ConfigError>();
    // As for arguments that it does not take.
    ExitCode::from(if wrong || error.is::<commands::Unverified>() {
        2
    } else if crate::ports::is_taken(error) {
        crate::ports::EXIT_TAKEN
    } else {
        1
    })
}

/// Runs the program; the error is for standard error.
///
/// # Errors
/// Whatever stopped it, worded for people.
pub fn main() -> anyhow::Result<()> {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let verb = cli.command.unwrap_or(Verb::Run);
    let verifies = matches!(verb, Verb::Verify(_));
    run(&matches, verb).map_err(|e| match verifies && !e.is::<commands::Found>() {
        true => e.context(commands::Unverified),
        false => e,
    })
}

fn run(matches: &ArgMatches, verb: Verb) -> anyhow::Result<()> {
    let sources = sources(matches, |name| std::env::var(name).ok())?;
    let config = Config::load(&sources)?;
    // Commands that answer and leave log only what goes wrong, unless told otherwise.
    let quiet = !matches!(verb, Verb::Run | Verb::Join(_)) && sources.get("log-level").1 == Source::Default;
    logging::start(if quiet { "warn" } else { &config.log_level }, config.log_format)?;
    let names = std::env::vars_os().filter_map(|(n, _)| n.into_string().ok());
    for name in Sources::unknown_variables(names) {
        tracing::warn!(
            "the environment variable {name} is no setting and is ignored; `p2pdb-node --help` lists them"
        );
    }
    let context = Context_ { dir: DataDir::at(&config.data_dir), config };
    let c = &context;
    match verb {
        Verb::Run => start::run(c),
        Verb::Init => start::init(c),
        Verb::Join(args) => start::join(c, &args),
        Verb::Invite(args) => members::invite(c, &args),
        Verb::Members(args) => members::members(c, &args),
        Verb::Status(args) => show::status(c, args.json),
        Verb::Log(args) => show::log(c, &args),
        Verb::Verify(args) => commands::verify(c, args.json),
        Verb::Export(args) => commands::export(c, &args),
        Verb::Import(args) => commands::import(c, &args),
        Verb::Backup(args) => commands::backup(c, &args),
        Verb::Restore(args) => commands::restore(c, &args),
        Verb::Password(args) => password::password(c, &args),
        Verb::Key(args) => key::key(c, &args),
        Verb::Sql(args) => sql::run(c, &args),
    }
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print_out(&json(value)?)
}

fn json(value: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value).context("cannot print as JSON")?))
}

/// Prints; a reader that has closed the pipe (`| head`) is no error.
fn print_out(text: &str) -> anyhow::Result<()> {
    if !print_to_reader(text)? {
        std::process::exit(0);
    }
    Ok(())
}

/// Prints; false where the reader has closed the pipe. For what says by its end what it has found, whoever reads it.
fn print_to_reader(text: &str) -> anyhow::Result<bool> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str], env: &[(&str, &str)]) -> (Sources, Cli) {
        let matches = command().try_get_matches_from([&["p2pdb-node"], args].concat()).expect("arguments");
        let env = |n: &str| env.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
        let sources = sources(&matches, env).expect("sources");
        (sources, Cli::from_arg_matches(&matches).expect("command"))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn flags_count_before_and_behind_the_subcommand_and_beat_the_environment() {
        let env = [("P2PDB_NODE_NAME", "env"), ("P2PDB_MDNS", "false"), ("P2PDB_DATA_DIR", "/nowhere")];
        for args in
            [&["--node-name", "flag", "run"][..], &["run", "--node-name", "flag"], &["--node-name", "flag"]]
        {
            let (sources, _) = parse(args, &env);
            assert_eq!(sources.get("node-name"), ("flag".into(), Source::Flag), "{args:?}");
            assert_eq!(sources.get("mdns"), ("false".into(), Source::Environment));
            assert_eq!(sources.get("wait-timeout"), ("8h".into(), Source::Default));
        }
    }

    #[test]
    fn settings_are_taken_at_every_level_of_a_command() {
        for args in [
            &["--data-dir", "/x", "members", "remove", "m"][..],
            &["members", "--data-dir", "/x", "remove", "m"],
            &["members", "remove", "m", "--data-dir", "/x"],
            &["status", "--data-dir", "/x", "--mysql-listen", "127.0.0.1:1"],
        ] {
            assert_eq!(parse(args, &[]).0.get("data-dir").0, "/x", "{args:?}");
        }
    }

    #[test]
    fn lists_may_be_repeated() {
        let (sources, cli) =
            parse(&["join", "T", "--bootstrap", "a", "--bootstrap", "b"], &[("P2PDB_DATA_DIR", "/nowhere")]);
        assert_eq!(sources.get("bootstrap").0, "a,b");
        assert!(matches!(cli.command, Some(Verb::Join(_))));
    }

    #[test]
    fn the_file_in_the_data_directory_is_read_and_is_weaker_than_the_environment() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(temp.path().join(CONFIG_FILE), "node-name = \"file\"\nrealm-name = \"file\"")
            .expect("write");
        let dir = temp.path().to_str().expect("a path");
        let (sources, _) = parse(&["--data-dir", dir], &[("P2PDB_NODE_NAME", "env")]);
        assert_eq!(sources.get("node-name").0, "env");
        assert_eq!(sources.get("realm-name").0, "file");
    }

    #[test]
    fn the_long_help_names_every_key_and_its_variable() {
        let help = command().render_long_help().to_string();
        for key in KEYS {
            assert!(
                help.contains(&format!("--{}", key.name)) && help.contains(&env_name(key.name)),
                "{}",
                key.name
            );
        }
        let help_of = |verb: &str| {
            let mut command = command();
            command.find_subcommand_mut(verb).expect("a command").render_long_help().to_string()
        };
        for verb in WITH_SETTINGS {
            assert!(help_of(verb).contains("--wait-timeout"), "{verb}");
        }
        let help = help_of("invite");
        assert!(
            help.contains("--expires") && help.contains("--data-dir") && !help.contains("--wait-timeout")
        );
        let short = command().render_help().to_string();
        assert!(!short.contains("--wait-timeout") && short.contains("--data-dir"));
    }
}
