"""Executable on-call runbooks: one notebook per alert, every answer recorded, every run replays."""

import logging

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent, unless somebody listens
