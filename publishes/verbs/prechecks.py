"""What would happen if a draft were published now: each check is fine, a warning or a blocker. Reads only."""

from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from clusters.models import Agent, counting
from core.problems import Problem, Text
from publishes import errors, spec
from publishes.callers import issuers
from publishes.choices import AuthMode
from publishes.engine.hosts import reserved_from
from publishes.models import ProductPublish
from publishes.reading.facts import places
from publishes.verbs import upstreams

DEADLINE_S = 1.5
ALL_S = 1.8


class Level(StrEnum):
    """How much a check's result stands in the way of a publish."""

    OK = "ok"
    WARNING = "warning"
    BLOCKER = "blocker"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check and its result."""

    title: Text
    level: Level
    text: Text


def run(draft: ProductPublish) -> list[Check]:
    """All checks of a publish that need not be stored. Seven queries; two seconds at most, whatever hangs."""
    until = monotonic() + ALL_S
    checks = [_services(draft), _agents(draft), _hostname(draft), *_upstreams(draft)]
    return [*checks, _issuer(draft, until=until)] if draft.auth_mode == AuthMode.OAUTH2 else checks


def _services(draft: ProductPublish) -> Check:
    title = _("API services")
    try:
        count = len(spec.deployable(draft.product).services)
    except (errors.NothingToDeploy, errors.PathsOverlap) as problem:
        return _blocked(title, problem)
    return _fine(
        title,
        ngettext_lazy("%(n)d service goes with it.", "%(n)d services go with it.", count) % {"n": count},
    )


def _agents(draft: ProductPublish) -> Check:
    title = _("Agents")
    able = Agent.objects.enrolled().filter(cluster_id=draft.cluster_id, driver=draft.gateway.gateway_class)
    rows = list(able.annotate(counts=counting()).values_list("name", "counts"))
    absent = [name for name, counts in rows if not counts]
    if draft.cluster.maintenance:
        return Check(title=title, level=Level.BLOCKER, text=errors.ClusterInMaintenance.detail)
    if not rows:
        return Check(title=title, level=Level.BLOCKER, text=places.NOBODY_SERVES)
    if len(absent) == len(rows):
        return Check(
            title=title,
            level=Level.BLOCKER,
            text=_(
                "No agent that serves this gateway is connected now: a publish would wait for one, then fail."
            ),
        )
    ready = len(rows) - len(absent)
    numbers = {"n": ready, "all": len(rows), "names": ", ".join(absent)}
    if absent:
        text = ngettext_lazy(
            "%(n)d of %(all)d is ready. %(names)s will catch up when back.",
            "%(n)d of %(all)d are ready. %(names)s will catch up when back.",
            ready,
        )
        return Check(title=title, level=Level.WARNING, text=text % numbers)
    return _fine(
        title, ngettext_lazy("%(n)d of %(all)d is ready.", "%(n)d of %(all)d are ready.", ready) % numbers
    )


def _hostname(draft: ProductPublish) -> Check:
    title = _("Hostname")
    host = draft.hostname_base
    reserved_for_others = reserved_from(draft.tenant_id) & Q(hostname_base=host)
    rivals = ProductPublish.objects.filter(
        Q(claimed_host=host) | reserved_for_others | Q(hostname_base=host, deleted_at=None),
        cluster_id=draft.cluster_id,
    )
    is_reserved = ExpressionWrapper(reserved_for_others, output_field=BooleanField())
    rows = list(
        rivals.exclude(pk=draft.pk).annotate(is_kept=is_reserved).values_list("claimed_host", "is_kept")
    )
    if any(claimed == host for claimed, _is_reserved in rows):
        return _blocked(title, errors.HostTaken())
    if any(is_reserved for _claimed, is_reserved in rows):
        return _blocked(title, errors.HostReserved())
    if rows:
        return Check(
            title=title,
            level=Level.WARNING,
            text=_("Another draft names it too: whoever publishes first gets it."),
        )
    return _fine(title, format_lazy(_("{host} is free."), host=host))


def _upstreams(draft: ProductPublish) -> list[Check]:
    """One line when all are fine, else one per service that is not. Looks up names, which takes time."""
    title = _("Upstreams")
    services = spec.select(draft.product).services
    refusals = upstreams.look_up(services, draft.cluster, deadline_s=DEADLINE_S)
    refused = [_blocked(title, problem) for problem in refusals.values() if problem]
    unknown = [service.name for service in services if service not in refusals]
    if unknown:
        refused.append(
            Check(
                title=title,
                level=Level.WARNING,
                text=_("Not looked up in time: %s. It is checked again when you publish.")
                % ", ".join(unknown),
            )
        )
    return refused or (
        [_fine(title, _("All are inside the networks allowed for this cluster."))] if services else []
    )


def _issuer(draft: ProductPublish, *, until: float) -> Check:
    """Asks the issuer in the time that is left."""
    title = _("Issuer and its keys")
    try:
        published = issuers.look_up(
            str(draft.auth_config["issuer_url"]),
            owner=draft.tenant_id,
            deadline_s=max(0.1, until - monotonic()),
        )
    except issuers.IssuerRefused as problem:
        return Check(
            title=title, level=Level.BLOCKER if problem.is_final else Level.WARNING, text=problem.text
        )
    kinds, count = ", ".join(sorted({str(key["alg"]) for key in published.jwks})), len(published.jwks)
    return _fine(
        title,
        ngettext_lazy("%(n)d usable key: %(kinds)s.", "%(n)d usable keys: %(kinds)s.", count)
        % {"n": count, "kinds": kinds},
    )


def _fine(title: Text, text: str | Promise) -> Check:
    return Check(title=title, level=Level.OK, text=text)


def _blocked(title: Text, problem: Problem) -> Check:
    return Check(title=title, level=Level.BLOCKER, text=problem.detail)
