//! Who asks: a name, a password, and the token that a node gives for them.

use crate::support::exit::Usage;
use crate::support::text::plain;
use anyhow::{Context, Result, bail};
use mayfly_mesh::proto::etcdserverpb::AuthenticateRequest;
use mayfly_mesh::proto::etcdserverpb::auth_client::AuthClient;
use std::io::{BufRead, IsTerminal};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// The password of --user, and that of a user who gets one.
const PASSWORD: &str = "MAYFLY_MESH_PASSWORD";
const NEW_PASSWORD: &str = "MAYFLY_MESH_NEW_PASSWORD";
/// Where a node that asks nobody says so.
const NOT_ENABLED: &str = "etcdserver: authentication is not enabled";

/// Shows a token with every question, once there is one.
#[derive(Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("token", token.clone());
        }
        Ok(request)
    }
}

/// A name and its password.
pub struct Login {
    name: String,
    password: String,
}

impl Login {
    /// Of NAME or NAME:PASSWORD. A password that is not there is that of the environment, or it is asked for.
    pub fn new(text: &str) -> Result<Self> {
        let (name, password) = match text.split_once(':') {
            Some((name, password)) => (name, Some(password.to_owned())),
            None => (text, of_environment(PASSWORD)?),
        };
        if name.is_empty() {
            return Err(Usage("--user needs a name".into()).into());
        }
        let password = match password {
            Some(password) => password,
            None => {
                prompt(&format!("Password of {}: ", plain(name))).with_context(|| format!("{PASSWORD} can have it"))?
            }
        };
        Ok(Self { name: name.into(), password })
    }

    /// What shows a node who asks; nothing where it asks nobody.
    pub async fn bearer(&self, mut auth: AuthClient<Channel>) -> Result<Bearer, Status> {
        let request = AuthenticateRequest { name: self.name.clone(), password: self.password.clone() };
        match auth.authenticate(request).await {
            Ok(answer) => {
                let token = answer.into_inner().token.parse();
                let token = token.map_err(|_| Status::internal("the node gave a token that is no text"))?;
                Ok(Bearer(Some(token)))
            }
            Err(status) if status.code() == Code::FailedPrecondition && status.message() == NOT_ENABLED => {
                Ok(Bearer::default())
            }
            Err(status) => Err(status),
        }
    }
}

/// The password that a user gets: of the environment, of whoever sits at the terminal, or else the first line of standard input.
pub fn new_password(name: &str) -> Result<String> {
    if let Some(password) = of_environment(NEW_PASSWORD)? {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
        return match line.trim_end_matches(['\r', '\n']) {
            "" => Err(Usage(format!("a password is missing: {NEW_PASSWORD}, or a line on standard input")).into()),
            password => Ok(password.into()),
        };
    }
    let name = plain(name);
    let password = prompt(&format!("New password of {name}: "))?;
    if password != prompt(&format!("New password of {name} again: "))? {
        bail!("these are two passwords: nothing was changed");
    }
    Ok(password)
}

fn of_environment(variable: &str) -> Result<Option<String>> {
    match std::env::var(variable) {
        Ok(password) => Ok(Some(password)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => bail!("{variable}: {error}"),
    }
}

/// Asks at the terminal, wherever standard input comes from.
fn prompt(question: &str) -> Result<String> {
    rpassword::prompt_password(question).context("cannot ask for a password here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_its_password() {
        let login = Login::new("u1:a:b").unwrap();
        assert_eq!((&login.name[..], &login.password[..]), ("u1", "a:b"));
        assert_eq!(Login::new("u1:").unwrap().password, "");
        assert!(Login::new(":p").is_err());
    }

    #[test]
    fn a_token_is_shown_once_there_is_one() {
        let shown = |mut bearer: Bearer| bearer.call(Request::new(())).unwrap().metadata().get("token").cloned();
        assert_eq!(shown(Bearer::default()), None);
        assert_eq!(shown(Bearer(Some("a.1".parse().unwrap()))).unwrap(), "a.1");
    }
}
