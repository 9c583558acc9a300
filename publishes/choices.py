"""The closed sets of values that publishes are made of."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from agent.protocol.spec import AuthMode as WireAuthMode
from agent.protocol.spec import State as WireState


class Status(models.TextChoices):
    """What the provider has. Changed by `lifecycle.move` alone."""

    DRAFT = "DRAFT", "DRAFT"
    PUBLISHED = "PUBLISHED", "PUBLISHED"
    WITHDRAWN = "WITHDRAWN", "WITHDRAWN"


class Environment(models.TextChoices):
    DEV = "dev", "Development"
    STAGE = "stage", "Staging"
    PROD = "prod", "Production"


class AuthMode(models.TextChoices):
    NONE = WireAuthMode.NONE.value, "None"
    API_KEY = WireAuthMode.API_KEY.value, "API Key"
    OAUTH2 = WireAuthMode.OAUTH2.value, "OAuth 2.0"


class Visibility(models.TextChoices):
    PUBLIC = "public", "Public"
    PRIVATE = "private", "Private"


class Desired(models.TextChoices):
    """What callers of the host shall meet. A publish without any operation has none of these."""

    LIVE = WireState.LIVE.value, _("Live")
    WITHDRAWN = WireState.WITHDRAWN.value, _("Withdrawn")
    ABSENT = WireState.ABSENT.value, _("Absent")


class Kind(models.TextChoices):
    """One verb an operation runs. The first three are people's: one of them may be open per publish."""

    PUBLISH = "publish", _("Publish")
    WITHDRAW = "withdraw", _("Withdraw")
    DELETE = "delete", _("Delete")
    SYNC = "sync", _("Sync")
    REVERT = "revert", _("Going back")
    HEAL = "heal", _("Bringing in step")


PEOPLES_KINDS = (Kind.PUBLISH, Kind.WITHDRAW, Kind.DELETE)
DEPLOYING_KINDS = (Kind.PUBLISH, Kind.SYNC, Kind.HEAL)
"""The kinds whose spec, once they have succeeded, is what a PUBLISHED publish carries."""


class Phase(models.TextChoices):
    """How far an operation, or one delivery of it, has come."""

    QUEUED = "QUEUED", _("Waiting")
    SENT = "SENT", _("Sent")
    SUCCEEDED = "SUCCEEDED", _("Done")
    FAILED = "FAILED", _("Failed")
    CANCELLED = "CANCELLED", _("Cancelled")
    SUPERSEDED = "SUPERSEDED", _("Superseded")


OPEN_PHASES = (Phase.QUEUED, Phase.SENT)


class Condition(models.TextChoices):
    """What a list says about a publish beside its status: derived, never stored.

    A publish may be in several conditions at once.
    """

    IN_PROGRESS = "in_progress", _("In progress")
    FAILED = "failed", _("Failed")
    DRIFT = "drift", _("Drift")
    WAITING = "waiting", _("Waits for an agent")
    SILENT = "silent", _("Agent not heard of")
    FROZEN = "frozen", _("Frozen")


class EventKind(models.TextChoices):
    """One line of a publish's history. Only the transitions carry from_status and to_status."""

    CREATED = "created", _("Created")
    UPDATED = "updated", _("Settings changed")
    PUBLISH_REQUESTED = "publish_requested", _("Publish requested")
    WITHDRAW_REQUESTED = "withdraw_requested", _("Withdrawal requested")
    DELETE_REQUESTED = "delete_requested", _("Deletion requested")
    PUBLISHED = "published", _("Published")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    DELETED = "deleted", _("Deleted")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    GOING_BACK = "going_back", _("Going back to what stood before")
    WENT_BACK = "went_back", _("Back to what stood before")
    FROZEN = "frozen", _("Frozen: an agent is ahead of us")
    ADOPTED = "adopted", _("Adopted by an operator")
    IN_STEP = "in_step", _("All agents in step again")
    KEY_MADE = "key_made", _("Test key made")
    KEY_ROTATED = "key_rotated", _("Test key replaced")
    KEY_OFF = "key_off", _("Key switched off")
    KEY_EXPIRED = "key_expired", _("Key expired")
    ISSUER_CHANGED = "issuer_changed", _("The issuer changed its keys")
    SYNC_REQUESTED = "sync_requested", _("Bringing it to the gateways")
    SYNCED = "synced", _("In force on the gateways")


REQUEST_EVENTS = (
    EventKind.PUBLISH_REQUESTED,
    EventKind.WITHDRAW_REQUESTED,
    EventKind.DELETE_REQUESTED,
    EventKind.GOING_BACK,
    EventKind.SYNC_REQUESTED,
)
ENDED_EVENTS = (
    EventKind.PUBLISHED,
    EventKind.WITHDRAWN,
    EventKind.DELETED,
    EventKind.FAILED,
    EventKind.CANCELLED,
    EventKind.WENT_BACK,
    EventKind.SYNCED,
)


class KeyState(models.TextChoices):
    """Whether a key is let in. One that was replaced is active until its end."""

    ACTIVE = "active", _("Active")
    OFF = "off", _("Switched off")
    EXPIRED = "expired", _("Expired")


class AlarmKind(models.TextChoices):
    """What an agent carries that this control plane does not know of."""

    GENERATION_AHEAD = "generation_ahead", _("An agent is ahead of us")
    UNKNOWN_PUBLISH = "unknown_publish", _("Unknown publish")
    MORE_UNKNOWN = "more_unknown", _("More unknown publishes")
