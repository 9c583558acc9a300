"""Is it in use? Lower apps ask here before they deactivate or delete; higher apps register who can tell."""

from collections.abc import Callable
from uuid import UUID

Question = Callable[[UUID], int]

_users: dict[str, list[Question]] = {}


def register(kind: str, question: Question) -> None:
    """Let `question` be asked how many live users the thing of that kind ("product", "gateway", "cluster") has."""
    _users.setdefault(kind, []).append(question)


def count(kind: str, thing_id: UUID) -> int:
    """How many users the thing has, over all who registered."""
    return sum(question(thing_id) for question in _users.get(kind, []))
