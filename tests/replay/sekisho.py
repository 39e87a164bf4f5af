"""How the replay tool for RPZ scenarios configures sekisho: what each part of its neutral model is called
in `sekisho.toml` and in a policy file. Zone text is passed on as it is.

    rpzh.py --plugin tests/replay/sekisho.py --cmd 'target/debug/sekisho serve --config {conf}' FILE...

With SEKISHO_REPLAY_FORWARD=1, or as `sekisho_fwd.py`, everything is forwarded to the scenario's resolver.
"""
import json
import os
import subprocess

from rpzh.plugin import Plugin, Unsupported

# Overrides have the same words, but for the target of an alias.
OPTIONS = {"break_dnssec", "qname_wait_recurse", "nsip_wait_recurse", "nsdname_wait_recurse",
           "recursive_only", "min_ns_dots", "max_policy_ttl", "add_soa", "log"}
EVERYONE = ["0.0.0.0/0", "::/0"]


def toml(value):
    """JSON's words for texts, numbers, truth and lists are TOML's."""
    return json.dumps(value)


def table(head, **keys):
    lines = [f"{key} = {toml(value)}" for key, value in keys.items() if value is not None]
    return f"\n{head}\n" + "\n".join(lines) + "\n"


class Resolver(Plugin):
    name = "sekisho"
    level = "semantic"
    default_cmd = "sekisho serve --config {conf}"
    needs_forwarder = os.environ.get("SEKISHO_REPLAY_FORWARD") == "1"

    def version(self, cmd):
        out = subprocess.run([cmd.split()[0], "--version"], capture_output=True, text=True).stdout
        return out.split()[-1] if out.split() else "?"

    def lacks(self, check):
        return None

    def write_config(self, sc, ctx):
        for feature in ("serve-expired", "signal-nxdomain-ra", "val-override-date"):
            if feature in sc.features:
                raise Unsupported(feature)
        for folder in ("policies", "zones"):
            os.makedirs(os.path.join(ctx.workdir, folder), exist_ok=True)
        self.write_policy(sc, ctx)
        conf = "version = 1\n"
        conf += "".join(f"{key} = {toml(os.path.join(ctx.workdir, folder))}\n" for key, folder in (
            ("state_directory", "var"), ("policies_directory", "policies"), ("zones_directory", "zones")))
        listen = [f"[{a}]:{ctx.port}" if ":" in a else f"{a}:{ctx.port}" for a in ctx.listen]
        conf += table("[resolver]", listen=listen, allow_from=EVERYONE)
        # The scenarios' own top-level domains are `test` and the like.
        conf += table("[resolver.local_zones]", enabled=False)
        if "dns64" in sc.features:
            prefix = dict(sc.server_opts).get("dns64-prefix", "64:ff9b::/96")
            conf += table("[resolver.dns64]", prefix=prefix)
        conf += self.upstream(sc)
        conf += table("[dnssec]", validate=bool(sc.trust_anchors), trust_anchors=self.anchors(sc))
        conf += table("[api]", socket=os.path.join(ctx.workdir, "sekisho.sock"))
        conf += table("[log]", form="human", levels="info,sekisho=debug")
        for at, zone in enumerate(sc.zones):
            conf += self.zone(sc, ctx, at, zone)
        return ctx.write("sekisho.toml", conf)

    def write_policy(self, sc, ctx):
        """Groups of clients stand in a policy file, one for each tag."""
        networks = {tag: [] for zone in sc.zones for tag in zone.tags}
        for network, tags in sc.client_tags:
            for tag in tags:
                networks.setdefault(tag, []).append(network)
        text = "version = 1\n" + "".join(
            table(f"[group.{toml(tag)}]", networks=found) for tag, found in networks.items())
        ctx.write("policies/groups.toml", text)

    def upstream(self, sc):
        if self.needs_forwarder:
            return table("[upstream]", mode="forward", servers=[server(sc.forwarder)])
        # Servers for everything are root servers.
        roots = [a for u in sc.upstreams if u.name == "." and u.kind != "forward" for a in u.addrs]
        conf = table("[upstream]", mode="recursion", roots=roots or ["192.0.2.254"],
                     allow_servers=EVERYONE, ipv6="on")
        zones = {}
        for u in sc.upstreams:
            if u.name != "." or u.kind == "forward":
                zones.setdefault((u.name, u.kind), []).extend(server(a) for a in u.addrs)
        for (name, kind), servers in zones.items():
            conf += table("[[upstream.zone]]", name=name.rstrip(".") or ".", mode=kind, servers=servers)
        return conf

    def anchors(self, sc):
        """Trust anchors are keys here; those that a DS record of the scenario names are in its world."""
        lines = []
        for anchor in sc.trust_anchors:
            if " DS " not in anchor:
                lines.append(anchor)
                continue
            words = anchor.split()
            apex = next(z for z in sc.world.zones if str(z.apex) == words[0])
            for key in apex.data[apex.apex][48][1]:
                if key.flags & 1:
                    lines.append(f"{words[0]} 3600 IN DNSKEY {key}")
        return "\n".join(lines) if lines else None

    def zone(self, sc, ctx, at, zone):
        path = ctx.write(f"zones/policy{at}.rpz", zone.text)
        keys = {k: v for k, v in {**sc.options, **zone.options}.items() if k in OPTIONS}
        unknown = set(sc.options) | set(zone.options)
        unknown -= OPTIONS | {"ede", "tolerated"}
        if unknown:
            raise Unsupported(f"no option {sorted(unknown)}")
        # Replay files are Unbound's, which never spares a query.
        base = dict(break_dnssec=True, qname_wait_recurse=False, recursive_only=False,
                    min_ns_dots=0) if sc.raw_config else {}
        keys = {"max_policy_ttl": 86400, **base, **keys}
        keys["max_policy_ttl"] = f"{keys['max_policy_ttl']}s"
        policy = zone.override or "given"
        if policy == "cname":
            policy = "cname " + zone.override_target.rstrip(".")
        servers = [server(a) for a in zone.primaries] or None
        return table("[[zone]]", name=zone.name.rstrip("."), file=path, standing="first", policy=policy,
                     extended_error=zone.options.get("ede"), groups=zone.tags or None,
                     primaries=servers, **keys)


def server(address):
    return f"udp://[{address}]" if ":" in address else f"udp://{address}"
