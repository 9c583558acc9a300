#!/usr/bin/env python
"""Django's command line for imp-gateway."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:
        hint = (
            "Settings come from the environment (docs/operations.md lists them); with the demo running, "
            'use its own: make manage ARGS="..."'
        )
        sys.exit(f"{problem}\n{hint}")
