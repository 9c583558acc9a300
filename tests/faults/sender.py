"""Commands to an agent under the control plane's seal, sent by the test: twice, late, or out of order."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from agent.protocol.messages import PATH_COMMANDS, Command, CommandAnswer, Item, Result
from agent.protocol.signing import CONTROL_PLANE, Purpose, Sealed, import_key, seal, unseal
from agent.protocol.spec import Spec
from tests.faults.publish import Publish
from tests.faults.stack import Stack


class Sender:
    """To one agent of a stack."""

    def __init__(self, stack: Stack, agent: str) -> None:
        content = json.loads((stack.file.parent / "secrets" / "signing-key.json").read_text())
        self._key = import_key(content["keys"][0] if "keys" in content else content)
        self._stack, self._id = stack, stack.agent(agent)["id"]
        self._url = f"http://127.0.0.1:{stack.holes[f'agent-{agent}'].target}{PATH_COMMANDS}"

    def item(self, publish: Publish, *, generation: int) -> Item:
        """One generation of a publish, with the delivery and token that its answer closes now."""
        ((spec, delivery, token),) = self._stack.rows(
            "SELECT o.spec, d.id, d.token FROM publishes_operation o"
            " JOIN publishes_delivery d ON d.operation_id = o.id"
            " WHERE o.publish_id = %s AND o.generation = %s AND d.agent_id = %s",
            *(publish.id, generation, self._id),
        )
        return Item(spec=Spec.model_validate(spec), delivery=delivery, token=token)

    def sealed(self, item: Item) -> Sealed:
        """A command of its own."""
        command = Command(items=(item,), upstream_networks=("127.0.0.0/8",))
        return seal(
            self._key,
            command.model_dump_json(),
            purpose=Purpose.COMMAND,
            issuer=CONTROL_PLANE,
            audience=self._id,
        )

    def send(self, *commands: Sealed) -> list[httpx2.Response]:
        """All at the same moment."""
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(
                pool.map(
                    lambda sealed: httpx2.post(self._url, content=sealed.token, trust_env=False, timeout=15),
                    commands,
                )
            )

    def opened(self, answer: httpx2.Response, *, answers: Sealed) -> Result:
        """The one result in an answer."""
        rows: list[tuple[Any, ...]] = self._stack.rows(
            "SELECT public_jwk FROM clusters_agentkey WHERE agent_id = %s AND revoked_at IS NULL", self._id
        )
        opened = unseal(
            answer.text,
            [import_key(rows[0][0])],
            purpose=Purpose.ANSWER,
            audience=CONTROL_PLANE,
            issuer=self._id,
            answers=answers.id,
        )
        return CommandAnswer.model_validate_json(opened.body).results[0]
