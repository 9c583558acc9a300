"""Which publish has a host on this gateway: a gateway serves a host once. Pure."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from agent.drivers.base import Refused
from agent.protocol.spec import Spec, State
from agent.work.state import Record


class Hosts:
    """The hosts as they stand when these specs are taken."""

    def __init__(self, records: Mapping[UUID, Record], specs: Sequence[Spec]) -> None:
        self._records = records
        changed = {spec.publish_id for spec in specs}
        standing = [
            record.desired.spec
            for publish, record in records.items()
            if record.desired and publish not in changed
        ]
        self._standing = _by_host(standing)
        self._all = {**self._standing, **_by_host(specs)}

    def refusal_of(self, spec: Spec) -> Refused | None:
        """A refusal when another publish keeps the host.

        The control plane may have forgotten that publish, as after a restored backup.
        """
        if spec.state == State.ABSENT or spec.host not in self._standing:
            return None
        message = (
            "This gateway serves the hostname for another publish, which the control plane may not know "
            "any more, as after a restored backup. An operator has to take that one off first."
        )
        return Refused(message, code="host_taken", entity=spec.host)

    def probe_host(self, spec: Spec) -> str:
        """The host on which a spec is proved.

        An absent one is proved on its former host, unless another publish has that host by now.
        """
        if spec.state != State.ABSENT:
            return spec.host
        record = self._records.get(spec.publish_id)
        former = record.desired.probe_host if record and record.desired else ""
        return "" if former in self._all else former


def _by_host(specs: Sequence[Spec]) -> dict[str, UUID]:
    return {spec.host: spec.publish_id for spec in specs if spec.state != State.ABSENT}
