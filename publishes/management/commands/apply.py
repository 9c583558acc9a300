"""Make a workspace what a file says; the second time nothing is left to do."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from core.commands import EXIT_USAGE, TerminalCommand
from core.problems import Problem
from publishes.choices import Phase
from publishes.declarations.files import File, load
from publishes.declarations.plan import Step, plan, prune
from publishes.management.waiting import (
    EXIT_DIFFERS,
    EXIT_FAILED,
    EXIT_PARTIAL,
    EXIT_TIMED_OUT,
    add_wait_arguments,
    message_for,
    tenant_actor,
    wait,
)
from publishes.models import Operation
from tenants.actors import Actor


class Command(TerminalCommand):
    """`manage.py apply --tenant SLUG -f FILE [--dry-run] [--prune] [--wait] [--timeout SECONDS]`."""

    help = (
        "Exit code 0 when all is done, 1 when the file is wrong, 2 when --dry-run found differences, "
        "3 when a part failed, 4 when all did, 5 too late."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("-f", "--file", required=True, help="a YAML file; - reads standard input")
        parser.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
        parser.add_argument(
            "--prune",
            action="store_true",
            help="take away what carries the file's namespace and is not in it any more",
        )
        add_wait_arguments(parser)

    def handle(self, *_args: Any, tenant: str, file: str, timeout: float, **options: Any) -> None:
        actor = tenant_actor(tenant)
        declared, steps = self._plan(actor, file, is_pruning=options["prune"])
        for step in steps:
            self.stdout.write(str(step))
        if not steps:
            self.stdout.write(_("Nothing to do."))
        elif options["dry_run"]:
            raise CommandError(
                _("%(n)d to do; nothing was done.") % {"n": len(steps)}, returncode=EXIT_DIFFERS
            )
        else:
            self._do(
                steps,
                timeout=timeout if options["wait"] else None,
                again=lambda: prune(actor, declared) if options["prune"] else [],
            )

    def _plan(self, actor: Actor, file: str, *, is_pruning: bool) -> tuple[File, list[Step]]:
        try:
            declared = load(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
            return declared, plan(actor, declared) + (prune(actor, declared) if is_pruning else [])
        except OSError as problem:
            raise CommandError(
                _("%(file)s cannot be read: %(reason)s.") % {"file": file, "reason": problem.strerror},
                returncode=EXIT_USAGE,
            ) from problem
        except UnicodeDecodeError as problem:
            raise CommandError(
                _("%(file)s is not a text in UTF-8.") % {"file": file}, returncode=EXIT_USAGE
            ) from problem
        except Problem as problem:
            raise CommandError(message_for(problem), returncode=EXIT_USAGE) from problem

    def _do(self, steps: Sequence[Step], *, timeout: float | None, again: Callable[[], list[Step]]) -> None:
        operations, failed = self._run(steps)
        if timeout is not None:
            operations = wait(operations, stderr=self.stderr, timeout=timeout)
            if any(
                operation.kind == "withdraw" for operation in operations
            ):  # what was live could not be deleted before
                more, refused = self._run(again())
                operations, failed = (
                    operations + wait(more, stderr=self.stderr, timeout=timeout),
                    failed + refused,
                )
            failed += [
                f"{operation.kind}: {operation.error or operation.phase}"
                for operation in operations
                if _has_failed(operation)
            ]
        for text in failed:
            self.stderr.write(text)
        if timeout is not None and any(operation.is_open for operation in operations):
            raise CommandError(
                _("Not done after %(s)g s; it goes on without us.") % {"s": timeout},
                returncode=EXIT_TIMED_OUT,
            )
        if failed:
            code = EXIT_FAILED if len(failed) >= len(steps) else EXIT_PARTIAL
            raise CommandError(
                _("%(n)d of %(all)d failed.") % {"n": len(failed), "all": len(steps)}, returncode=code
            )
        self.stdout.write(
            _("Done.")
            if timeout is not None or not operations
            else _("Asked for; --wait waits until it is done.")
        )

    @staticmethod
    def _run(steps: Sequence[Step]) -> tuple[list[Operation], list[str]]:
        operations, failed = [], []
        for step in steps:
            try:
                operation = step.run()
            except Problem as problem:
                failed.append(f"{step.verb} {step.kind} {step.name}: {message_for(problem)}")
            else:
                operations += [operation] if operation is not None else []
        return operations, failed


def _has_failed(operation: Operation) -> bool:
    return not operation.is_open and operation.phase != Phase.SUCCEEDED
