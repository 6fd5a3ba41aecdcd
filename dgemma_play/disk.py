"""What lies at a path, and how much is free there; what the system refuses becomes a sentence."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

from .errors import LoadError


def is_folder(path: Path) -> bool | None:
    """Whether a folder is there; `None` where nothing is. Raises `LoadError` for what can't be looked at."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)  # from Python 3.14 on is_dir() hides every error
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:  # a folder on the way that is not ours, a name too long for the system
        raise LoadError(
            f"{str(path)!r:.80} can't be looked at: {error.strerror}. Choose a folder that may be entered."
        ) from error


def free_space(path: Path) -> tuple[Path, int]:
    """What is there nearest to `path` or above it, and the bytes free on its disk. Raises `LoadError`."""
    there = next(folder for folder in (path, *path.parents) if is_folder(folder) is not None)
    return there, shutil.disk_usage(there).free
