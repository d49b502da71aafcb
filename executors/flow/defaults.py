"""Puts the defaults of `flow.yml`'s variables into the environment. `flow.yml` imports it for this effect.

Jina's YAML has no syntax for the default of a variable, but it imports `py_modules` before it resolves the Flow's
variables for the last time. So `Flow.load_config("flow.yml")` works in a plain interpreter, too.
"""

import os

from jina.helper import reset_ports

from clipseek.config.access import with_flow_secret
from clipseek.config.settings import Settings
from clipseek.machine.ports import environment_for_jina

_settings = with_flow_secret(Settings.from_env())
for _name, _value in (_settings.to_flow_env() | environment_for_jina() | {"JINA_OPTOUT_TELEMETRY": "1"}).items():
    os.environ.setdefault(_name, _value)
reset_ports()  # Jina has drawn ports already, from another range
