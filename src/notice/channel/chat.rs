//! Chats: Mattermost, Slack, Discord, Teams, Telegram, Matrix. Field names are those of each
//! service's own documentation, named above each.

use super::shape::{self, bytes, chars, defuse, fit, segment, utf16};
use super::{Fault, HttpRequest, Work, fingerprint};
use serde_json::{Value, json};

/// The server splits a longer post; this bounds what it is given.
const MATTERMOST_MAX: usize = 65_000;
const SLACK_MAX: usize = 40_000;
const DISCORD_MAX: usize = 2000;
/// A message with all its fields may have 28 KB.
const TEAMS_MAX: usize = 24_000;
const TELEGRAM_MAX: usize = 4096;
/// A whole event may have 65,536 bytes.
const MATRIX_MAX: usize = 60_000;

/// developers.mattermost.com/integrate/webhooks/incoming: `text`, `channel`, `username`, `icon_url`.
pub fn mattermost(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let text = defuse(&fit(&shape::whole(work.message), MATTERMOST_MAX, chars));
    let mut body = json!({ "text": text });
    if let Some(channel) = work.to()? {
        body["channel"] = channel.into();
    }
    for key in ["username", "icon_url"] {
        if let Some(value) = work.channel.text(key) {
            body[key] = value.into();
        }
    }
    Ok(work.post(work.needed("url")?, &body))
}

/// docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: `text`; `mrkdwn` false leaves
/// `*` and `_` alone; `&`, `<` and `>` are the three characters to be escaped
/// (docs.slack.dev/messaging/formatting-message-text).
pub fn slack(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let text = fit(&shape::whole(work.message), SLACK_MAX, chars);
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(work.post(work.needed("url")?, &json!({ "text": text, "mrkdwn": false })))
}

/// discord.com/developers/docs/resources/webhook, Execute Webhook: `content` of up to 2000
/// characters, `allowed_mentions` with an empty `parse` so that nobody is called. Without `wait` in
/// the query "a message that is not saved does not return an error"; it is put into addresses that
/// are of the documented form, `/webhooks/ID/TOKEN`, and others are taken as they are.
pub fn discord(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    // Defused before it is cut: what is put in counts as well.
    let lines: Vec<String> = shape::whole(work.message).iter().map(|line| defuse(line)).collect();
    let text = fit(&lines, DISCORD_MAX, utf16);
    let body = json!({ "content": text, "allowed_mentions": { "parse": [] } });
    Ok(work.post(waiting(work.needed("url")?), &body))
}

fn waiting(url: String) -> String {
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    if !path.contains("/webhooks/") || query.split('&').any(|pair| pair.starts_with("wait=")) {
        return url;
    }
    let between = if url.contains('?') { "&" } else { "?" };
    format!("{url}{between}wait=true")
}

/// learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using:
/// a `message` with one Adaptive Card. A `TextRun` reads no Markdown, unlike a `TextBlock`
/// (adaptivecards.io/explorer/TextRun.html).
pub fn teams(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let text = fit(&shape::plain(work.message), TEAMS_MAX, bytes);
    let blocks: Vec<Value> = text
        .lines()
        .map(|line| {
            json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": line }] })
        })
        .collect();
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": { "width": "Full" },
        "body": blocks,
    });
    if let Some(url) = &work.message.url {
        let title = work.message.site.as_ref();
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": title, "url": url }]);
    }
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": card,
    });
    let body = json!({ "type": "message", "attachments": [attachment] });
    Ok(work.post(work.needed("url")?, &body))
}

/// core.telegram.org/bots/api#sendmessage: `chat_id`, `message_thread_id`, `text` of up to 4096
/// characters; no `parse_mode`, so nothing in it is markup.
pub fn telegram(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let base = work.channel.text("url").unwrap_or("https://api.telegram.org");
    let token = work.needed("token")?;
    let url = format!("{}/bot{}/sendMessage", base.trim_end_matches('/'), token_in_path(&token));
    let mut body = json!({
        "chat_id": number_or_text(&work.destination()?),
        "text": fit(&shape::whole(work.message), TELEGRAM_MAX, utf16),
        "link_preview_options": { "is_disabled": true },
    });
    if let Some(thread) = work.channel.text("thread_id") {
        body["message_thread_id"] = number_or_text(thread);
    }
    Ok(work.post(url, &body))
}

/// A token is digits, a colon and letters; anything else must not make another path.
fn token_in_path(token: &str) -> String {
    segment(token).replace("%3A", ":")
}

fn number_or_text(text: &str) -> Value {
    text.trim().parse::<i64>().map_or_else(|_| text.into(), Value::from)
}

/// spec.matrix.org/latest/client-server-api, `PUT /rooms/{roomId}/send/{eventType}/{txnId}` with
/// `msgtype` and `body`; the same `txnId` is taken once, so a repeated try is no second message.
pub fn matrix(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let room = segment(&work.destination()?);
    let transaction = fingerprint(work.message);
    let base = work.base()?;
    let url = format!("{base}/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}");
    let text = fit(&shape::whole(work.message), MATRIX_MAX, bytes);
    let mut request = work.post(url, &json!({ "msgtype": "m.text", "body": text }));
    request.method = "PUT";
    let token = work.needed("token")?;
    request.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    Ok(request)
}
