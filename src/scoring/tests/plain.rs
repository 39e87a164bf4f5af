//! A plain and slow reading of SCORING section 2, straight from the document: names instead of
//! numbers, wide integers, nothing shared with the scorer but the files.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An item of a chain: id and weight.
type Item = (String, i128);

/// `rdiv(n,d) = sign(n)·((2|n|+d) div 2d)`.
fn rdiv(n: i128, d: i128) -> i128 {
    n.signum() * ((2 * n.abs() + d) / (2 * d))
}

fn int(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from)
}

fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or(false)
}

/// The step of a table that a value falls into; bounds are exclusive.
fn band(table: &Value, value: i128) -> i128 {
    let steps = table.as_array().unwrap();
    let step = steps.iter().find(|step| int(&step[0]).is_none_or(|bound| value < bound));
    int(&step.unwrap()[1]).unwrap()
}

/// The reading of one case.
pub struct Plain<'a> {
    model: &'a Value,
    facts: &'a Value,
    previous: &'a Value,
    /// Extra sources: id → (like, origin).
    overlay: BTreeMap<String, (String, String)>,
    contributions: Vec<(String, i128)>,
}

/// Scores a case of the form of the test vectors and gives what they expect.
pub fn replay(model: &Value, case: &Value) -> Value {
    let mut plain = Plain {
        model,
        facts: &case["facts"],
        previous: &case["prev"],
        overlay: serde_json::from_value(case.get("overlay").cloned().unwrap_or(json!({}))).unwrap(),
        contributions: Vec::new(),
    };
    plain.run(&case["id"])
}

impl Plain<'_> {
    fn kind(&self) -> &str {
        self.facts["type"].as_str().unwrap()
    }

    /// The record of a source: its own, or that of the one it was cloned from.
    fn source(&self, id: &str) -> &Value {
        &self.model["sources"][self.overlay.get(id).map_or(id, |(like, _)| like)]
    }

    /// Equal strings mean verbatim copies; a source is a copy of itself.
    fn origin(&self, id: &str) -> String {
        let declared = match self.overlay.get(id) {
            Some((_, origin)) => Some(origin.clone()),
            None => self.source(id)["origin"].as_str().map(str::to_owned),
        };
        declared.map_or_else(|| format!("itself: {id}"), |origin| format!("origin: {origin}"))
    }

    /// 1000 if equal origin; else pair table; else class table.
    fn coupling(&self, k: &str, j: &str) -> i128 {
        if self.origin(k) == self.origin(j) {
            return 1000;
        }
        let either = |table: &Value, a: &str, b: &str| {
            int(&table[format!("{a}|{b}")]).or(int(&table[format!("{b}|{a}")]))
        };
        let class = |id: &str| self.source(id)["class"].as_str().unwrap().to_owned();
        either(&self.model["pairs"], k, j)
            .or_else(|| either(&self.model["class_pairs"], &class(k), &class(j)))
            .unwrap()
    }

    fn weight(&self, id: &str, age_h: i128) -> i128 {
        let source = self.source(id);
        let Some(knots) = source["knots"][self.kind()].as_array() else { return 0 };
        let span = 6 * int(&source["half_life_h"][self.kind()]).unwrap();
        let a = (age_h - int(&source["grace_h"]).unwrap_or(48)).max(0);
        if a >= span {
            return 0;
        }
        let x = a * 32 * 1024 / span;
        let (i, f) = ((x >> 10) as usize, x & 1023);
        rdiv(int(&knots[i]).unwrap() * (1024 - f) + int(&knots[i + 1]).unwrap() * f, 1024)
    }

    fn direct_items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        for listing in self.facts["lists"].as_array().into_iter().flatten() {
            let id = listing["source"].as_str().unwrap();
            let shielded = flag(&self.facts["multi_tenant"])
                || flag(&self.facts["multi_tenant_apex"])
                || int(&self.facts["rank30"]).is_some_and(|rank| rank <= 1_000_000);
            if flag(&listing["quarantined"]) || (flag(&listing["url"]) && shielded) {
                continue;
            }
            let times = if flag(&self.facts["parked"]) { 3 } else { 1 };
            let weight = self.weight(id, int(&listing["age_h"]).unwrap_or(0) * times);
            items.push((id.to_owned(), weight.max(0)));
        }
        self.virus_total(&mut items);
        let linear = |weight: i128, age: i128, grace: i128, tau: i128| {
            let a = (age - grace).max(0);
            if a >= tau { 0 } else { rdiv(weight * (tau - a), tau) }
        };
        let (apivoid, tip) = (&self.facts["apivoid"], &self.facts["tip"]);
        if apivoid.is_object() {
            let table = &self.model["apivoid"];
            let weight = band(&table["detections"], int(&apivoid["detections"]).unwrap_or(0));
            let age = int(&apivoid["age_h"]).unwrap_or(0);
            items.push((
                "apivoid".to_owned(),
                linear(weight, age, 72, int(&table["tau_h"]).unwrap()),
            ));
        }
        if let Some(hit) = tip["malware_db_hit"].as_bool() {
            let table = &self.model["tip"];
            let weight =
                int(&table[if hit { "malware_db_hit" } else { "malware_db_clean" }]).unwrap();
            let age = int(&tip["age_h"]).unwrap_or(0);
            items.push(("tip".to_owned(), linear(weight, age, 72, int(&table["tau_h"]).unwrap())));
        }
        if let Some(ratio) = int(&self.facts["asn_local_log_ratio"])
            && self.kind() != "domain"
        {
            items.push(("local_rank".to_owned(), ratio.clamp(-300, 1500)));
        }
        if let Some(q) = int(&self.facts["bgpranking_q_ppm"]) {
            // "≤ 0.1 %": the bounds are inclusive here.
            items.push(("bgpranking".to_owned(), band(&self.model["bgpranking"]["q_ppm"], q - 1)));
        }
        items
    }

    fn virus_total(&self, items: &mut Vec<Item>) {
        let vt = &self.facts["vt"];
        if !vt.is_object() {
            return;
        }
        let table = &self.model["vt"];
        let count = |key: &str| int(&vt[key]).unwrap_or(0);
        let h = (2 * count("malicious") + count("suspicious") - 2 * count("dup_engines")).max(0);
        let engines =
            count("malicious") + count("suspicious") + count("harmless") + count("undetected");
        let age = count("age_h");
        if h > 0 {
            let tau = int(&table["tau_h"]).unwrap();
            let a = (age - 72).max(0);
            let weight = band(&table["half_units"], h);
            items.push(("vt".to_owned(), if a >= tau { 0 } else { rdiv(weight * (tau - a), tau) }));
        } else if engines >= int(&table["min_engines"]).unwrap() {
            let mature = int(&vt["seen_h_before_analysis"]).is_some_and(|seen| seen >= 24);
            let weight = int(&table[if mature { "clean_mature" } else { "clean_fresh" }]).unwrap();
            let tau = int(&table["tau_clean_h"]).unwrap();
            items.push((
                "vt".to_owned(),
                if age >= tau { 0 } else { rdiv(weight * (tau - age), tau) },
            ));
        }
        let (m, g) = (count("votes_malicious"), count("votes_harmless"));
        items.push(("vt_votes".to_owned(), 300 * (m - g) / (m + g + 5)));
    }

    /// One sign of a channel in chain order, with the factor of each item.
    fn chain(
        &self,
        items: &[Item],
        positive: bool,
        stage: &dyn Fn(&str) -> i128,
        coupling: &dyn Fn(&str, &str) -> i128,
        origin: &dyn Fn(&str) -> String,
    ) -> Vec<(Item, i128)> {
        let mut chain: Vec<Item> =
            items.iter().filter(|(_, w)| if positive { *w > 0 } else { *w < 0 }).cloned().collect();
        chain.sort_by_key(|(id, w)| (stage(id), -w.abs(), id.clone()));
        let mut seen: Vec<Item> = Vec::new();
        let mut origins: Vec<String> = Vec::new();
        let mut done = Vec::new();
        for (id, w) in chain {
            let mut factor = 1_000_000;
            if origins.contains(&origin(&id)) {
                factor = 0;
            }
            for (other, weight) in &seen {
                let ce = coupling(&id, other) * weight.abs().min(w.abs()) / w.abs();
                factor = factor * (1000 - ce) / 1000;
            }
            origins.push(origin(&id));
            if factor >= 50_000 {
                seen.push((id.clone(), w));
            }
            done.push(((id, w), factor));
        }
        done
    }

    fn add(&mut self, id: &str, mban: i128) {
        self.contributions.push((id.to_owned(), mban));
    }

    fn cap(&mut self, sum: i128, limit: i128, id: &str) {
        let beyond = if limit > 0 { sum.min(limit) - sum } else { sum.max(limit) - sum };
        self.add(id, beyond);
    }

    /// Adds the direct channel; gives the positive chain and its sum.
    fn direct(&mut self) -> (Vec<Item>, i128) {
        let items = self.direct_items();
        let (mut kept, mut sums) = (Vec::new(), [0, 0]);
        for (at, positive) in [(0, true), (1, false)] {
            let stage = |id: &str| int(&self.source(id)["stage"]).unwrap_or(0);
            let done = self.chain(&items, positive, &stage, &|k, j| self.coupling(k, j), &|id| {
                self.origin(id)
            });
            for ((id, w), factor) in done {
                let mban = rdiv(w * factor, 1_000_000);
                sums[at] += mban;
                self.add(&id, mban);
                if positive {
                    kept.push((id, w));
                }
            }
        }
        let caps = &self.model["caps"];
        self.cap(sums[0], int(&caps["direct_pos"]).unwrap(), "cap.direct+");
        self.cap(sums[1], int(&caps["direct_neg"]).unwrap(), "cap.direct-");
        (kept, sums[0].min(int(&caps["direct_pos"]).unwrap()))
    }

    fn diversity(&self, positive: &[Item]) -> i128 {
        let mut groups: Vec<(String, i128)> = Vec::new();
        for (id, _) in positive.iter().filter(|(_, w)| *w >= 500) {
            let mut g = 1_000_000;
            for (other, _) in groups.iter().filter(|(_, g)| *g >= 50_000) {
                g = g * (1000 - self.coupling(id, other)) / 1000;
            }
            let copied = groups.iter().any(|(other, _)| self.origin(other) == self.origin(id));
            if copied && flag(&self.model["guards"]["distinct_origins"]) {
                g = 0;
            }
            groups.push((id.clone(), g));
        }
        groups.iter().map(|(_, g)| g).sum()
    }

    fn prediction(&self) -> i128 {
        let max = int(&self.model["prediction"]["max"]).unwrap_or(2400);
        int(&self.facts["prediction"]).unwrap_or(0).clamp(0, max)
    }

    fn context(&mut self) {
        let mut items: Vec<Item> = Vec::new();
        for (id, fact, table) in [
            ("age", "age_days", "age_days"),
            ("nod", "nod_hours", "nod_hours"),
            ("popularity", "rank30", "rank30"),
        ] {
            if let Some(value) = int(&self.facts[fact]) {
                items.push((id.to_owned(), band(&self.model[table], value)));
            }
        }
        if flag(&self.facts["local_history"]) {
            items.push(("local_history".to_owned(), int(&self.model["local_history"]).unwrap()));
        }
        items.push(("prediction".to_owned(), self.prediction()));
        let coupling = |k: &str, j: &str| match (k, j) {
            ("age", "nod") | ("nod", "age") => 800,
            _ => 500,
        };
        for positive in [true, false] {
            for ((id, w), factor) in
                self.chain(&items, positive, &|_| 0, &coupling, &|id| id.to_owned())
            {
                self.add(&id, rdiv(w * factor, 1_000_000));
            }
        }
    }

    fn infrastructure(&mut self) {
        let infra = &self.facts["infra"];
        let suppressed = flag(&self.facts["sinkholed"]) || flag(&self.facts["parked"]);
        if self.kind() != "domain" || suppressed {
            return;
        }
        let mut items: Vec<Item> = Vec::new();
        let mut host = [0; 3];
        if infra["host"].is_object() {
            let mut above = 0;
            for (at, level) in ["asn", "prefix", "ip"].into_iter().enumerate() {
                above = int(&infra["host"][level]).map_or(above, |w| w.clamp(-400, 1200));
                host[at] = above;
            }
            items.push(("host".to_owned(), host[2]));
        }
        if let Some(ns) = int(&infra["ns"]) {
            let large = flag(&infra["ns_large"]);
            let w = if large { ns.clamp(-100, 200) } else { ns.clamp(-400, 1000) };
            items.push(("ns".to_owned(), w));
        }
        if let Some(siblings) = int(&infra["siblings"]) {
            items.push(("siblings".to_owned(), siblings.clamp(0, 1000)));
        }
        for (positive, cap, id) in
            [(true, "infra_pos", "cap.infra+"), (false, "infra_neg", "cap.infra-")]
        {
            let mut sum = 0;
            for ((id, w), factor) in
                self.chain(&items, positive, &|_| 0, &|_, _| 500, &|id| id.to_owned())
            {
                sum += rdiv(w * factor, 1_000_000);
                if id != "host" {
                    self.add(&id, rdiv(w * factor, 1_000_000));
                    continue;
                }
                let [asn, prefix, ip] = host.map(|w| rdiv(w * factor, 1_000_000));
                self.add("host.asn", asn);
                self.add("host.prefix", prefix - asn);
                self.add("host.ip", ip - prefix);
            }
            self.cap(sum, int(&self.model["caps"][cap]).unwrap(), id);
        }
    }

    fn threshold(&self, score: i128) -> usize {
        let (level, held_h, _) = self.previous();
        let steps = &self.model["thresholds"];
        let holds = |at: &usize| {
            let step = &steps[LEVELS[*at]];
            *at == 0
                || score >= int(&step["on"]).unwrap()
                || (level >= *at && score >= int(&step["off"]).unwrap())
        };
        let reached = (0..4).rev().find(holds).unwrap();
        if reached < level && held_h < int(&steps["min_dwell_h"]).unwrap() {
            level
        } else {
            reached
        }
    }

    /// Level, hours held, changes.
    fn previous(&self) -> (usize, i128, i128) {
        let level = |value: &Value| {
            LEVELS.iter().position(|word| value.as_str() == Some(word)).unwrap_or(0)
        };
        match self.previous {
            Value::Object(held) => (
                level(&held["level"]),
                int(&held["held_h"]).unwrap(),
                int(&held["changes"]).unwrap(),
            ),
            word => (level(word), i128::MAX, 0),
        }
    }

    /// The table of 2.9 from top to bottom, parked last.
    fn guards(&self, reached: usize, positive: &[Item], sum: i128) -> (usize, Vec<String>) {
        let (mut level, mut guards) = (reached, Vec::new());
        let facts = self.facts;
        match facts["admin"].as_str() {
            Some("deny") => return (3, vec!["G0 admin deny".to_owned()]),
            Some("allow") => return (0, vec!["G0 admin allow".to_owned()]),
            _ => {}
        }
        if flag(&facts["special"]) {
            return (0, vec!["G1 special use".to_owned()]);
        }
        let mut lower = |guards: &mut Vec<String>, to: usize, name: &str, applies: bool| {
            if applies && level > to {
                guards.push(format!("{name}: {}->{}", LEVELS[level], LEVELS[to]));
                level = to;
            }
        };
        let rank = int(&facts["rank30"]).unwrap_or(i128::MAX);
        let domain = self.kind() == "domain";
        lower(&mut guards, 0, "G2 public suffix", flag(&facts["public_suffix"]));
        lower(&mut guards, 0, "G3 critical", flag(&facts["critical"]));
        let shared = int(&facts["hosted_domains"]).unwrap_or(0) >= 50
            || int(&facts["hosted_popular"]).unwrap_or(0) >= 1
            || flag(&facts["shared_range"]);
        lower(&mut guards, 1, "G4 shared address", shared && !domain);
        lower(&mut guards, 1, "G4 multi-tenant apex", domain && flag(&facts["multi_tenant_apex"]));
        let share = int(&facts["traffic_share_ppm"]).unwrap_or(0);
        lower(&mut guards, 1, "G5 traffic share", share >= 1000);
        if flag(&facts["sinkholed"]) {
            guards.push("G6 sinkholed: alert infected client; no propagation".to_owned());
        }
        lower(&mut guards, 1, "G8 popular", rank <= 100_000);
        lower(&mut guards, 1, "G8 no popularity list", flag(&facts["no_popularity_list"]));
        let groups: Vec<&Item> = positive.iter().filter(|(_, w)| *w >= 500).collect();
        let strong = int(&self.model["prediction"]["strong"]).unwrap_or(1000);
        let bonus = int(&self.model["prediction"]["diversity_ppm"]).unwrap_or(400_000);
        let generic = !groups.is_empty()
            && groups.iter().all(|(id, _)| flag(&self.source(id)["generic"]))
            && self.prediction() < strong;
        lower(&mut guards, 1, "G9 generic lists alone", generic);
        let seen = if self.prediction() >= strong { bonus } else { 0 };
        if self.diversity(positive) + seen < 1_300_000 {
            let tier_a = positive.iter().any(|(id, _)| self.source(id)["tier"] == "A");
            let established = int(&facts["age_days"]).is_some_and(|days| days >= 365)
                || rank <= 1_000_000
                || flag(&facts["local_history"]);
            let below = flag(&facts["below_registrable"])
                && flag(&self.model["guards"]["tier_a_redirects_hosts"]);
            let to = if tier_a && below { 2 } else { 1 };
            lower(&mut guards, to, "G9 established", established);
            lower(&mut guards, 2, "G9 one group", !established && !tier_a);
        }
        lower(&mut guards, 1, "G10 no direct evidence", sum < 500);
        lower(&mut guards, 1, "G7 parked", flag(&facts["parked"]));
        (level, guards)
    }

    fn run(&mut self, id: &Value) -> Value {
        let prior = int(&self.model["prior"][self.kind()]).unwrap();
        let (positive, sum) = self.direct();
        self.context();
        self.infrastructure();
        let score: i128 = prior + self.contributions.iter().map(|(_, mban)| mban).sum::<i128>();
        let (mut level, guards) = self.guards(self.threshold(score), &positive, sum);
        let (before, _, changes) = self.previous();
        let decided = self.facts["admin"].is_string() || flag(&self.facts["special"]);
        let changes_max = int(&self.model["thresholds"]["changes_max"]).unwrap_or(4);
        if !decided && changes >= changes_max {
            level = level.min(before);
        }
        let mut listed = std::mem::take(&mut self.contributions);
        listed.retain(|(_, mban)| *mban != 0);
        listed.sort_by_key(|(id, mban)| (-mban.abs(), id.clone()));
        listed.insert(0, ("prior".to_owned(), prior));
        let listed: Vec<Value> =
            listed.into_iter().map(|(id, mban)| json!([id, mban as i64])).collect();
        json!({
            "id": id,
            "S": score as i64,
            "action": LEVELS[level],
            "guards": guards,
            "diversity_ppm": self.diversity(&positive) as i64,
            "contributions": listed,
        })
    }
}

const LEVELS: [&str; 4] = ["allow", "monitor", "redirect", "block"];
