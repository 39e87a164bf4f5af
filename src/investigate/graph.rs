//! The connections of a dossier as a graph, with a picture of it that needs no program: names,
//! addresses, networks, AS, name servers, certificates, files and URLs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Dossier;
use crate::model::lookup::Fact;

/// A picture with more nodes cannot be read; what is beyond is counted.
pub const NODES_MAX: usize = 120;
/// A label longer than this is cut in the picture.
const LABEL_CHARS_MAX: usize = 36;
/// Nodes of one ring before the next begins.
const RING_NODES: usize = 18;
/// Between two rings, in pixels.
const RING_PIXELS: f64 = 150.0;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A name.
    Name,
    /// An address.
    Address,
    /// A prefix.
    Prefix,
    /// An autonomous system.
    System,
    /// A name server.
    NameServer,
    /// A mail server.
    MailServer,
    /// A certificate.
    Certificate,
    /// A file.
    File,
    /// A URL.
    Url,
}

impl NodeKind {
    /// All kinds.
    pub const ALL: [NodeKind; 9] = [
        Self::Name,
        Self::Address,
        Self::Prefix,
        Self::System,
        Self::NameServer,
        Self::MailServer,
        Self::Certificate,
        Self::File,
        Self::Url,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Address => "address",
            Self::Prefix => "prefix",
            Self::System => "as",
            Self::NameServer => "name-server",
            Self::MailServer => "mail-server",
            Self::Certificate => "certificate",
            Self::File => "file",
            Self::Url => "url",
        }
    }

    /// Its colour in the picture, distinguishable also for those who see few colours (Okabe and
    /// Ito).
    pub const fn colour(self) -> &'static str {
        match self {
            Self::Name => "#0072b2",
            Self::Address => "#e69f00",
            Self::Prefix => "#f0e442",
            Self::System => "#009e73",
            Self::NameServer => "#56b4e9",
            Self::MailServer => "#8c8ccf",
            Self::Certificate => "#cc79a7",
            Self::File => "#d55e00",
            Self::Url => "#999999",
        }
    }
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// What it is called.
    pub label: String,
}

/// Nodes with their connections, the target first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// From, to, and what the connection is.
    pub edges: Vec<(usize, usize, String)>,
    /// Nodes beyond [`NODES_MAX`].
    pub left_out: usize,
}

#[derive(Default)]
struct Builder {
    graph: Graph,
    known: BTreeMap<(NodeKind, String), usize>,
}

impl Builder {
    fn node(&mut self, kind: NodeKind, label: &str) -> Option<usize> {
        // A name that serves names is one node.
        let label = label.trim_end_matches('.').to_ascii_lowercase();
        if label.is_empty() {
            return None;
        }
        let same = match kind {
            NodeKind::Name | NodeKind::NameServer | NodeKind::MailServer => {
                [NodeKind::Name, NodeKind::NameServer, NodeKind::MailServer]
                    .into_iter()
                    .find_map(|kind| self.known.get(&(kind, label.clone())))
            }
            kind => self.known.get(&(kind, label.clone())),
        };
        if let Some(&at) = same {
            return Some(at);
        }
        if self.graph.nodes.len() == NODES_MAX {
            self.graph.left_out += 1;
            return None;
        }
        let at = self.graph.nodes.len();
        self.known.insert((kind, label.clone()), at);
        self.graph.nodes.push(Node { kind, label });
        Some(at)
    }

    fn edge(&mut self, from: Option<usize>, to: Option<usize>, what: &str) {
        let (Some(from), Some(to)) = (from, to) else { return };
        let known = |(a, b, w): &(usize, usize, String)| {
            w == what && ((*a, *b) == (from, to) || (*a, *b) == (to, from))
        };
        if from != to && !self.graph.edges.iter().any(known) {
            self.graph.edges.push((from, to, what.to_owned()));
        }
    }

    fn system(&mut self, from: Option<usize>, asn: u32, prefix: Option<&String>) {
        let system = self.node(NodeKind::System, &format!("AS{asn}"));
        match prefix {
            Some(prefix) => {
                let prefix = self.node(NodeKind::Prefix, prefix);
                self.edge(from, prefix, "in");
                self.edge(prefix, system, "announced by");
            }
            None => self.edge(from, system, "announced by"),
        }
    }
}

/// The connections of a dossier.
pub fn graph(dossier: &Dossier) -> Graph {
    let mut builder = Builder::default();
    let kind = match dossier.kind.as_str() {
        "address" => NodeKind::Address,
        "prefix" => NodeKind::Prefix,
        "AS" => NodeKind::System,
        "URL" => NodeKind::Url,
        _ => NodeKind::Name,
    };
    let target = builder.node(kind, &dossier.target);
    for (_, _, fact) in dossier.facts() {
        connect(&mut builder, target, fact);
    }
    builder.graph
}

fn connect(b: &mut Builder, target: Option<usize>, fact: &Fact) {
    match fact {
        Fact::Resolution { name, address, .. } => {
            let name = b.node(NodeKind::Name, name);
            let address = b.node(NodeKind::Address, address);
            b.edge(name, address, "resolved to");
        }
        Fact::Record { owner, rtype, value, .. } => {
            let from = match owner {
                Some(owner) => b.node(NodeKind::Name, owner),
                None => target,
            };
            // A preference stands in front of a mail server, a serial and the like behind an SOA.
            let last = value.rsplit(' ').next().unwrap_or(value);
            let (kind, label, what) = match rtype.as_str() {
                "A" | "AAAA" => (NodeKind::Address, value.as_str(), "resolves to"),
                "NS" => (NodeKind::NameServer, value.as_str(), "name server"),
                "MX" => (NodeKind::MailServer, last, "mail server"),
                "CNAME" => (NodeKind::Name, value.as_str(), "alias of"),
                "PTR" => (NodeKind::Name, value.as_str(), "reverse name"),
                _ => return,
            };
            let to = b.node(kind, label);
            b.edge(from, to, what);
        }
        Fact::Origin { address, asn, prefix, .. } => {
            let from = match address {
                Some(address) => b.node(NodeKind::Address, address),
                None => target,
            };
            b.system(from, *asn, prefix.as_ref());
        }
        Fact::Host { name, role, address, asn, prefix, .. } => {
            let kind = match role.to_ascii_lowercase().as_str() {
                "mx" | "mail server" => NodeKind::MailServer,
                "ns" | "name server" => NodeKind::NameServer,
                _ => NodeKind::Name,
            };
            let host = b.node(kind, name);
            b.edge(target, host, role);
            if let Some(address) = address {
                let address = b.node(NodeKind::Address, address);
                b.edge(host, address, "resolves to");
                if let Some(asn) = asn {
                    b.system(address, *asn, prefix.as_ref());
                }
            }
        }
        Fact::Subdomain { name, .. } => {
            let name = b.node(NodeKind::Name, name);
            b.edge(target, name, "subdomain");
        }
        Fact::Neighbour { name } => {
            let name = b.node(NodeKind::Name, name);
            b.edge(target, name, "same address");
        }
        Fact::ReverseName { address, name } => {
            let from = match address {
                Some(address) => b.node(NodeKind::Address, address),
                None => target,
            };
            let name = b.node(NodeKind::Name, name);
            b.edge(from, name, "reverse name");
        }
        Fact::UrlSeen { url, .. } => {
            let url = b.node(NodeKind::Url, url);
            b.edge(target, url, "URL");
        }
        Fact::File { relation, sha256, .. } => {
            let file = b.node(NodeKind::File, sha256);
            b.edge(
                target,
                file,
                match relation {
                    crate::model::lookup::FileRelation::Communicating => "talks to it",
                    crate::model::lookup::FileRelation::Downloaded => "came from it",
                    crate::model::lookup::FileRelation::Referrer => "mentions it",
                },
            );
        }
        Fact::Certificate(certificate) => {
            let label = certificate.sha256.as_ref().or(certificate.serial.as_ref());
            let Some(label) = label else { return };
            if certificate.place.as_deref().is_some_and(|place| place != "end-user") {
                return;
            }
            let node = b.node(NodeKind::Certificate, label);
            b.edge(target, node, "certificate");
            for name in &certificate.names {
                let name = b.node(NodeKind::Name, name);
                b.edge(node, name, "for");
            }
        }
        Fact::Announced { prefix } => {
            let prefix = b.node(NodeKind::Prefix, prefix);
            b.edge(prefix, target, "announced by");
        }
        _ => {}
    }
}

impl Graph {
    /// Where each node stands, in pixels, with the size of the picture: the target in the middle,
    /// what is nearest to it in the inner rings.
    pub fn places(&self) -> (Vec<(f64, f64)>, f64) {
        let mut distance = vec![usize::MAX; self.nodes.len()];
        let mut queue = std::collections::VecDeque::new();
        if let Some(first) = distance.first_mut() {
            *first = 0;
            queue.push_back(0);
        }
        while let Some(at) = queue.pop_front() {
            for (a, b, _) in &self.edges {
                for (here, there) in [(*a, *b), (*b, *a)] {
                    if here == at && distance[there] == usize::MAX {
                        distance[there] = distance[at] + 1;
                        queue.push_back(there);
                    }
                }
            }
        }
        let mut order: Vec<usize> = (1..self.nodes.len()).collect();
        order.sort_by_key(|&at| (distance[at], self.nodes[at].kind));
        let mut places = vec![(0.0, 0.0); self.nodes.len()];
        let (mut ring, mut rest) = (1, order.as_slice());
        while !rest.is_empty() {
            // A ring holds more the wider it is, and nodes of one distance.
            let room = RING_NODES * ring;
            let nearest = distance[rest[0]];
            let here = rest.iter().take(room).take_while(|&&at| distance[at] == nearest).count();
            for (turn, &at) in rest[..here].iter().enumerate() {
                let angle =
                    std::f64::consts::TAU * (turn as f64 + 0.5 * (ring % 2) as f64) / here as f64;
                let radius = RING_PIXELS * ring as f64;
                places[at] = (radius * angle.cos(), radius * angle.sin());
            }
            rest = &rest[here..];
            ring += 1;
        }
        let half = RING_PIXELS * ring as f64 + 60.0;
        let moved = places.into_iter().map(|(x, y)| (x + half, y + half)).collect();
        (moved, 2.0 * half)
    }

    /// The picture as SVG, to stand in a page.
    pub fn svg(&self) -> String {
        let (places, size) = self.places();
        let mut out = format!(
            "<svg id=\"graph\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size:.0} \
             {size:.0}\" role=\"img\" aria-label=\"connections\">\n<g id=\"scene\">\n"
        );
        let mut line = |text: String| out.push_str(&(text + "\n"));
        for (from, to, what) in &self.edges {
            let ((x1, y1), (x2, y2)) = (places[*from], places[*to]);
            line(format!(
                "<line class=\"edge\" data-from=\"{from}\" data-to=\"{to}\" x1=\"{x1:.0}\" \
                 y1=\"{y1:.0}\" x2=\"{x2:.0}\" y2=\"{y2:.0}\"><title>{}</title></line>",
                escaped(what)
            ));
        }
        for (at, node) in self.nodes.iter().enumerate() {
            let (x, y) = places[at];
            let radius = if at == 0 { 12 } else { 7 };
            line(format!(
                "<g class=\"node\" data-node=\"{at}\" data-kind=\"{}\" transform=\"translate({x:.0} \
                 {y:.0})\"><title>{}: {}</title><circle r=\"{radius}\" fill=\"{}\"/><text \
                 y=\"-11\">{}</text></g>",
                node.kind.as_str(),
                node.kind.as_str(),
                escaped(&node.label),
                node.kind.colour(),
                escaped(&cut(&node.label)),
            ));
        }
        out.push_str("</g>\n</svg>\n");
        out
    }

    /// The graph in the language of Graphviz.
    pub fn dot(&self) -> String {
        let quoted = |text: &str| {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
            format!("\"{text}\"")
        };
        let mut out =
            String::from("graph investigation {\n  overlap = false;\n  splines = true;\n");
        for (at, node) in self.nodes.iter().enumerate() {
            let _ = writeln!(
                out,
                "  n{at} [label={}, tooltip={}, style=filled, fillcolor=\"{}\"];",
                quoted(&node.label),
                quoted(node.kind.as_str()),
                node.kind.colour()
            );
        }
        for (from, to, what) in &self.edges {
            let _ = writeln!(out, "  n{from} -- n{to} [label={}];", quoted(what));
        }
        out.push_str("}\n");
        out
    }

    /// The graph as GraphML (graphml.graphdrawing.org).
    pub fn graphml(&self) -> String {
        let mut out = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n\
             <key id=\"label\" for=\"all\" attr.name=\"label\" attr.type=\"string\"/>\n\
             <key id=\"kind\" for=\"node\" attr.name=\"kind\" attr.type=\"string\"/>\n\
             <graph edgedefault=\"undirected\">\n",
        );
        for (at, node) in self.nodes.iter().enumerate() {
            let _ = writeln!(
                out,
                "<node id=\"n{at}\"><data key=\"label\">{}</data><data key=\"kind\">{}</data></node>",
                escaped(&node.label),
                node.kind.as_str()
            );
        }
        for (from, to, what) in &self.edges {
            let _ = writeln!(
                out,
                "<edge source=\"n{from}\" target=\"n{to}\"><data key=\"label\">{}</data></edge>",
                escaped(what)
            );
        }
        out.push_str("</graph>\n</graphml>\n");
        out
    }
}

fn cut(label: &str) -> String {
    match label.chars().count() > LABEL_CHARS_MAX {
        true => label.chars().take(LABEL_CHARS_MAX - 1).chain(['…']).collect(),
        false => label.to_owned(),
    }
}

/// Text that stands for itself in XML and HTML, in content and in quoted attributes. Control
/// characters, which XML does not have, are left out.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(graph: &Graph) -> Vec<String> {
        let label = |at: usize| graph.nodes[at].label.as_str();
        let edge =
            |(a, b, what): &(usize, usize, String)| format!("{} {what} {}", label(*a), label(*b));
        graph.edges.iter().map(edge).collect()
    }

    #[test]
    fn facts_become_connections() {
        let graph = graph(&super::super::tests::dossier());
        let edges = shown(&graph);
        for wanted in [
            "evil.test resolved to 192.0.2.66",
            "192.0.2.66 in 192.0.2.0/24",
            "192.0.2.0/24 announced by as64496",
            "evil.test name server ns1.bullet.test",
            "evil.test subdomain www.evil.test",
            "evil.test URL http://evil.test/x",
        ] {
            assert!(edges.iter().any(|edge| edge == wanted), "{wanted}: {edges:#?}");
        }
        assert_eq!(graph.nodes[0].label, "evil.test");
    }

    #[test]
    fn nothing_hostile_is_markup_in_any_form() {
        let mut dossier = super::super::tests::dossier();
        dossier.services[0].rows[0]
            .facts
            .push(Fact::Neighbour { name: "<script>alert(1)</script>\"'&\\".to_owned() });
        let graph = graph(&dossier);
        for text in [graph.svg(), graph.graphml()] {
            assert!(!text.contains("<script"), "{text}");
        }
        assert!(graph.dot().contains("alert(1)</script>\\\"'&\\\\\""), "{}", graph.dot());
    }

    #[test]
    fn no_two_nodes_of_a_large_graph_stand_on_one_place() {
        let mut dossier = super::super::tests::dossier();
        let more = (0..300).map(|n| Fact::Neighbour { name: format!("n{n}.test") });
        dossier.services[0].rows[0].facts.extend(more);
        let graph = graph(&dossier);
        assert_eq!(graph.nodes.len(), NODES_MAX);
        assert!(graph.left_out > 100);
        let (mut places, size) = graph.places();
        assert!(places.iter().all(|(x, y)| (0.0..size).contains(x) && (0.0..size).contains(y)));
        places.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let apart = |(a, b): (&(f64, f64), &(f64, f64))| (a.0 - b.0).hypot(a.1 - b.1);
        assert!(places.iter().zip(&places[1..]).map(apart).all(|pixels| pixels > 3.0));
    }
}
