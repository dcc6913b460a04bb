//! Where values come from, and which source is stronger.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::keys::{KEYS, Key, env_name};

/// Longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Names the file.
pub const CONFIG_VARIABLE: &str = "P2PDB_CONFIG";
const PREFIX: &str = "P2PDB_";
/// Variables of the project's own tests.
const TEST_PREFIX: &str = "P2PDB_TEST_";

/// Where a value comes from, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The key's default.
    Default,
    /// The TOML file.
    File,
    /// An environment variable.
    Environment,
    /// The command line.
    Flag,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is no good.
    #[error("{place}: {reason}")]
    Value {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("the configuration file {path} cannot be used: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No such key.
    #[error("there is no configuration key '{0}'; `p2pdb-node --help` lists them")]
    UnknownKey(String),
}

/// The values of all sources.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    values: HashMap<(&'static str, Source), String>,
    file: Option<PathBuf>,
}

impl Sources {
    /// Sets a value; of a list its items with commas between.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`].
    pub fn set(&mut self, source: Source, name: &str, value: String) -> Result<(), ConfigError> {
        let key = find(name)?;
        self.values.insert((key.name, source), value);
        Ok(())
    }

    /// Takes what the environment says.
    pub fn read_environment(&mut self, env: impl Fn(&str) -> Option<String>) {
        for key in KEYS {
            if let Some(value) = env(&env_name(key.name)).filter(|v| !v.is_empty()) {
                self.values.insert((key.name, Source::Environment), value);
            }
        }
    }

    /// Those of these names that look like settings and are none: typos, most likely.
    pub fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<String> {
        let known = |n: &String| {
            n == CONFIG_VARIABLE || n.starts_with(TEST_PREFIX) || KEYS.iter().any(|k| env_name(k.name) == *n)
        };
        let mut unknown: Vec<String> = names.filter(|n| n.starts_with(PREFIX) && !known(n)).collect();
        unknown.sort_unstable();
        unknown
    }

    /// Takes what a file says.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or has a key that does not exist.
    pub fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(read)?.len();
        if bytes > FILE_BYTES_MAX {
            let reason = format!("it has {bytes} bytes; at most {FILE_BYTES_MAX} are read");
            return Err(ConfigError::File { path: path.to_owned(), reason });
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        self.file = Some(path.to_owned());
        self.read_toml(&text).map_err(|reason| ConfigError::File { path: path.to_owned(), reason })
    }

    fn read_toml(&mut self, text: &str) -> Result<(), String> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
        for (name, value) in table {
            let key = find(&name).map_err(|e| e.to_string())?;
            let text = match &value {
                toml::Value::Array(items) if key.list => {
                    let items: Option<Vec<_>> = items.iter().map(scalar).collect();
                    items.map(|i| i.join(","))
                }
                value => scalar(value),
            };
            let text = text.ok_or_else(|| {
                let may = if key.list { " or an array of strings" } else { "" };
                format!("'{name}' must be a string, a number, true or false{may}")
            })?;
            self.values.insert((key.name, Source::File), text);
        }
        Ok(())
    }

    /// The strongest value of a key and its source.
    pub fn get(&self, name: &'static str) -> (String, Source) {
        for source in [Source::Flag, Source::Environment, Source::File] {
            if let Some(value) = self.values.get(&(name, source)) {
                return (value.clone(), source);
            }
        }
        let default = match name {
            "data-dir" => default_data_dir(|n| std::env::var(n).ok()),
            "node-name" => host_name(),
            _ => find(name).map(|k| k.default.to_owned()).unwrap_or_default(),
        };
        (default, Source::Default)
    }

    pub(super) fn parse<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let (value, source) = self.get(name);
        parse(&value).map_err(|reason| ConfigError::Value { place: self.place(name, source), reason })
    }

    pub(super) fn parse_list<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, ConfigError> {
        self.parse(name, |text| {
            text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(&parse).collect()
        })
    }

    fn place(&self, name: &str, source: Source) -> String {
        match source {
            Source::Flag => format!("--{name}"),
            Source::Environment => format!("the environment variable {}", env_name(name)),
            Source::File => {
                let file = self.file.as_deref().unwrap_or(Path::new("the configuration file"));
                format!("'{name}' in {}", file.display())
            }
            Source::Default => format!("the default of '{name}'"),
        }
    }
}

fn find(name: &str) -> Result<&'static Key, ConfigError> {
    KEYS.iter().find(|k| k.name == name).ok_or_else(|| ConfigError::UnknownKey(name.to_owned()))
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(s) => Some(s.clone()),
        toml::Value::Integer(i) => Some(i.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        _ => None,
    }
}

fn default_data_dir(env: impl Fn(&str) -> Option<String>) -> String {
    let set = |name| env(name).filter(|v| !v.is_empty());
    match (set("XDG_DATA_HOME"), set("HOME")) {
        (Some(data), _) => format!("{data}/p2pdb"),
        (None, Some(home)) => format!("{home}/.local/share/p2pdb"),
        (None, None) => "./p2pdb-data".to_owned(),
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "node".to_owned() } else { name.chars().take(60).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_strings_numbers_switches_and_lists() {
        let mut sources = Sources::default();
        sources
            .read_toml("max-connections = 7\nmdns = false\nwait-timeout = \"5m\"\nbootstrap = [\"/ip4/192.0.2.1/tcp/1\", \"/ip4/192.0.2.2/tcp/2\"]")
            .expect("a good file");
        assert_eq!(sources.get("max-connections"), ("7".into(), Source::File));
        assert_eq!(sources.get("mdns").0, "false");
        assert_eq!(sources.get("wait-timeout").0, "5m");
        assert_eq!(sources.get("bootstrap").0, "/ip4/192.0.2.1/tcp/1,/ip4/192.0.2.2/tcp/2");
    }

    #[test]
    fn a_file_with_an_unknown_key_or_another_shape_is_refused() {
        for text in ["colour = 1", "mdns = [true]", "mdns = 1.5", "[mysql]\nlisten = \"x\"", "mdns ="] {
            assert!(Sources::default().read_toml(text).is_err(), "{text}");
        }
    }

    #[test]
    fn empty_variables_do_not_count() {
        let mut sources = Sources::default();
        sources.read_environment(|name| match name {
            "P2PDB_MDNS" => Some("false".into()),
            "P2PDB_TESTNET" => Some(String::new()),
            _ => None,
        });
        assert_eq!(sources.get("mdns"), ("false".into(), Source::Environment));
        assert_eq!(sources.get("testnet").1, Source::Default);
    }

    #[test]
    fn variables_that_are_no_settings_are_found() {
        let names = [
            "P2PDB_MDN",
            "P2PDB_MDNS",
            "P2PDB_CONFIG",
            "P2PDB_TESTNET",
            "P2PDB_TEST_X",
            "PATH",
            "P2PDB_mdns",
        ];
        let unknown = Sources::unknown_variables(names.iter().map(|n| (*n).to_owned()));
        assert_eq!(unknown, ["P2PDB_MDN", "P2PDB_mdns"]);
    }

    #[test]
    fn the_data_directory_follows_the_home_directory() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |n: &str| pairs.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned())
        };
        assert_eq!(default_data_dir(env(&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")])), "/d/p2pdb");
        assert_eq!(default_data_dir(env(&[("HOME", "/h")])), "/h/.local/share/p2pdb");
        assert_eq!(default_data_dir(env(&[])), "./p2pdb-data");
    }
}
