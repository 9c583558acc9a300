"""The list of drivers. docs/architecture.md says where else a new one is named."""

from agent.drivers.base import Setup
from agent.drivers.envoy.setup import EnvoySetup
from agent.drivers.kong.setup import KongSetup
from agent.drivers.memory import MemorySetup

_ALL: tuple[Setup, ...] = (EnvoySetup(), KongSetup(), MemorySetup())

SETUPS: dict[str, Setup] = {setup.name: setup for setup in _ALL}
