//! The exchange that proves who a client is: plugin by plugin, switch and full exchange included.
//!
//! ```text
//! login packet ─▶ credentials from the shell ─┬─▶ proof fits ─────────────────────▶ Proven
//!                                             ├─▶ switch the plugin ─▶ response ──▶ Proven / Denied
//!                                             ├─▶ ask for the password (TLS) ─▶ shell checks it
//!                                             └─▶ Denied
//! ```
//!
//! Invariants: an account that does not exist goes through the same steps as one that does; every path ends in
//! one verdict; the password itself is only asked for over TLS.

use crate::auth::{
    AuthPlugin, Password, SALT_BYTES, Verifiers, check_native, check_sha2, check_sha2_salt_first,
};
use crate::constants::Capabilities;
use crate::error::ProtocolError;
use crate::handshake::{Login, LoginPacket};

/// What the account store says about a login.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// There is no such account, or it may not log in from there. The client learns no more than that the
    /// password is wrong.
    Unknown,
    /// The account has no password.
    NoPassword,
    /// The account has a password.
    Password {
        /// The method to ask for if the client's own cannot be used.
        plugin: AuthPlugin,
        /// What proves the password.
        verifiers: Verifiers,
    },
}

/// Where the exchange stands.
#[derive(Debug)]
enum Stage {
    AwaitCredentials,
    AwaitResponse(AuthPlugin),
    AwaitPassword,
    AwaitVerdict,
    Done,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send an auth switch request and go on reading.
    Switch(AuthPlugin),
    /// Ask for the password and go on reading.
    AskPassword,
    /// The shell must check this password.
    CheckPassword(Password),
    /// It is the account; `fast` if the client waits to be told so by the plugin.
    Proven { fast: bool },
    /// It is not.
    Denied,
    /// The client cannot do what the account needs.
    Unsupported,
}

/// One login under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) login: Login,
    plugin: Option<AuthPlugin>,
    response: Vec<u8>,
    used_password: bool,
    credentials: Credentials,
    stage: Stage,
}

impl Exchange {
    pub(crate) fn new(packet: LoginPacket) -> Exchange {
        Exchange {
            login: packet.login,
            plugin: packet.plugin,
            used_password: !is_empty(&packet.response),
            response: packet.response,
            credentials: Credentials::Unknown,
            stage: Stage::AwaitCredentials,
        }
    }

    /// Whether the client used a password, for the error text.
    pub(crate) fn used_password(&self) -> bool {
        self.used_password
    }

    pub(crate) fn awaits_credentials(&self) -> bool {
        matches!(self.stage, Stage::AwaitCredentials)
    }

    pub(crate) fn awaits_verdict(&self) -> bool {
        matches!(self.stage, Stage::AwaitVerdict)
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    pub(crate) fn on_credentials(&mut self, credentials: Credentials, salt: &[u8; SALT_BYTES]) -> Step {
        self.credentials = credentials;
        let can_switch = self.login.capabilities.contains(Capabilities::PLUGIN_AUTH);
        // Clients whose plugin is not the greeting's (or who change the user) may send an empty response to be
        // asked again with a salt for their plugin.
        let wants_switch = can_switch
            && self.response.is_empty()
            && !matches!(self.credentials, Credentials::NoPassword)
            && (self.plugin == Some(AuthPlugin::Native) || self.login.change_user);
        match self.plugin.filter(|&plugin| self.is_usable(plugin)) {
            Some(plugin) if !wants_switch => self.on_response(plugin, salt),
            _ if !can_switch => self.end(Step::Unsupported),
            own => match own.or_else(|| self.preferred_plugin()) {
                Some(plugin) => {
                    self.stage = Stage::AwaitResponse(plugin);
                    Step::Switch(plugin)
                }
                None => self.end(Step::Denied),
            },
        }
    }

    pub(crate) fn on_packet(
        &mut self,
        packet: Vec<u8>,
        salt: &[u8; SALT_BYTES],
    ) -> Result<Step, ProtocolError> {
        match self.stage {
            Stage::AwaitResponse(plugin) => {
                self.response = packet;
                self.used_password = !is_empty(&self.response);
                Ok(self.on_response(plugin, salt))
            }
            Stage::AwaitPassword => {
                let packet = zeroize::Zeroizing::new(packet);
                let Some((0, password)) = packet.split_last() else {
                    return Err(ProtocolError::Malformed);
                };
                self.stage = Stage::AwaitVerdict;
                Ok(Step::CheckPassword(Password::new(password)))
            }
            Stage::AwaitCredentials | Stage::AwaitVerdict | Stage::Done => Err(ProtocolError::OutOfOrder),
        }
    }

    pub(crate) fn on_verdict(&mut self, right: bool) -> Step {
        self.end(if right { Step::Proven { fast: false } } else { Step::Denied })
    }

    fn on_response(&mut self, plugin: AuthPlugin, salt: &[u8; SALT_BYTES]) -> Step {
        let response = &self.response;
        let mut fast = plugin == AuthPlugin::CachingSha2 && !is_empty(response);
        let proven = match (&self.credentials, plugin) {
            (Credentials::NoPassword, _) => is_empty(response),
            (_, _) if is_empty(response) => false,
            (Credentials::Unknown, _) => false,
            (Credentials::Password { verifiers, .. }, AuthPlugin::Native) => {
                verifiers.native.is_some_and(|verifier| check_native(response, salt, &verifier))
            }
            (Credentials::Password { verifiers, .. }, AuthPlugin::CachingSha2) => match verifiers.sha2 {
                Some(verifier) if check_sha2_salt_first(response, salt, &verifier) => {
                    // Such a client reads nothing but OK after its proof.
                    fast = false;
                    true
                }
                Some(verifier) => check_sha2(response, salt, &verifier),
                None => {
                    self.stage = Stage::AwaitPassword;
                    return Step::AskPassword;
                }
            },
        };
        self.end(if proven { Step::Proven { fast } } else { Step::Denied })
    }

    fn is_usable(&self, plugin: AuthPlugin) -> bool {
        match (&self.credentials, plugin) {
            (Credentials::Unknown | Credentials::NoPassword, _) => true,
            (Credentials::Password { verifiers, .. }, AuthPlugin::Native) => verifiers.native.is_some(),
            (Credentials::Password { verifiers, .. }, AuthPlugin::CachingSha2) => {
                verifiers.sha2.is_some() || self.login.tls
            }
        }
    }

    fn preferred_plugin(&self) -> Option<AuthPlugin> {
        let first = match &self.credentials {
            Credentials::Password { plugin, .. } => *plugin,
            Credentials::Unknown | Credentials::NoPassword => AuthPlugin::CachingSha2,
        };
        [first, AuthPlugin::CachingSha2, AuthPlugin::Native]
            .into_iter()
            .find(|&plugin| self.is_usable(plugin))
    }

    fn end(&mut self, step: Step) -> Step {
        self.stage = Stage::Done;
        step
    }
}

/// Clients send nothing, or a lone zero byte, for an empty password.
fn is_empty(response: &[u8]) -> bool {
    matches!(response, [] | [0])
}
