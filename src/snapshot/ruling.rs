//! What a matching rule comes to: its action or the zone's override, or nothing at all.

use std::borrow::Cow;

use super::query::{Query, Response, TYPE_ANY, TYPE_CNAME};
use crate::model::{Action, Data, NameRef};
use crate::zone::{Effect, Override, PolicyZone, ZoneOptions};

/// Whether the answer carries signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signed {
    /// It is not resolved yet.
    Unknown,
    /// It does, or it does not.
    Known(bool),
}

/// Why a matching rule does not take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    /// The client set DO=1 and the answer is signed.
    SavedByDnssec,
    /// Local data has no records of the type, and the override says to look further.
    NoSuchData,
}

/// A rule that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ruling<'a> {
    pub(super) response: Response<'a>,
    /// Whether signatures in the answer, not known yet, would make it drop out.
    pub(super) unless_signed: bool,
}

/// What a rule comes to at a stage whose name is `name`; `own` is the name its trigger matched,
/// where it matched one.
///
/// The DO bit saves a name from being rewritten (draft section 6), rule by rule: what leaves the
/// truth as it is breaks no signature and stays.
pub(super) fn rule_on<'a>(
    zone: &'a PolicyZone,
    effect: &'a Effect,
    name: NameRef<'a>,
    own: Option<NameRef<'a>>,
    query: &Query<'_>,
    signed: Signed,
) -> Result<Ruling<'a>, Dropped> {
    let response = response(&zone.options, effect, name, own, query)?;
    let breaks =
        query.dnssec_ok && !zone.options.break_dnssec && response.rewrites(query.transport);
    match signed {
        Signed::Known(true) if breaks => Err(Dropped::SavedByDnssec),
        Signed::Known(_) => Ok(Ruling { response, unless_signed: false }),
        Signed::Unknown => Ok(Ruling { response, unless_signed: breaks }),
    }
}

fn response<'a>(
    options: &'a ZoneOptions,
    effect: &'a Effect,
    name: NameRef<'a>,
    own: Option<NameRef<'a>>,
    query: &Query<'_>,
) -> Result<Response<'a>, Dropped> {
    let action = match (&options.policy, &effect.action) {
        (Override::Action(action), _) => action,
        (Override::LocalDataOrPassthru, Action::Data(data)) if !answers(data, query.rtype) => {
            return Ok(Response::Passthru);
        }
        (Override::LocalDataOrDisabled, Action::Data(data)) if !answers(data, query.rtype) => {
            return Err(Dropped::NoSuchData);
        }
        (_, action) => action,
    };
    Ok(match action {
        Action::NxDomain => Response::NxDomain,
        Action::NoData => Response::NoData,
        Action::Passthru => Response::Passthru,
        Action::Drop => Response::Drop,
        Action::TcpOnly => Response::TcpOnly,
        Action::Data(data) => Response::Data(data),
        // An alias to what the trigger matched is the old way to write PASSTHRU (section 10), and
        // an alias of the stage's name to itself could only loop.
        Action::Redirect(target) if target.as_ref() == name || Some(target.as_ref()) == own => {
            Response::Passthru
        }
        Action::Redirect(target) => Response::Alias(Cow::Borrowed(target)),
        Action::RedirectBelow(target) => match target.as_ref().with_prefix(name) {
            Ok(target) => Response::Alias(Cow::Owned(target)),
            Err(_) => Response::TooLong,
        },
    })
}

/// Whether local data has anything but NODATA for a type (sections 3.6 and 6.1).
fn answers(data: &Data, rtype: u16) -> bool {
    rtype == TYPE_ANY || data.iter().any(|set| set.rtype == rtype || set.rtype == TYPE_CNAME)
}
