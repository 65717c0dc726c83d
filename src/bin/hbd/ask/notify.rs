//! `notify-test`: asks the server for a test of its channels and prints what came of each.

use super::fleet::{field, list};
use super::table::render;
use super::{Asker, Failure, Printed};
use crate::{EXIT_FAILED, EXIT_OK};
use serde_json::{Value, json};

const PATH: &str = "/api/0/notify-test";

impl Asker<'_> {
    /// Exit status 1 where a channel failed.
    pub fn notify_test(&self) -> Printed {
        let value = self.test_results()?;
        let failed = list(&value, "results").any(|result| result["ok"] != true);
        let (_, text) = self.printed(&value, || self.result_table(&value))?;
        Ok((if failed { EXIT_FAILED } else { EXIT_OK }, text))
    }

    /// A word is a channel, or else a user.
    fn test_results(&self) -> Result<Value, Failure> {
        let Some(word) = self.invocation.words.first() else {
            return self.ask("POST", PATH, Some("{}"));
        };
        let of = |kind: &str| self.ask("POST", PATH, Some(&json!({ kind: word }).to_string()));
        match of("channel") {
            Err(failure) if failure.code == "no_such_channel" => {
                of("user").map_err(|mut failure| {
                    if failure.code == "no_such_user" {
                        failure.words = format!("no channel and no user is called {word:?}");
                    }
                    failure
                })
            }
            result => result,
        }
    }

    fn result_table(&self, value: &Value) -> String {
        let row = |result: &Value| {
            let ok = result["ok"] == true;
            vec![
                field(result, "channel").to_owned(),
                if ok { "ok" } else { "FAILED" }.to_owned(),
                format!("{} ms", result["ms"]),
                field(result, "error").to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = list(value, "results").map(row).collect();
        if rows.is_empty() {
            return "no channels are configured\n".to_owned();
        }
        render(self.layout, &["CHANNEL", "RESULT", "TIME", "ERROR"], &rows)
    }
}
