//! What an answer means: delivered, to be tried again, or hopeless (SPEC section 4).

use crate::config::server::ChannelType;
use crate::time::{Duration, Wall};

/// The outcome of one try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Done,
    /// No sooner than `after` from now; zero where the other side did not say.
    Retry {
        after: Duration,
    },
    Failed,
}

/// An answer over HTTP.
pub struct HttpAnswer<'a> {
    pub status: u16,
    pub retry_after: Option<&'a str>,
    /// Its beginning; of a success it is read where `reads_success` says so.
    pub body: &'a [u8],
}

/// Whether a service tells of failures in the body of a success.
pub fn reads_success(kind: ChannelType) -> bool {
    kind == ChannelType::Teams
}

/// 2xx is done; 429 and 5xx are tried again; anything else is final, a redirect included: the
/// address of a service is a secret and is not taken elsewhere.
pub fn of_http(kind: ChannelType, answer: &HttpAnswer<'_>, now: Wall) -> Verdict {
    let HttpAnswer { status, retry_after, body } = *answer;
    let status = match status {
        200..=299 if reads_success(kind) => teams_status(body).unwrap_or(status),
        _ => status,
    };
    match status {
        200..=299 => Verdict::Done,
        429 | 500..=599 => {
            let after = retry_after.and_then(|text| read_retry_after(text, now));
            Verdict::Retry { after: after.or_else(|| read_body(body)).unwrap_or_default() }
        }
        _ => Verdict::Failed,
    }
}

/// 4yz is for now, 5yz for ever (RFC 5321, section 4.2.1).
pub fn of_smtp(code: u16) -> Verdict {
    match code {
        200..=399 => Verdict::Done,
        500..=599 => Verdict::Failed,
        _ => Verdict::Retry { after: Duration::ZERO },
    }
}

/// `code` is `None` where the program was killed; `late`: because its time was over.
pub fn of_program(kind: ChannelType, code: Option<i32>, late: bool) -> Verdict {
    const RETRY: Verdict = Verdict::Retry { after: Duration::ZERO };
    match (kind, code) {
        (_, Some(0)) => Verdict::Done,
        _ if late => RETRY,
        // signal-cli's manual, "Exit codes": 1 is an error of the user, 2 unexpected, 3 of the server or of
        // I/O, 4 an untrusted key, 5 a rate limit.
        (ChannelType::Signal, Some(2 | 3 | 5)) => RETRY,
        // EX_TEMPFAIL of sysexits(3).
        (ChannelType::Exec, Some(75)) => RETRY,
        _ => Verdict::Failed,
    }
}

/// The real status of a Teams connector, which answers 200 and says in words what became of the message
/// (learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using, "Rate limiting for
/// connectors": the body is to be searched for these words, as there is no status 429).
fn teams_status(body: &[u8]) -> Option<u16> {
    const WORDS: &str = "Microsoft Teams endpoint returned HTTP error ";
    let text = String::from_utf8_lossy(body);
    let digits = text.split_once(WORDS)?.1.get(..3)?;
    Some(digits.parse().unwrap_or(500))
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn read_retry_after(text: &str, now: Wall) -> Option<Duration> {
    let text = text.trim();
    if let Ok(secs) = text.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(secs)));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Wall::from_secs_f64(at.as_millisecond() as f64 / 1000.0).since(now))
}

/// Telegram: `{"parameters":{"retry_after":5}}` (core.telegram.org/bots/api, ResponseParameters);
/// Discord: `{"retry_after":1.5}` (discord.com/developers/docs/topics/rate-limits); Matrix:
/// `{"retry_after_ms":2000}` (spec.matrix.org, M_LIMIT_EXCEEDED).
fn read_body(body: &[u8]) -> Option<Duration> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let secs = value["parameters"]["retry_after"].as_f64().or(value["retry_after"].as_f64());
    let secs = secs.or(value["retry_after_ms"].as_f64().map(|ms| ms / 1000.0))?;
    Duration::try_from_secs_f64(secs).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_answers_are_done_tried_again_or_final() {
        let now = Wall::from_secs(1_800_000_000);
        let retry = |ms| Verdict::Retry { after: Duration::from_millis(ms) };
        let table: [(u16, Option<&str>, &str, Verdict); 15] = [
            (200, None, "", Verdict::Done),
            (204, None, "", Verdict::Done),
            (301, None, "", Verdict::Failed),
            (400, None, "", Verdict::Failed),
            (401, Some("5"), "", Verdict::Failed),
            (404, None, "", Verdict::Failed),
            (429, None, "", retry(0)),
            (429, Some("7"), "", retry(7000)),
            (429, Some("Fri, 15 Jan 2027 08:00:30 GMT"), "", retry(30_000)),
            (429, Some("soon"), r#"{"retry_after":1.5}"#, retry(1500)),
            (429, None, r#"{"parameters":{"retry_after":5}}"#, retry(5000)),
            (429, None, r#"{"retry_after_ms":2000}"#, retry(2000)),
            (429, None, r#"{"retry_after":-1}"#, retry(0)),
            (500, None, "", retry(0)),
            (503, Some("120"), "", retry(120_000)),
        ];
        for (status, retry_after, body, want) in table {
            let answer = HttpAnswer { status, retry_after, body: body.as_bytes() };
            for kind in [ChannelType::Webhook, ChannelType::Teams] {
                assert_eq!(of_http(kind, &answer, now), want, "{kind:?} {status} {retry_after:?}");
            }
        }
    }

    /// learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using, "Rate limiting
    /// for connectors".
    #[test]
    fn teams_tells_its_failures_in_the_body_of_a_success() {
        let now = Wall::from_secs(1_800_000_000);
        let says = |kind, code: &str| {
            let body = format!(
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP \
                 error {code} with ContextId tcid=0,server=SN3PEPF"
            );
            let answer = HttpAnswer { status: 200, retry_after: None, body: body.as_bytes() };
            of_http(kind, &answer, now)
        };
        let retry = Verdict::Retry { after: Duration::ZERO };
        for (code, want) in [("429", retry), ("503", retry), ("413", Verdict::Failed)] {
            assert_eq!(says(ChannelType::Teams, code), want, "{code}");
            assert_eq!(says(ChannelType::Slack, code), Verdict::Done, "{code}");
        }
        assert_eq!(says(ChannelType::Teams, "unknown"), retry);
        for body in ["1", "", "{}", "Microsoft Teams endpoint returned HTTP error"] {
            let answer = HttpAnswer { status: 200, retry_after: None, body: body.as_bytes() };
            assert_eq!(of_http(ChannelType::Teams, &answer, now), Verdict::Done, "{body}");
        }
    }

    #[test]
    fn exit_codes_are_done_tried_again_or_final() {
        let retry = Verdict::Retry { after: Duration::ZERO };
        let table = [
            (ChannelType::Exec, Some(0), false, Verdict::Done),
            (ChannelType::Exec, Some(75), false, retry),
            (ChannelType::Exec, Some(1), false, Verdict::Failed),
            (ChannelType::Exec, None, true, retry),
            (ChannelType::Exec, None, false, Verdict::Failed),
            (ChannelType::Signal, Some(3), false, retry),
            (ChannelType::Signal, Some(1), false, Verdict::Failed),
            (ChannelType::Signal, Some(75), false, Verdict::Failed),
        ];
        for (kind, code, late, want) in table {
            assert_eq!(of_program(kind, code, late), want, "{kind:?} {code:?}");
        }
        assert_eq!(
            [of_smtp(250), of_smtp(451), of_smtp(550)],
            [Verdict::Done, retry, Verdict::Failed]
        );
    }
}
