"""Where a person is signed in: the library's notes of sign-ins, joined with the sessions that still exist."""

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
    """The person's sessions that are still good, the newest first."""
    good = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=timezone.now())
    rows: QuerySet[UserSession] = UserSession.objects.filter(Exists(good), user=person).order_by(
        "-created_at"
    )
    return rows


def note(request: HttpRequest, person: User, *, address: str) -> None:
    """Note that the person has signed in by this browser: from where, and under which key the database knows the session."""
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


def go_on(*, was: str, now: str) -> None:
    """The same session under another secret."""
    UserSession.objects.filter(session_key=stored_key(was)).update(session_key=stored_key(now))


def end_session(person: User, session_id: int) -> None:
    """Sign one browser out. Raises NotFound for anything but a session of this person."""
    found = UserSession.objects.filter(pk=session_id, user=person)
    if not _end(found):
        raise NotFound


def end_all_sessions(person: User) -> None:
    """Sign every browser out."""
    _end(UserSession.objects.filter(user=person))


def end_other_sessions(person: User, *, but: str) -> None:
    """Sign every browser out but the one with this secret."""
    _end(UserSession.objects.filter(user=person).exclude(session_key=stored_key(but)))


def forget_expired() -> None:
    """Drop sessions that have expired, and the notes of sessions that are gone; the sweep calls this."""
    Session.objects.filter(expire_date__lt=Now()).delete()
    UserSession.objects.filter(~Exists(Session.objects.filter(session_key=OuterRef("session_key")))).delete()


def _end(rows: QuerySet[UserSession]) -> int:
    keys = list(rows.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    return len(keys)
