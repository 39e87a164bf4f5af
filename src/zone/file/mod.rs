//! Zones as text: master files (RFC 1035 section 5) read record by record and written back.
//!
//! [`RecordReader`] gives records in constant memory, [`load`] makes a zone of them and says what
//! was left out and why, [`write_zone`] writes a zone so that it reads back the same.

mod lines;
mod read;
mod text;
mod write;

use std::io::{self, BufRead};
use std::sync::Arc;

pub use read::{Entry, INCLUDE_DEPTH_MAX, Include, RecordReader};
pub use write::{SKIPPED_KEPT_MAX, WriteReport, write_zone};

use super::record::{Clash, ClashReason, Collector, Op, Unusable, rdata};
use super::{Serial, Soa, Zone};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::{Name, NameError};

/// How much a file may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one record, over all its lines.
    pub record_octets_max: usize,
    /// Records in all.
    pub records_max: usize,
    /// Rejects that are kept; further ones are only counted.
    pub rejects_kept_max: usize,
}

impl Default for Limits {
    /// 512 KiB hold any record: 65,535 octets at up to eight characters each. 50 million records
    /// are several times the largest lists. 100 rejects are enough to see what is wrong.
    fn default() -> Self {
        Self { record_octets_max: 512 << 10, records_max: 50_000_000, rejects_kept_max: 100 }
    }
}

/// Why a line is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A string in quotes that goes on to the next line.
    #[error("a quote that is not closed on its line")]
    OpenQuote,
    /// The file ends inside parentheses.
    #[error("a parenthesis that is not closed")]
    OpenParenthesis,
    /// A closing parenthesis too many.
    #[error("a closing parenthesis without an opening one")]
    StrayParenthesis,
    /// More octets than [`Limits::record_octets_max`].
    #[error("a record of more than {0} octets")]
    TooLong(usize),
    /// Not a domain name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A string where a name belongs.
    #[error("a name cannot stand in quotes")]
    QuotedName,
    /// A line that starts with a blank, and no line before it has an owner.
    #[error("no owner, and none before to take it from")]
    NoOwner,
    /// No TTL anywhere.
    #[error("no TTL, and neither $TTL nor a record before to take it from")]
    NoTtl,
    /// Not a number of seconds up to 2³¹ - 1, with or without units.
    #[error("not a time to live")]
    Ttl,
    /// A class other than IN.
    #[error("class {0}, and policy zones are of class IN")]
    Class(String),
    /// The line ends before the record type.
    #[error("no record type")]
    MissingType,
    /// A word that is no type that is known.
    #[error("unknown record type `{0}`")]
    UnknownType(String),
    /// The line ends before all data came.
    #[error("record data is missing")]
    MissingData,
    /// Fields after the data.
    #[error("`{0}` after the end of the record")]
    ExtraData(String),
    /// Data that its type does not have.
    #[error("malformed {} record data: {detail}", rdata::type_name(*.rtype))]
    Malformed {
        /// The type.
        rtype: u16,
        /// What is wrong.
        detail: String,
    },
    /// A type that only the generic form can write.
    #[error("{} record data can be given as `\\# length hexadecimal` only", rdata::type_name(*.0))]
    NoTextForm(u16),
    /// A directive that is not RFC 1035's or RFC 2308's.
    #[error("unknown directive `{0}`")]
    Directive(String),
    /// `$INCLUDE` where no other file may be read.
    #[error("$INCLUDE is not allowed here")]
    IncludeRefused,
    /// More than [`INCLUDE_DEPTH_MAX`] files inside one another.
    #[error("more than {INCLUDE_DEPTH_MAX} files include one another")]
    IncludeDepth,
    /// The file to include cannot be opened.
    #[error("cannot include `{path}`: {reason}")]
    Include {
        /// As it was written.
        path: String,
        /// What the system says.
        reason: String,
    },
}

/// Why a record was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// It is no rule.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It cannot stand beside an earlier one.
    #[error("{reason}; the record of line {kept} stays")]
    Clash {
        /// Why not.
        reason: ClashReason,
        /// The line of the one that stays.
        kept: u32,
    },
}

/// A record that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The included file that it stands in; none for the file itself.
    pub file: Option<Arc<str>>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub problem: Problem,
}

impl Reject {
    /// As a finding for people. `file` is what the file itself is called.
    pub fn diagnostic(&self, file: &str) -> Diagnostic {
        let place = Place {
            file: self.file.as_deref().unwrap_or(file).to_owned(),
            line: self.line as usize,
            column: self.column as usize,
        };
        Diagnostic::warning(format!("record left out: {}", self.problem)).at(place)
    }
}

/// The time to live of records in a file that says nothing about it. Unbound's default.
pub const TTL_ASSUMED_SECONDS: u32 = 3_600;

/// What came of loading a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Records that were read, those left out included.
    pub records: usize,
    /// How many were left out.
    pub rejected: usize,
    /// How many of these because their owner is not in the zone.
    pub out_of_zone: usize,
    /// The first of them, up to [`Limits::rejects_kept_max`].
    pub rejects: Vec<Reject>,
    /// Whether the zone has no SOA, and got [one of ours](Soa::ours) with the serial 1.
    pub is_soa_assumed: bool,
    /// Whether a record had no TTL from anywhere, and got [`TTL_ASSUMED_SECONDS`].
    pub is_ttl_assumed: bool,
}

impl LoadReport {
    /// The findings for people. `file` is what the file itself is called.
    pub fn diagnostics(&self, file: &str) -> Vec<Diagnostic> {
        let start = || Place { file: file.to_owned(), line: 1, column: 1 };
        let mut found: Vec<Diagnostic> = self.rejects.iter().map(|r| r.diagnostic(file)).collect();
        if self.is_soa_assumed {
            let finding = Diagnostic::warning("the zone has no SOA record, and gets one of ours");
            found.push(
                finding
                    .at(start())
                    .hint("begin with `@ 60 SOA localhost. nobody.invalid. 1 3600 600 2592000 60`"),
            );
        }
        if self.is_ttl_assumed {
            let text = format!("records without a TTL get {TTL_ASSUMED_SECONDS} seconds");
            found.push(Diagnostic::warning(text).at(start()).hint("begin with `$TTL 60`"));
        }
        found
    }

    /// Whether there are rules, and nothing of what is broken is an SOA.
    fn is_of_rules(&self) -> bool {
        let is_soa = |reject: &Reject| {
            matches!(
                reject.problem,
                Problem::Syntax(SyntaxError::Malformed { rtype: rdata::SOA, .. })
            )
        };
        self.records > self.rejected && !self.rejects.iter().any(is_soa)
    }

    fn reject(&mut self, limits: &Limits, reject: impl FnOnce() -> Reject) {
        self.rejected += 1;
        if self.rejects.len() < limits.rejects_kept_max {
            self.rejects.push(reject());
        }
    }
}

/// Why a file is no zone.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read to its end.
    #[error("cannot read the zone: {0}")]
    Io(#[from] io::Error),
    /// No SOA at the zone's name.
    #[error("the zone has no SOA record at its own name, `{origin}.`")]
    NoSoa {
        /// The zone's name.
        origin: Name,
        /// An SOA that stands at another name.
        elsewhere: Option<Name>,
        /// What was read all the same.
        report: Box<LoadReport>,
    },
    /// More records than [`Limits::records_max`].
    #[error("the zone has more than {0} records")]
    TooManyRecords(usize),
}

impl LoadError {
    /// As a finding for people.
    pub fn diagnostic(&self) -> Diagnostic {
        let finding = Diagnostic::error(self.to_string());
        match self {
            Self::NoSoa { elsewhere: Some(name), .. } => {
                finding.hint(format!("there is one for `{name}.`; is that the zone's name?"))
            }
            Self::NoSoa { report, .. } => match report.rejects.first() {
                Some(reject) => {
                    finding.hint(format!("line {} was left out: {}", reject.line, reject.problem))
                }
                None => finding.hint("the first record of a zone is its SOA"),
            },
            _ => finding,
        }
    }
}

/// Reads a zone from a master file. Records that are broken, are no rules or clash with earlier
/// ones are left out and reported; the rest is the zone. A file of rules alone, without SOA or TTL,
/// as Unbound takes it, is a zone too, and the report says so. The seed keys the zone's hash tables.
pub fn load(
    input: impl BufRead,
    origin: &Name,
    hash_seed: u64,
    limits: &Limits,
) -> Result<(Zone, LoadReport), LoadError> {
    load_records(RecordReader::new(input, origin.clone(), limits), origin, hash_seed, limits)
}

/// As [`load`], from a reader that may include other files.
pub fn load_records(
    reader: RecordReader<'_>,
    origin: &Name,
    hash_seed: u64,
    limits: &Limits,
) -> Result<(Zone, LoadReport), LoadError> {
    let mut reader = reader.assuming_ttl(TTL_ASSUMED_SECONDS);
    let mut report = LoadReport::default();
    let mut collector = Collector::new(origin.clone());
    let mut elsewhere = None;
    while let Some(read) = reader.next()? {
        report.records += 1;
        if report.records > limits.records_max {
            return Err(LoadError::TooManyRecords(limits.records_max));
        }
        let Entry { record, line } = match read {
            Ok(entry) => entry,
            Err(reject) => {
                report.reject(limits, || reject);
                continue;
            }
        };
        let (owner, rtype) = (record.owner, record.rtype);
        let Err(problem) = collector.push(record, Op::Add, line) else { continue };
        if rtype == rdata::SOA && elsewhere.is_none() {
            elsewhere = Some(owner.to_owned());
        }
        report.out_of_zone += usize::from(problem == Unusable::OutOfZone);
        report.reject(limits, || Reject {
            file: reader.file(),
            line,
            column: 1,
            problem: problem.into(),
        });
    }
    report.is_ttl_assumed = reader.is_ttl_assumed();
    let soa = collector.soa().cloned().or_else(|| {
        report.is_soa_assumed = elsewhere.is_none() && report.is_of_rules();
        report.is_soa_assumed.then(|| Soa::ours(Serial(1)))
    });
    let Some(soa) = soa else {
        let report = Box::new(report);
        return Err(LoadError::NoSoa { origin: origin.clone(), elsewhere, report });
    };
    finish(collector, soa, hash_seed, limits, report)
}

fn finish(
    collector: Collector,
    soa: Soa,
    hash_seed: u64,
    limits: &Limits,
    mut report: LoadReport,
) -> Result<(Zone, LoadReport), LoadError> {
    let mut clash = |clash: Clash| {
        let Clash { reason, kept, dropped, .. } = clash;
        report.reject(limits, || Reject {
            file: None,
            line: dropped,
            column: 1,
            problem: Problem::Clash { reason, kept },
        });
    };
    let zone = collector.finish(soa, hash_seed, None, &mut clash);
    let zone = zone.expect("a file only adds records");
    Ok((zone, report))
}

#[cfg(test)]
mod tests;
