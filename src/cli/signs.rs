//! `sekisho signs` and `sekisho mute`.

use super::args::{Arguments, Mute, Signs};
use super::{Failure, questions, render};
use crate::api::client::escaped;
use crate::api::signs::SignSays;
use crate::daemon::clock::SystemClock;
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock as _;

/// Signs in what groups ask.
pub fn signs(arguments: &Arguments, signs: &Signs) -> Result<(), Failure> {
    let mut said: Vec<SignSays> = questions::get(arguments, "/v1/signs")?;
    let all = said.len();
    if !signs.all {
        said.retain(|sign| sign.muted_until.is_none());
    }
    let (now, muted) = (SystemClock.now(), all - said.len());
    questions::show(arguments, &said, |said| render::signs::signs(said, muted, now.0))
}

/// Mutes signs, or ends mutes.
pub fn mute(arguments: &Arguments, mute: &Mute) -> Result<(), Failure> {
    let seconds = if mute.end { 0 } else { seconds(&mute.duration)? };
    let by = mute.by.clone().unwrap_or_else(super::whoever_runs_this);
    let mut path = format!(
        "/v1/mute?subject={}&seconds={seconds}&by={}",
        escaped(&mute.subject),
        escaped(&by)
    );
    for (key, value) in [("kind", &mute.kind), ("group", &mute.group), ("reason", &mute.reason)] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", escaped(value)));
        }
    }
    let answer: serde_json::Value = questions::command(arguments, &path)?;
    questions::show(arguments, &answer, |answer| match mute.end {
        true => format!("{} mutes of {} ended\n", answer["ended"], mute.subject),
        false => format!("signs of {} are not shown for {}\n", mute.subject, mute.duration),
    })
}

/// `12h`, `7d`.
fn seconds(text: &str) -> Result<u32, Diagnostic> {
    let unfit = || {
        Diagnostic::error(format!("`{text}` is no span of time"))
            .hint("a number and `m`, `h` or `d`, such as `7d`")
    };
    let unit = text.chars().last().ok_or_else(unfit)?;
    let each = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(unfit()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| unfit())?;
    number.checked_mul(each).filter(|seconds| *seconds > 0).ok_or_else(unfit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read() {
        assert_eq!(seconds("7d").unwrap(), 604_800);
        assert_eq!(seconds("90m").unwrap(), 5_400);
        for bad in ["", "d", "0h", "7", "7w", "-1d", "99999999d", "é"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
