//! The families about the server itself: what it received, what waits, what was lost, what the process costs.

use super::Figure;
use super::exposition::{Exposition, Kind};
use crate::engine::view::View;
use crate::time::Wall;
use crate::web::{ChannelFact, Context};

pub fn write(text: &mut Exposition, context: &Context<'_>, view: &View) {
    let help = "Always 1; the labels tell which build this is.";
    text.family("heartbeat_build_info", Kind::Gauge, help);
    text.sample(&[("version", context.facts.version)], 1.0);
    write_datagrams(text, view);
    let uptime = view.uptime(context.now).as_secs_f64();
    text.single("heartbeat_uptime_seconds", Kind::Gauge, "How long the server runs.", uptime);
    write_queues(text, context);
    write_channels(text, context.channels);
    let mut figures = context.engine.figures();
    // Of one name those that came first stand first.
    figures.sort_by_key(|figure| figure.name);
    write_figures(text, &figures);
}

fn write_datagrams(text: &mut Exposition, view: &View) {
    let counters = &view.counters;
    let mut count = |name, help, value: u64| text.single(name, Kind::Counter, help, value as f64);
    count("heartbeat_datagrams_received_total", "Datagrams received.", counters.received);
    count("heartbeat_datagrams_accepted_total", "Datagrams taken.", counters.accepted);
    count(
        "heartbeat_kernel_drops_total",
        "Datagrams that the kernel dropped because the socket's buffer was full.",
        counters.kernel_drops,
    );
    count(
        "heartbeat_acks_withheld_total",
        "Answers not sent because they would have been longer than the request.",
        counters.acks_withheld,
    );
    count(
        "heartbeat_values_unjudged_total",
        "Values under a limit that were no finite number.",
        counters.unjudged,
    );
    let help = "Datagrams refused, by reason.";
    text.family("heartbeat_datagrams_rejected_total", Kind::Counter, help);
    for (reason, count) in &counters.rejected {
        text.sample(&[("reason", reason)], *count as f64);
    }
}

fn write_queues(text: &mut Exposition, context: &Context<'_>) {
    text.family("heartbeat_queue_depth", Kind::Gauge, "What waits in a bounded queue.");
    for queue in context.queues {
        text.sample(&[("queue", queue.name)], queue.depth as f64);
    }
    text.family("heartbeat_queue_capacity", Kind::Gauge, "What a bounded queue holds at most.");
    for queue in context.queues {
        text.sample(&[("queue", queue.name)], queue.capacity as f64);
    }
    let help = "What found a bounded queue full and was lost.";
    text.family("heartbeat_queue_dropped_total", Kind::Counter, help);
    for queue in context.queues {
        text.sample(&[("queue", queue.name)], queue.dropped as f64);
    }
}

/// The configured ways of notification; no family of them where there are none.
fn write_channels(text: &mut Exposition, channels: &[ChannelFact]) {
    if channels.is_empty() {
        return;
    }
    let help = "Whether a channel's last try succeeded; 1 where there was none.";
    text.family("heartbeat_channel_up", Kind::Gauge, help);
    for channel in channels.iter().filter(|channel| channel.enabled) {
        let up = f64::from(u8::from(channel.is_ok()));
        text.sample(&[("channel", &channel.name), ("type", channel.kind)], up);
    }
    text.family("heartbeat_channel_queued", Kind::Gauge, "Notices that wait for a channel.");
    for channel in channels {
        text.sample(&[("channel", &channel.name)], channel.queued as f64);
    }
    let help = "Tries of a channel, by how they ended.";
    text.family("heartbeat_channel_tries_total", Kind::Counter, help);
    for channel in channels {
        let ends = [
            ("delivered", channel.delivered),
            ("retried", channel.retried),
            ("failed", channel.failed),
        ];
        for (end, count) in ends {
            text.sample(&[("channel", &channel.name), ("outcome", end)], count as f64);
        }
    }
    let help = "When a channel delivered last, in Unix time.";
    text.family("heartbeat_channel_last_success_timestamp_seconds", Kind::Gauge, help);
    for channel in channels {
        if let Some(at) = channel.last_success.map(Wall::as_secs_f64) {
            text.sample(&[("channel", &channel.name)], at);
        }
    }
}

fn write_figures(text: &mut Exposition, figures: &[Figure]) {
    let mut name = "";
    for figure in figures {
        if figure.name != name {
            name = figure.name;
            text.family(figure.name, figure.kind, figure.help);
        }
        let labels: Vec<(&str, &str)> =
            figure.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        text.sample(&labels, figure.value);
    }
}
