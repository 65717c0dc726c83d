//! `keys`: which pre-shared keys there are and when they were used. Never what is secret of them.

use super::{no_content, ok};
use crate::web::authz::Admin;
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::Serialize;

/// `GET keys`
pub fn list(call: &Call<'_>, _: &Admin) -> Answer {
    #[derive(Serialize)]
    struct KeyJson<'a> {
        host: &'a str,
        id: String,
        created: f64,
        last_used: Option<f64>,
    }
    #[derive(Serialize)]
    struct List<'a> {
        keys: Vec<KeyJson<'a>>,
    }
    let keys = call.whole.keys.iter().map(|key| KeyJson {
        host: &key.host,
        id: key.id.to_string(),
        created: key.created.as_secs_f64(),
        last_used: key.last_used().map(crate::time::Wall::as_secs_f64),
    });
    ok(&List { keys: keys.collect() })
}

/// `POST keys`: the file has changed; the server reads it anew.
pub fn load(call: &Call<'_>, _: &Admin) -> Answer {
    match call.context.engine.load_keys() {
        Ok(()) => Ok(no_content()),
        Err(what) => {
            Err(Problem::new(422, "bad_keys_file", format!("The keys were not loaded: {what}"))
                .hint("The old keys stay in force. Mend the file and run `hbd reload`."))
        }
    }
}
