//! `client.cnf`: the option file with which `mariadb`, `mysql` and `p2pdb-node sql` log in without questions.

use std::net::SocketAddr;

use crate::datadir::{DataDir, DataDirError};

/// The file's name in the data directory.
pub const FILE: &str = "client.cnf";

/// What a client needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFile {
    /// Host to connect to.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl ClientFile {
    /// Points it to where the node listens.
    pub fn set_address(&mut self, address: SocketAddr) {
        let ip = address.ip();
        self.host = match ip {
            ip if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
            ip if ip.is_unspecified() => "::1".to_owned(),
            ip => ip.to_string(),
        };
        self.port = address.port();
    }

    /// Reads the file in a data directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(dir: &DataDir) -> Result<Option<Self>, DataDirError> {
        Ok(dir.read_text(FILE)?.map(|text| Self::parse(&text)))
    }

    /// Writes it, mode 0600.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, dir: &DataDir) -> Result<(), DataDirError> {
        dir.write_secret(FILE, self.text().as_bytes())
    }

    fn text(&self) -> String {
        let Self { host, port, user, password } = self;
        let password = password.replace('\\', r"\\").replace('"', r#"\""#);
        format!(
            "# Written by p2pdb-node, which sets the address at every start. Use: mariadb --defaults-file=THIS-FILE\n\
             [client]\nprotocol=tcp\nhost={host}\nport={port}\nuser={user}\npassword=\"{password}\"\n\n\
             # The certificate is the node's own; newer MariaDB clients would refuse it.\n\
             [client-mariadb]\ndisable-ssl-verify-server-cert\n"
        )
    }

    /// Reads an option file as clients do, as far as it concerns us.
    pub fn parse(text: &str) -> Self {
        let mut file =
            Self { host: "127.0.0.1".into(), port: 3306, user: "root".into(), password: String::new() };
        let mut ours = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                ours = line == "[client]";
            } else if let (true, Some((key, value))) = (ours, line.split_once('=')) {
                let value = unquote(value.trim());
                match key.trim() {
                    "host" => file.host = value,
                    "port" => file.port = value.parse().unwrap_or(file.port),
                    "user" => file.user = value,
                    "password" => file.password = value,
                    _ => {}
                }
            }
        }
        file
    }
}

/// A value without its quotes, with `\\` and `\"` resolved as clients do.
fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').map(|v| v.strip_suffix('"').unwrap_or(v)) else {
        return value.to_owned();
    };
    let mut out = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(next @ ('\\' | '"'))) => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_file_comes_back_as_it_was_and_points_to_a_reachable_address() {
        let mut file =
            ClientFile { host: "x".into(), port: 1, user: "root".into(), password: "a#b=c".into() };
        file.set_address("0.0.0.0:3307".parse().expect("address"));
        assert_eq!((file.host.as_str(), file.port), ("127.0.0.1", 3307));
        assert_eq!(ClientFile::parse(&file.text()), file);
        for password in [r#"a"b#c"#, r"back\slash\", "'", "päss 'word' "] {
            file.password = password.to_owned();
            assert_eq!(ClientFile::parse(&file.text()), file);
        }
    }
}
