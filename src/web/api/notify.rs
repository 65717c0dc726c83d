//! `POST notify-test {channel|user}`: a test by the channels, and what came of it (SPEC section 13).

use super::{body, ok};
use crate::web::authz::Admin;
use crate::web::problem::Problem;
use crate::web::{Answer, Call, TestRefusal, TestResult, TestTarget};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Body {
    channel: Option<String>,
    user: Option<String>,
}

#[derive(Serialize)]
struct Results {
    results: Vec<TestResult>,
}

pub fn test(call: &Call<'_>, _: &Admin) -> Answer {
    let asked: Body =
        if call.request.body.is_empty() { Body::default() } else { body(call, "body")? };
    let target = match (asked.channel, asked.user) {
        (None, None) => TestTarget::All,
        (Some(channel), None) => TestTarget::Channel(channel),
        (None, Some(user)) => TestTarget::User(user),
        (Some(_), Some(_)) => {
            return Err(Problem::new(422, "bad_body", "channel and user exclude each other.")
                .field("channel"));
        }
    };
    let results = call.context.engine.notify_test(&target).map_err(|refusal| match refusal {
        TestRefusal::NoSuchChannel => {
            Problem::new(404, "no_such_channel", "There is no such channel.")
                .hint("GET /healthz lists the channels.")
                .field("channel")
        }
        TestRefusal::NoSuchUser => {
            Problem::new(404, "no_such_user", "There is no such user.").field("user")
        }
        TestRefusal::Busy => {
            Problem::new(409, "test_running", "Another test is under way. Wait for its end.")
        }
        TestRefusal::TooMany(most) => Problem::new(
            422,
            "too_many_destinations",
            format!("A test goes to at most {most} destinations. Name one channel or one user."),
        ),
    })?;
    ok(&Results { results })
}
