"""Rules for Hypothesis to combine in any order: people's wishes and faults, and what must hold after each."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agent.drivers.base import Refused
from tests.machine.fates import Push
from tests.machine.stepped import Fate, SteppedAgent
from tests.machine.system import System

WHICH = st.integers(0, 2)
PUSHES = (*[Push.WELL] * 8, *Push)
FATES = (*[Fate.WELL] * 3, *Fate)
FAULTS = (
    "agent",
    "agent",
    "line",
    "gateway",
    "refuses",
    "late",
    "old disk",
    "observe",
    "apply",
    "swap",
    "verify",
)
BLOCKING_FAULTS = ("refuses", "late", "gateway", "apply", "swap", "verify")
QUICK = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(QUICK, max_examples=400, stateful_step_count=60)


class Machine(RuleBasedStateMachine):
    """One run of the whole: a control plane on PostgreSQL and its agents."""

    system: System

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self._folder = Path(tempfile.mkdtemp(prefix="imp-machine-"))
        self._undone = transaction.atomic()
        self._undone.__enter__()

    @initialize(agents=st.integers(1, 3))
    def begin(self, agents: int) -> None:
        """A cluster with its agents, and one draft."""
        self.system = System(self._folder, self._patch, agents=agents)
        self.system.draft(host="a")

    def agent(self, which: int) -> SteppedAgent:
        """One of those that are there."""
        return self.system.agents[which % len(self.system.agents)]

    @rule(choice=st.integers(0, 11), which=WHICH, is_worked_on=st.booleans())
    def ask(self, choice: int, which: int, is_worked_on: bool) -> None:
        """A person clicks, mostly on what the page offers; mostly it is worked on."""
        system = self.system
        system.ask(system.verb(choice, which=which), which=which)
        if is_worked_on:
            self.workers([Push.WELL] * len(system.agents))

    @rule(which=WHICH, publish=WHICH, kind=st.sampled_from(BLOCKING_FAULTS))
    def ask_in_vain(self, which: int, publish: int, kind: str) -> None:
        """Ask for a verb that a faulty agent or gateway cannot finish."""
        self.break_or_mend(which, kind, publish=publish)
        self.ask(0, publish, True)

    @rule(host=st.sampled_from("ab"))
    @precondition(lambda self: len(self.system.drafts) < 3)
    def draft(self, host: str) -> None:
        """Another one, perhaps for a host that is taken."""
        self.system.draft(host=host)

    @rule(pushes=st.lists(st.sampled_from(PUSHES), min_size=3, max_size=3))
    def workers(self, pushes: list[Push]) -> None:
        """Somebody works for each agent; the first push to each meets its fate."""
        for agent, push in zip(self.system.agents, pushes, strict=False):
            self.system.deliver(agent, push)

    @rule(seconds=st.sampled_from([1, 8, 31, 121]))
    def time(self, seconds: int) -> None:
        """Time passes, and the sweep looks around."""
        self.system.pass_time(seconds)
        self.system.sweep()

    @rule(which=WHICH, fates=st.lists(st.sampled_from(FATES), max_size=3), further=st.integers(0, 2))
    def heartbeat(self, which: int, fates: list[Fate], further: int) -> None:
        """An agent beats, and perhaps works on what it fetched, and perhaps hands in what came of it."""
        agent = self.agent(which)
        agent.line.fates.extend(fates)
        for step in (agent.beat, agent.worker.work_once, agent.hand_in)[: further + 1]:
            agent.alive(step)
        agent.line.fates.clear()

    @rule(which=WHICH, again=st.booleans())
    @precondition(lambda self: self.system.delayed)
    def arrive(self, which: int, again: bool) -> None:
        """What was on its way for long arrives, perhaps twice."""
        self.system.arrive(which, again=again)

    @rule(which=WHICH, kind=st.sampled_from(FAULTS), publish=WHICH)
    def fault(self, which: int, kind: str, publish: int) -> None:
        """Something breaks, or is well again."""
        self.break_or_mend(which, kind, publish=publish)

    @rule()
    def settle(self) -> None:
        """All is well for a while."""
        self.system.settle()

    def break_or_mend(self, which: int, kind: str, *, publish: int) -> None:
        """That fault of an agent, or of its gateway with a publish; a second time ends those that last."""
        agent = self.agent(which)
        if kind == "agent":
            agent.kill() if agent.is_up else agent.start()
        elif kind == "line":
            agent.line.is_cut = not agent.line.is_cut
        elif kind == "gateway":
            agent.gateway.away = not agent.gateway.away
        elif kind == "refuses":
            self.refuse(which, publish=publish)
        elif kind == "late":
            agent.gateway.unproved ^= {self.system.drafts[publish % len(self.system.drafts)]}
        elif kind == "old disk":
            agent.restore_disk()
            # A seal lives 90 seconds, and no backup is back sooner; no gateway tells the generation of what
            # was removed.
            self.system.delayed = [late for late in self.system.delayed if late.to is not agent]
        else:
            agent.die_at(kind)

    def refuse(self, which: int, *, publish: int) -> None:
        """That agent's gateway will not have that publish, or will again."""
        publish_id = self.system.drafts[publish % len(self.system.drafts)]
        refuse = self.agent(which).gateway.refuse
        if refuse.pop(publish_id, None) is None:
            refuse[publish_id] = Refused("It is not to our taste.", code="rejected", entity="route")

    @invariant()
    def agree(self) -> None:
        self.system.check()

    def teardown(self) -> None:
        try:
            if hasattr(self, "system"):
                self.system.settle()
        finally:
            transaction.set_rollback(True)
            self._undone.__exit__(None, None, None)
            self._patch.undo()
            shutil.rmtree(self._folder)


@pytest.fixture(autouse=True)
def no_disk(db: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody pulls the plug here: what was written is there after a kill without being forced to the disk."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    logging.disable(logging.CRITICAL)  # each request is two lines, and a run makes thousands
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(600)
def test_whatever_happens_gateway_database_and_page_agree_in_the_end() -> None:
    run_state_machine_as_test(Machine, settings=QUICK)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_whatever_happens_at_length() -> None:
    run_state_machine_as_test(Machine, settings=LONG)
