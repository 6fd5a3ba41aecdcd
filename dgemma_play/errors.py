"""Everything that can go wrong in a way that a person can mend.

    PlayError
    ├── InputError          a setting, prompt or start was refused
    ├── TraceError          a trace file was refused
    ├── LoadError           a model could not be loaded
    └── BusyError           no place in line for another run

`str(error)` is a whole sentence that names what was given, what is allowed and what to do. The page, the
terminal and the API show that sentence and nothing else.
"""

from __future__ import annotations


class PlayError(Exception):
    """Base of all errors with a sentence for the person at the keyboard."""


class InputError(PlayError):
    """A setting, a prompt or a start is outside what the engine accepts."""


class TraceError(PlayError):
    """A trace file is damaged, too large, of an unknown version, or not a trace at all."""


class LoadError(PlayError):
    """A checkpoint is missing, of another architecture, or does not suit this machine."""


class BusyError(PlayError):
    """The line is full, or this visitor has a run already."""
