"""DGemma Play: a playground for DiffusionGemma, the language model that refines a whole canvas at once.

    from dgemma_play import Settings, Trace, denoise, load

    trace = Trace.record(denoise(load(), "Write a haiku about a frog.", Settings(drafts=4)))
    print(trace.texts)

Data flows one way: settings → engine → trace → codec and analysis → page. Public names are imported when they
are first used, so that `import dgemma_play.codec` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import Run, denoise
    from .errors import InputError, LoadError, PlayError, TraceError
    from .loading import Loaded, load
    from .settings import Settings
    from .start import Start
    from .trace import Frame, Trace, Track

_HOMES = {
    "errors": ("InputError", "LoadError", "PlayError", "TraceError"),
    "settings": ("Settings",),
    "trace": ("Frame", "Trace", "Track"),
    "loading": ("Loaded", "load"),
    "start": ("Start",),
    "engine": ("Run", "denoise"),
}

__all__ = [
    "Frame",
    "InputError",
    "LoadError",
    "Loaded",
    "PlayError",
    "Run",
    "Settings",
    "Start",
    "Trace",
    "TraceError",
    "Track",
    "denoise",
    "load",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
