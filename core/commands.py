"""Base of all terminal commands: their language, and the exit code of a wrong command line."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import translation

EXIT_USAGE = 1
_ARGPARSE_USAGE = 2


class TerminalCommand(BaseCommand):
    """Speaks the terminal's language.

    A wrong command line exits with 1, because 2 means "something differs".
    """

    def run_from_argv(self, argv: Sequence[str]) -> None:
        self._called_from_command_line = True
        try:
            self.create_parser(argv[0], argv[1]).parse_args(list(argv[2:]))
        except SystemExit as ending:
            sys.exit(EXIT_USAGE if ending.code == _ARGPARSE_USAGE else ending.code)
        super().run_from_argv(list(argv))

    def execute(self, *args: Any, **options: Any) -> str | None:
        with translation.override(language_of(os.environ)):
            return super().execute(*args, **options)


def language_of(environ: Mapping[str, str]) -> str:
    """ "ko" or "en", by the first of LC_ALL, LC_MESSAGES and LANG that is set."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "ko" if locale.lower().partition(".")[0].partition("_")[0] == "ko" else "en"
