//! `hbd token new|list|drop`: tokens of the API.

use super::fleet::{field, list, local_time, number};
use super::{Asker, Printed, failure, now};
use crate::{EXIT_OK, EXIT_USAGE};
use heartbeat::time::parse_duration;
use serde_json::{Value, json};

const USAGE: &str = "usage: hbd token new NAME [--scope S] [--for D] [--user U] | list | drop ID";

impl Asker<'_> {
    pub fn token(&self) -> Printed {
        let words: Vec<&str> = self.invocation.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["new", name] => self.new_token(name),
            ["list"] => self.tokens(),
            ["drop", id] => self.remove("auth/tokens", id),
            _ => Err(failure(EXIT_USAGE, USAGE)),
        }
    }

    /// The token alone on stdout: it is shown this once.
    fn new_token(&self, name: &str) -> Printed {
        let length = self.invocation.length.as_deref().map(|text| {
            parse_duration(text)
                .filter(|length| !length.is_zero())
                .ok_or_else(|| failure(EXIT_USAGE, format!("--for {text}: not a duration, as 30d")))
        });
        let expires = length.transpose()?.map(|length| now() + length.as_secs_f64());
        let scope = self.invocation.scope.as_deref().unwrap_or("read");
        let mut body = json!({ "name": name, "scope": scope, "expires": expires });
        if let Some(user) = &self.invocation.user {
            body["user"] = Value::from(user.as_str());
        }
        let value = self.ask("POST", "/api/0/auth/tokens", Some(&body.to_string()))?;
        Ok((EXIT_OK, format!("{}\n", field(&value, "token"))))
    }

    fn tokens(&self) -> Printed {
        let value = self.get("/api/0/auth/tokens")?;
        let tokens: Vec<&Value> = list(&value, "tokens").collect();
        let time = |token: &Value, key| number(token, key).map_or("-".to_owned(), local_time);
        let row = |token: &&Value| {
            vec![
                field(token, "id").to_owned(),
                field(token, "user").to_owned(),
                field(token, "scope").to_owned(),
                time(token, "expires"),
                time(token, "last_used"),
                field(token, "name").to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = tokens.iter().map(row).collect();
        let titles = ["ID", "USER", "SCOPE", "EXPIRES", "USED", "NAME"];
        Ok((EXIT_OK, self.screen.list(&value, &tokens, &titles, &rows)))
    }
}
