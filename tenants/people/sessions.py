"""A person's sessions: the library's notes of sign-ins, joined with the sessions that still exist."""

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from core.problems import NotFound
from core.security.sessions import stored_key
from tenants.models import User

USER_AGENT_MAX = UserSession._meta.get_field("user_agent").max_length


def sessions_of(person: User) -> QuerySet[UserSession]:
    """The person's unexpired sessions, the newest first."""
    unexpired = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=timezone.now())
    rows: QuerySet[UserSession] = UserSession.objects.filter(Exists(unexpired), user=person).order_by(
        "-created_at"
    )
    return rows


def note(request: HttpRequest, person: User, *, address: str) -> None:
    """Note a sign-in: its address, browser, and the database's key of the session."""
    if not request.session.session_key:
        request.session.save()
    UserSession.objects.update_or_create(
        session_key=stored_key(str(request.session.session_key)),
        defaults={
            "user": person,
            "ip": address,
            "user_agent": request.headers.get("User-Agent", "")[:USER_AGENT_MAX],
        },
    )


def rename(*, old: str, new: str) -> None:
    """Keep the note when a session gets a new secret."""
    UserSession.objects.filter(session_key=stored_key(old)).update(session_key=stored_key(new))


def end_session(person: User, session_id: int) -> None:
    """Sign one browser out. Raises NotFound unless the session is this person's."""
    session = UserSession.objects.filter(pk=session_id, user=person)
    if not _end(session):
        raise NotFound


def end_all_sessions(person: User) -> None:
    """Sign every browser out."""
    _end(UserSession.objects.filter(user=person))


def end_other_sessions(person: User, *, but: str) -> None:
    """Sign every browser out but the one with this secret."""
    _end(UserSession.objects.filter(user=person).exclude(session_key=stored_key(but)))


def forget_expired() -> None:
    """Delete expired sessions, and notes of sessions that no longer exist; the sweep calls this."""
    Session.objects.filter(expire_date__lt=Now()).delete()
    UserSession.objects.filter(~Exists(Session.objects.filter(session_key=OuterRef("session_key")))).delete()


def _end(rows: QuerySet[UserSession]) -> int:
    keys = list(rows.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    return len(keys)
