#!/usr/bin/env python3
"""sekisho beside other resolvers, in a harness that starts them all and takes turns.

    benches/peers/run.py HARNESS TEST [options of the harness]

HARNESS is the folder of `run.py` and `servers.py`; TEST is `load`, `qps`, `blast`, `update`, `axfr`
or `report`. The server is called `sekisho`; its program is target/release/sekisho, or what the
environment names in SEKISHO.
"""
import os
import signal
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("SEKISHO", os.path.join(ROOT, "target", "release", "sekisho"))

if len(sys.argv) < 3:
    sys.exit(__doc__.strip())
sys.path.insert(0, os.path.abspath(sys.argv.pop(1)))

import run as harness  # noqa: E402
import servers  # noqa: E402


class Sekisho(servers.Server):
    """Policy as a file under `zones/`, which is watched; no state of an earlier run."""

    name = "sekisho"
    can_transfer = False

    def settings(self):
        c = self.c
        return f"""version = 1
state_directory = "{self.path('var')}"
policies_directory = "{self.path('policies')}"
zones_directory = "{self.path('zones')}"
[resolver]
listen = ["{self.addr[0]}:{self.addr[1]}"]
cache_size = "512MiB"
[resolver.limits]
client_queries = 10000
[resolver.local_zones]
enabled = false
[upstream]
mode = "forward"
servers = ["udp://{c.upstream[0]}:{c.upstream[1]}"]
[dnssec]
validate = false
[api]
socket = "{self.path('sekisho.sock')}"
[log]
form = "human"
"""

    def write_config(self):
        for folder in ("policies", "zones"):
            os.makedirs(self.path(folder), exist_ok=True)
        conf = self.settings()
        if self.zone:
            # The harness keeps a copy that it edits, or a link to the common one.
            conf += f"""[[zone]]
name = "{servers.APEX}"
file = "{self.zone}"
standing = "first"
options = "ours"
"""
        self.put("sekisho.toml", conf)

    def command(self):
        return [[PROGRAM, "serve", "--config", self.path("sekisho.toml")]]

    def reload(self):
        """The folder is watched; but the file lies beside it, so say it."""
        self.run(PROGRAM, "reload", "--config", self.path("sekisho.toml"))


class SekishoAgain(Sekisho):
    """The same from the state that an earlier run left: what a restart costs."""

    name = "sekisho-again"

    def __init__(self, ctx):
        """Runs once without being measured, for the state."""
        super().__init__(ctx)
        self.start()
        while harness.dnswire.ask(self.addr, "p." + harness.gen.TAIL, 1) is None and self.alive():
            harness.time.sleep(0.05)
        harness.time.sleep(3)
        self.stop()


for kind in (Sekisho, SekishoAgain):
    servers.SERVERS[kind.name] = kind

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    harness.main()
