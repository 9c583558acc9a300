"""Where a person is signed in: the library's notes of sign-ins, joined with the sessions that still exist."""

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.db.models.query import QuerySet
from django.utils import timezone

from core.problems import NotFound
from tenants.models import User


def sessions_of(person: User) -> QuerySet[UserSession]:
    """The person's sessions that are still good, the newest first."""
    good = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=timezone.now())
    rows: QuerySet[UserSession] = UserSession.objects.filter(Exists(good), user=person).order_by("-created_at")
    return rows


def end_session(person: User, session_id: int) -> None:
    """Sign one browser out. Raises NotFound for anything but a session of this person."""
    found = UserSession.objects.filter(pk=session_id, user=person)
    if not _end(found):
        raise NotFound


def end_other_sessions(person: User, *, but: str | None) -> None:
    """Sign every browser out but the one with this session key."""
    _end(UserSession.objects.filter(user=person).exclude(session_key=but))


def forget_expired() -> None:
    """Drop sessions that have expired, and the notes of sessions that are gone; the sweep calls this."""
    Session.objects.filter(expire_date__lt=Now()).delete()
    UserSession.objects.filter(~Exists(Session.objects.filter(session_key=OuterRef("session_key")))).delete()


def _end(rows: QuerySet[UserSession]) -> int:
    keys = list(rows.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    return len(keys)
