//! Record data: which action it stands for, and back (draft section 3).

use super::{RESERVED_PREFIX, Unusable, Unwritable, rdata};
use crate::model::{Action, NameBuffer, NameRef, RrSet};

/// Actions that are one CNAME record, with their targets in lookup form.
const TARGETS: [(Action, &[u8]); 5] = [
    (Action::NxDomain, b""),
    (Action::NoData, b"*\0"),
    (Action::Passthru, b"rpz-passthru\0"),
    (Action::Drop, b"rpz-drop\0"),
    (Action::TcpOnly, b"rpz-tcp-only\0"),
];

/// The data of a CNAME record that says PASSTHRU.
pub(super) const PASSTHRU_RDATA: &[u8] = b"\x0crpz-passthru\0";

/// The most records of one type at an owner. BIND from 9.18.28 on refuses a whole zone over one
/// such set with more (`max-records-per-type`).
pub const SET_RECORDS_MAX: usize = 100;

/// The action of a CNAME record by its data. A target that is the trigger's own name means
/// PASSTHRU (section 10); that is for the caller to see, who knows the trigger.
pub fn read_cname(data: &[u8]) -> Result<Action, Unusable> {
    let mut target = NameBuffer::default();
    if target.read_wire(data, 0) != Ok(data.len()) {
        return Err(Unusable::Malformed(rdata::CNAME));
    }
    let key = target.as_ref().key();
    if let Some((action, _)) = TARGETS.iter().find(|(_, known)| *known == key) {
        return Ok(action.clone());
    }
    if key.starts_with(RESERVED_PREFIX) {
        return Err(Unusable::UnknownAction(target.to_name()));
    }
    Ok(match super::owner::strip_wildcard(key) {
        Some(parent) => Action::RedirectBelow(NameRef::from_key(parent).to_owned()),
        None => Action::Redirect(target.to_name()),
    })
}

/// Appends the data of the CNAME record that stands for an action; false for local data, which
/// is no CNAME.
pub fn write_cname(action: &Action, out: &mut Vec<u8>) -> Result<bool, Unwritable> {
    if let Some((_, key)) = TARGETS.iter().find(|(known, _)| known == action) {
        NameRef::from_key(key).write_wire(out);
        return Ok(true);
    }
    let (name, wildcard) = match action {
        Action::Redirect(name) => (name.as_ref(), false),
        Action::RedirectBelow(name) => (name.as_ref(), true),
        _ => return Ok(false),
    };
    let mut target = NameBuffer::default();
    let labels = if wildcard { target.push_label(b"*") } else { Ok(()) };
    labels.and_then(|()| target.push_name(name)).map_err(|_| Unwritable::TargetTooLong)?;
    let key = target.as_ref().key();
    let another = key.starts_with(RESERVED_PREFIX)
        || TARGETS.iter().any(|(_, known)| *known == key)
        || (!wildcard && super::owner::strip_wildcard(key).is_some());
    if another {
        return Err(Unwritable::AnotherAction);
    }
    target.as_ref().write_wire(out);
    Ok(true)
}

/// Whether local data can be written: sets in order of their types, no type that is never a rule,
/// no alias, and records in order, few enough and as their type asks for. Resolvers refuse a whole
/// zone over one malformed record.
pub fn check_data(sets: &[RrSet]) -> Result<(), Unwritable> {
    if sets.is_empty() || !sets.is_sorted_by(|a, b| a.rtype < b.rtype) {
        return Err(Unwritable::DataOrder);
    }
    for set in sets {
        if set.rtype == rdata::CNAME || !rdata::may_be_rule(set.rtype) {
            return Err(Unwritable::DataType(set.rtype));
        }
        if set.rdata.is_empty() || !set.rdata.is_sorted_by(|a, b| a < b) {
            return Err(Unwritable::DataOrder);
        }
        if set.rdata.len() > SET_RECORDS_MAX {
            return Err(Unwritable::TooManyRecords(set.rtype));
        }
        let mut read = Vec::new();
        for data in &set.rdata {
            read.clear();
            if !rdata::read(set.rtype, data, 0, data.len(), &mut read) || *read != **data {
                return Err(Unwritable::MalformedData(set.rtype));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    fn rdata(target: &str) -> Vec<u8> {
        Name::from_presentation(target).unwrap().as_ref().to_wire()
    }

    #[test]
    fn targets_stand_for_the_actions_of_section_3_and_back() {
        let garden = || Name::from_presentation("garden.test").unwrap();
        for (target, action) in [
            (".", Action::NxDomain),
            ("*", Action::NoData),
            ("rpz-passthru", Action::Passthru),
            ("RPZ-drop", Action::Drop),
            ("rpz-tcp-only", Action::TcpOnly),
            ("garden.test", Action::Redirect(garden())),
            ("*.garden.test", Action::RedirectBelow(garden())),
        ] {
            let data = rdata(target);
            assert_eq!(read_cname(&data), Ok(action.clone()), "{target}");
            let mut written = Vec::new();
            assert_eq!(write_cname(&action, &mut written), Ok(true));
            assert_eq!(written, data.to_ascii_lowercase());
        }
        assert_eq!(rdata("rpz-passthru"), PASSTHRU_RDATA);
    }

    #[test]
    fn an_unknown_action_is_no_alias() {
        for target in ["rpz-log", "x.rpz-passthru"] {
            let unknown = Unusable::UnknownAction(Name::from_presentation(target).unwrap());
            assert_eq!(read_cname(&rdata(target)), Err(unknown));
        }
        assert_eq!(read_cname(b"\x01a"), Err(Unusable::Malformed(rdata::CNAME)));
    }

    #[test]
    fn local_data_that_others_would_refuse_is_not_written() {
        let set = |rtype, rdata: &[&[u8]]| RrSet {
            rtype,
            ttl: 60,
            rdata: rdata.iter().map(|r| (*r).into()).collect(),
        };
        let v4 = |last| [192, 0, 2, last];
        let many: Vec<[u8; 4]> = (0..101).map(v4).collect();
        let many: Vec<&[u8]> = many.iter().map(|r| &r[..]).collect();
        let one = set(rdata::A, &[&v4(1)]);
        assert_eq!(check_data(&[one.clone(), set(rdata::TXT, &[b"\x01x"])]), Ok(()));
        for (sets, error) in [
            (vec![], Unwritable::DataOrder),
            (vec![set(rdata::A, &[])], Unwritable::DataOrder),
            (vec![set(rdata::TXT, &[b"\x01x"]), one.clone()], Unwritable::DataOrder),
            (vec![one.clone(), one.clone()], Unwritable::DataOrder),
            (vec![set(rdata::A, &[&v4(2), &v4(1)])], Unwritable::DataOrder),
            (vec![set(rdata::A, &[b"\x01"])], Unwritable::MalformedData(rdata::A)),
            (vec![set(rdata::PTR, &[b"\x01X\0"])], Unwritable::MalformedData(rdata::PTR)),
            (vec![set(rdata::CNAME, &[b"\0"])], Unwritable::DataType(rdata::CNAME)),
            (vec![set(rdata::NS, &[b"\0"])], Unwritable::DataType(rdata::NS)),
            (vec![set(rdata::A, &many)], Unwritable::TooManyRecords(rdata::A)),
        ] {
            assert_eq!(check_data(&sets), Err(error), "{sets:?}");
        }
        assert_eq!(check_data(&[set(rdata::A, &many[1..])]), Ok(()));
    }

    #[test]
    fn an_alias_that_would_read_as_another_action_is_not_written() {
        let name = |text: &str| Name::from_presentation(text).unwrap();
        for action in [
            Action::Redirect(Name::root()),
            Action::Redirect(name("*.garden.test")),
            Action::Redirect(name("rpz-drop")),
            Action::RedirectBelow(Name::root()),
            Action::RedirectBelow(name("rpz-drop")),
        ] {
            let refused = write_cname(&action, &mut Vec::new());
            assert_eq!(refused, Err(Unwritable::AnotherAction), "{action:?}");
        }
        let long = name(&("a.".repeat(126) + "a"));
        let refused = write_cname(&Action::RedirectBelow(long), &mut Vec::new());
        assert_eq!(refused, Err(Unwritable::TargetTooLong));
    }
}
