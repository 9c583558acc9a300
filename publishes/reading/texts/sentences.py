"""Sentences about a publish and its agents, shared by hero, agent board and live region: all agree."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core.problems import Text
from publishes.choices import Desired, Kind, Phase, Status
from publishes.models import ProductPublish
from publishes.reading.detail.agents import AgentRow
from publishes.reading.detail.snapshot import Snapshot
from publishes.reading.texts.labels import verb_going_on

NAMED_AT_MOST = 3
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STEPS = {
    "sent": gettext_lazy("Sent; the agent is at it"),
    "fetched": gettext_lazy("Fetched by the agent"),
    "fence": gettext_lazy("Checking the upstreams"),
    "apply": gettext_lazy("Writing to the gateway"),
    "verify": gettext_lazy("Proving the gateway"),
}


def board_sentence(snapshot: Snapshot) -> str:
    """The sentence above the agent board: how many agents serve which generation, and why others do not."""
    if not snapshot.agents:
        return _("No agent of this cluster serves this kind of Gateway.")
    parts = [_agent_counts(snapshot)]
    troubled = [text for row in snapshot.agents if (text := _trouble(row, snapshot.publish))]
    parts += troubled[:NAMED_AT_MOST]
    if more := len(troubled) - NAMED_AT_MOST:
        parts += [ngettext("%(n)d more", "%(n)d more", more) % {"n": more}] if more > 0 else []
    return " · ".join(parts)


def progress(snapshot: Snapshot) -> str:
    """The open operation as a text, for the badge and the live region; empty at rest."""
    if snapshot.has_open_request and snapshot.operation is not None:
        return verb_going_on(Kind(snapshot.operation.kind))
    if snapshot.following is None or not snapshot.following.is_open:
        return ""
    return {
        Kind.REVERT: _("Going back to what stood before"),
        Kind.SYNC: _("Bringing changed keys to the gateways"),
    }.get(Kind(snapshot.following.kind), _("Bringing the agents in step"))


def announcement(snapshot: Snapshot) -> str:
    """The text that a screen reader reads out when the status fragment changes."""
    if text := progress(snapshot):
        return f"{text} {snapshot.confirmed}/{len(snapshot.agents)}"
    last = ended(snapshot)
    return f"{snapshot.publish.status}. {last.text if last else ''}".strip()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What ended last, for the toast on a page that showed it open: its generation, and how it ended."""

    generation: int
    text: str
    is_bad: bool


def ended(snapshot: Snapshot) -> Ended | None:
    """The last operation of a person, or the sync after it; None while it is open, and before the first."""
    after = snapshot.following
    if after is not None and after.kind == Kind.SYNC and not after.is_open:
        is_bad = after.phase == Phase.FAILED
        text = (
            _("The changed keys could not be brought to every gateway")
            if is_bad
            else _("The changed keys are in force")
        )
        return Ended(
            generation=after.generation, text=text if after.phase != Phase.SUPERSEDED else "", is_bad=is_bad
        )
    if snapshot.operation is None or snapshot.operation.is_open:
        return None
    return Ended(generation=snapshot.operation.generation, text=outcome(snapshot), is_bad=snapshot.has_failed)


def withdrawn_sentence(snapshot: Snapshot) -> tuple[str, str]:
    """What callers of a withdrawn publish get, and its tone: an agent without proof may still serve them."""
    late = [row.name for row in snapshot.agents if not row.runs(snapshot.publish)]
    if not late or snapshot.publish.desired_state != Desired.WITHDRAWN:
        return _("Every path of the hostname answers 410 Gone."), ""
    return _("Not proved yet on %(agents)s: callers there may still be served. It catches up by itself.") % {
        "agents": _named(late)
    }, "amber"


def silence_sentence(snapshot: Snapshot) -> str:
    """That agents are away, so that nobody knows whether they serve; empty while none is away."""
    names = silent_agents(snapshot)
    return (
        _("Not heard of now: %(agents)s. Whether callers there are served is not known.") % {"agents": names}
        if names
        else ""
    )


def silent_agents(snapshot: Snapshot) -> str:
    """The names of the agents that are away, or whose gateway does not answer."""
    return _named([row.name for row in snapshot.agents if row.is_silent])


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED_AT_MOST]) + (" …" if len(names) > NAMED_AT_MOST else "")


def outcome(snapshot: Snapshot) -> str:
    """How the last operation of a person ended; empty while it is open."""
    operation = snapshot.operation
    if operation is None or operation.is_open:
        return ""
    if operation.phase == Phase.CANCELLED:
        return _("Publishing was cancelled")
    if operation.phase == Phase.FAILED:
        return {
            Kind.PUBLISH: _("Publishing failed"),
            Kind.WITHDRAW: _("Withdrawing failed"),
            Kind.DELETE: _("Deleting failed"),
        }[Kind(operation.kind)]
    return {
        Kind.PUBLISH: _("The publish is live"),
        Kind.WITHDRAW: _("The publish was withdrawn"),
        Kind.DELETE: _("The publish was deleted"),
    }[Kind(operation.kind)]


def step_of(row: AgentRow, publish: ProductPublish) -> tuple[str, str]:
    """How far an agent is: the text, and its tone."""
    if row.phase is None and not publish.generation:
        return _("Waiting for the first publish"), "grey"
    if row.phase is None:  # enrolled after the newest operation: it pulls the spec after a heartbeat
        return (_("Confirmed"), "green") if row.runs(publish) else (_("Catches up by itself"), "violet")
    if row.phase == Phase.QUEUED:
        return (_("Will be tried again"), "amber") if row.attempt else (_("Waiting to be sent"), "blue")
    if row.phase == Phase.SENT:
        return str(_STEPS.get(row.step or "", _STEPS["sent"])), "blue"
    return {Phase.SUCCEEDED: (_("Confirmed"), "green"), Phase.FAILED: (_("Refused"), "red")}.get(
        Phase(row.phase), (_("Replaced by something newer"), "grey")
    )


def _agent_counts(snapshot: Snapshot) -> str:
    publish, n = snapshot.publish, len(snapshot.agents)
    if not publish.generation:
        ready = sum(bool(row.is_connected) for row in snapshot.agents)
        return ngettext(
            "%(n)d agent is connected and will take it", "%(n)d agents are connected and will take it", ready
        ) % {"n": ready}
    count = (
        snapshot.confirmed
        if snapshot.is_open
        else sum(bool(row.is_connected) and row.runs(publish) for row in snapshot.agents)
    )
    if snapshot.is_open:
        text = ngettext(
            "%(done)d of %(all)d agent confirmed v%(generation)d",
            "%(done)d of %(all)d agents confirmed v%(generation)d",
            n,
        )
    elif publish.desired_state == Desired.LIVE:
        text = ngettext(
            "%(done)d of %(all)d agent serves v%(generation)d",
            "%(done)d of %(all)d agents serve v%(generation)d",
            n,
        )
    elif publish.desired_state == Desired.WITHDRAWN:
        text = ngettext(
            "%(done)d of %(all)d agent answers 410 (v%(generation)d)",
            "%(done)d of %(all)d agents answer 410 (v%(generation)d)",
            n,
        )
    else:
        text = ngettext(
            "%(done)d of %(all)d agent has taken it off (v%(generation)d)",
            "%(done)d of %(all)d agents have taken it off (v%(generation)d)",
            n,
        )
    return text % {"done": count, "all": n, "generation": publish.generation}


def _trouble(row: AgentRow, publish: ProductPublish) -> str:
    if row.request_error and not row.is_connected:
        return _("%(agent)s is not believed") % {"agent": row.name}
    if not row.is_connected:
        return (
            _("%(agent)s silent for %(time)s") % {"agent": row.name, "time": _lasting(row.last_seen_at)}
            if row.last_seen_at
            else _never(row)
        )
    if row.gateway_ok is False:
        return _("%(agent)s: its gateway does not answer") % {"agent": row.name}
    if row.has_refused:
        return _("%(agent)s refused") % {"agent": row.name}
    if (
        publish.status == Status.PUBLISHED
        and not row.is_open
        and row.carried_generation is not None
        and not row.runs(publish)
    ):
        return _("%(agent)s still runs v%(generation)d") % {
            "agent": row.name,
            "generation": row.carried_generation,
        }
    return ""


def _never(row: AgentRow) -> str:
    return _("%(agent)s was never connected") % {"agent": row.name}


def _lasting(since: datetime) -> str:
    seconds = max(1, round((timezone.now() - since).total_seconds()))
    if seconds < _MINUTE:
        return ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds}
    if seconds < _HOUR:
        return ngettext("%(n)d minute", "%(n)d minutes", seconds // _MINUTE) % {"n": seconds // _MINUTE}
    if seconds < _DAY:
        return ngettext("%(n)d hour", "%(n)d hours", seconds // _HOUR) % {"n": seconds // _HOUR}
    return ngettext("%(n)d day", "%(n)d days", seconds // _DAY) % {"n": seconds // _DAY}


def translated(text: Text) -> str:
    """A stored sentence of ours in the reader's language; the agents' own words stay as they are."""
    return _(str(text)) if text else ""
