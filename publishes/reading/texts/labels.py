"""Labels and tones of conditions, events, clusters and a verb in progress. Lists and pages share them."""

from django.utils.translation import gettext as _

from clusters.models import Cluster
from publishes.choices import PEOPLES_KINDS, Condition, EventKind, Kind
from publishes.models import ProductPublish
from publishes.reading.facts.places import ClusterCard

CONDITION_TONES = {
    Condition.IN_PROGRESS: "blue",
    Condition.FAILED: "red",
    Condition.DRIFT: "violet",
    Condition.WAITING: "amber",
    Condition.SILENT: "amber",
    Condition.FROZEN: "red",
}


def verb_going_on(kind: Kind) -> str:
    """배포 중, 철회 중, 삭제 중."""
    return {Kind.PUBLISH: _("Publishing"), Kind.WITHDRAW: _("Withdrawing"), Kind.DELETE: _("Deleting")}[kind]


def condition_label(publish: ProductPublish, condition: Condition) -> str:
    """The label of one condition of a row; an open operation is named by its verb."""
    if condition != Condition.IN_PROGRESS:
        return str(condition.label)
    kind = Kind(getattr(publish, "open_kind"))  # noqa: B009 - annotated by the list
    return verb_going_on(kind) if kind in PEOPLES_KINDS else str(kind.label)


def event_label(kind: EventKind) -> str:
    """The event of a line of history. (The event "withdrawn" has another word in Korean than the status.)"""
    return _("Withdrawn from service") if kind == EventKind.WITHDRAWN else str(kind.label)


def cluster_label(card: ClusterCard) -> tuple[str, str]:
    """The status of a cluster, and its tone."""
    return {
        Cluster.Status.ACTIVE: (_("Active"), "green"),
        Cluster.Status.INACTIVE: (_("No agent connected"), "red"),
        Cluster.Status.PENDING: (_("No agent yet"), "grey"),
        Cluster.Status.MAINTENANCE: (_("Maintenance"), "amber"),
    }[Cluster.Status(card.status)]


def failed_label() -> str:
    """실패."""
    return _("Failed")
