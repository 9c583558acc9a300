"""What was seen in each fault and how long it took, printed at the end of a run."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Line:
    """One fault."""

    fault: str
    outcome: str
    seconds: float
    bound_s: float | None

    def __str__(self) -> str:
        bound = f"≤ {self.bound_s:g} s" if self.bound_s else ""
        return f"{self.fault:5} {self.seconds:6.1f} s  {bound:8}  {self.outcome}"


_lines: list[Line] = []


def note(fault: str, outcome: str, *, seconds: float, bound_s: float | None = None) -> None:
    """Keep a measured fault for the table."""
    _lines.append(Line(fault=fault, outcome=outcome, seconds=seconds, bound_s=bound_s))


def lines() -> list[Line]:
    """All that were noted, by fault."""
    return sorted(
        _lines,
        key=lambda line: (int("".join(filter(str.isdigit, line.fault)) or 0), line.fault, line.outcome),
    )
