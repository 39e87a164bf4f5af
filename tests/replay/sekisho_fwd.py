"""sekisho as a resolver that only forwards."""
import importlib.util
import os

_path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sekisho.py")
_spec = importlib.util.spec_from_file_location("sekisho_replay", _path)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


class Resolver(_module.Resolver):
    name = "sekisho_fwd"
    needs_forwarder = True
