"""A real Envoy under steady load: callers get right answers alone while keys and issuers change."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.agent import issuer
from tests.agent.doubles import Upstreams
from tests.agent.drivers.envoy.test_auth import changed, key, with_keys, with_tokens
from tests.agent.gateway import Gateway, Memory, hold

RATE, SECONDS, CALLERS = 200, 3, 8
Caller = tuple[str, dict[str, str]]
"""A host, and the headers that open it."""


@dataclass
class Load:
    """Callers at a steady rate, whatever the answers do: a request that is late is sent at once.

    How near a machine comes to the rate is for `bench.revoke_to_401` to say; here each answer counts.
    """

    proxy: str
    callers: list[Caller]
    answers: list[int | str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _tickets: Iterator[int] = field(default_factory=count)

    @contextmanager
    def running(self) -> Iterator[Callable[[], bool]]:
        """From now on, until all have been asked; what it gives says whether they still are."""
        began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._ask, args=(began, number % 2 == 0)) for number in range(CALLERS)
        ]
        for thread in self._threads:
            thread.start()
        yield lambda: any(thread.is_alive() for thread in self._threads)
        for thread in self._threads:
            thread.join()

    def _ask(self, began: float, keeps_connection: bool) -> None:
        connection = self._connect()
        while (ticket := next(self._tickets)) < RATE * SECONDS:
            time.sleep(max(0.0, began + ticket / RATE - time.monotonic()))
            host, headers = self.callers[ticket % len(self.callers)]
            try:
                connection.request("GET", "/x", headers={"Host": host, **headers})
                response = connection.getresponse()
                response.read()
                self.answers.append(response.status)
            except (OSError, http.client.HTTPException) as problem:
                self.answers.append(type(problem).__name__)
                connection = self._connect()
            if not keeps_connection:
                connection.close()
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host, _, port = self.proxy.rpartition(":")
        return http.client.HTTPConnection(host, int(port), timeout=5)


def test_nobody_notices_that_keys_and_issuers_change(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    standing, old, new = key("kept", "key-kept"), issuer.rsa(), issuer.rsa("rsa-2")
    keys, tokens = with_keys(upstream.port, standing), with_tokens(upstream.port, old)
    memory.apply(keys, tokens)
    load = Load(
        gateway.proxy,
        [
            (keys.host, {"apikey": "key-kept"}),
            (tokens.host, {"Authorization": f"Bearer {issuer.token(old)}"}),
        ],
    )
    changes = 0
    with load.running() as goes_on:
        while goes_on():
            changes += 1
            generation = changes + 1
            jwks = issuer.public(old, new) if generation % 2 == 0 else issuer.public(old)
            some = (standing, key(f"consumer-{generation}", f"key-{generation}"))
            sync = [
                changed(keys, generation=generation, keys=some),
                changed(tokens, generation=generation, jwks=jwks),
            ]
            assert memory.apply(*sync).changes == 2
            for spec in sync:
                gateway.driver.verify(hold(spec))
            time.sleep(0.1)  # the callers share this process
    assert Counter(load.answers) == {200: RATE * SECONDS}
    assert changes >= 10
    assert len(upstream.requests) == RATE * SECONDS
