"""The Hugging Face Hub with quick answers: what is cached, whether a model may be had, and its download.

`from_pretrained` takes 23 to 140 seconds to notice that there is no network, and waits for ever where the
network swallows packets. So every question has a deadline here, and weights are only asked for once a name,
the right to it, its architecture and the space on disk are known.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

from .disk import free_space
from .errors import LoadError

#: What a text checkpoint consists of.
FILES = ("*.json", "*.jinja", "*.safetensors", "tokenizer.model")
#: Seconds until a silent hub counts as unreachable.
DEADLINE = 7.0
TIMEOUT = 4.0
NAME = re.compile(r"[\w.-]+/[\w.-]+")
T = TypeVar("T")


def cached(name: str) -> Path | None:
    """The newest snapshot of a model in the Hub's cache, from older clients with gaps, too; no network."""
    _check_name(name)
    try:
        # Of the same files as the download: the client knows of all others that they are missing.
        return Path(_api().snapshot_download(name, allow_patterns=list(FILES), local_files_only=True))
    except (OSError, ValueError):
        return None


def config_folder(name: str) -> Path:
    """A folder with the config.json of a model: the cached snapshot, else that file fetched."""
    folder = cached(name)
    if folder is not None and (folder / "config.json").exists():
        return folder
    _ask(name, lambda: _access(name))

    def fetch() -> str:
        # A bar for half a kilobyte would only flicker.
        disable_progress_bars()
        try:
            return _api().hf_hub_download(name, "config.json", etag_timeout=TIMEOUT)
        finally:
            enable_progress_bars()

    return Path(_ask(name, fetch)).parent


def download(name: str) -> Path:
    """Download a model, with progress on stderr; a download that was interrupted goes on where it was."""
    info = _ask(name, lambda: _access(name))
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    if not any(file.endswith(".safetensors") for file in sizes):
        raise LoadError(f"{name} has no safetensors weights on the Hub: DGemma Play can't load it.")
    _check_space(name, sum(size for file, size in sizes.items() if Path(file).suffix == ".safetensors"))
    try:
        # By branch, not commit: only so the cache remembers which snapshot the bare name means.
        folder = _api().snapshot_download(name, allow_patterns=list(FILES), etag_timeout=TIMEOUT)
    except Exception as error:  # httpx's errors have no base that all versions of the hub's client share
        raise _sentence(name, error) from error
    return Path(folder)


def _access(name: str) -> Any:
    """What the Hub says of a model that may be downloaded from here."""
    info = _api().model_info(name, files_metadata=True, timeout=TIMEOUT)
    if info.gated:
        _api().auth_check(name)
    return info


def _api() -> HfApi:
    return HfApi(endpoint=constants.ENDPOINT)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise LoadError(
            f"{name!r:.80} is no folder here and no name on the Hub: those look like"
            " google/diffusiongemma-26B-A4B-it."
        )


def _check_space(name: str, needed: int) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    there, free = free_space(cache)
    have = sum(file.stat().st_size for file in cache.glob(f"models--{name.replace('/', '--')}/blobs/*"))
    if needed - have > free:
        raise LoadError(
            f"{name} takes {(needed - have) / 1e9:.1f} GB more on disk, and {there} has"
            f" {free / 1e9:.1f} GB free. Free some space, or set HF_HOME to a folder on a larger disk."
        )


def _ask(name: str, question: Callable[[], T]) -> T:
    """The answer, within the deadline: a connection that hangs is left to a thread that ends with us."""
    answer: list[T] = []
    failure: list[Exception] = []

    def work() -> None:
        try:
            answer.append(question())
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    if answer:
        return answer[0]
    error = failure[0] if failure else TimeoutError("no answer")
    raise _sentence(name, error) from error


def _sentence(name: str, error: Exception) -> LoadError:
    """What went wrong, and what to do; the cause of an error tells more than its wrapping."""
    page = f"{constants.ENDPOINT}/{name}"
    causes = [error]
    while (cause := causes[-1].__cause__) is not None and isinstance(cause, Exception):
        causes.append(cause)

    def found(*kinds: type[Exception]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    status = next((e.response.status_code for e in causes if isinstance(e, HfHubHTTPError)), None)
    unreachable = any(type(e).__module__.startswith("httpx") for e in causes)
    if found(GatedRepoError):
        text = (
            f"{name} asks for its terms to be accepted. Do so at {page}, then log in here: hf auth login"
            " (or set HF_TOKEN)."
        )
    elif status == 401 and not found(RepositoryNotFoundError):
        text = "The Hub refuses this machine's token. Log in again: hf auth login (or correct HF_TOKEN)."
    elif found(RepositoryNotFoundError):
        text = f"The Hub has no model {name}, or it is private: check the name, or log in with hf auth login."
    elif found(OfflineModeIsEnabled):
        text = f"{name} is not in the cache and HF_HUB_OFFLINE is set. Unset it, then: hf download {name}"
    elif any(getattr(e, "errno", None) == 28 for e in causes):
        text = (
            f"The disk is full: {constants.HF_HUB_CACHE} has no room for {name}. Free some, or set HF_HOME;"
            f" then go on with: hf download {name}"
        )
    elif status is not None and (status == 429 or status >= 500):
        text = f"The Hub can't answer now (error {status}). Try again later, or: hf download {name}"
    elif unreachable or found(LocalEntryNotFoundError, TimeoutError, ConnectionError):
        text = (
            f"{name} is not in the cache, and {constants.ENDPOINT} does not answer."
            f" With a network, get it by: hf download {name}"
        )
    elif found(HFValidationError):
        text = f"{name!r:.80} is no name on the Hub."
    else:
        text = (
            f"{name} could not be had from the Hub: {str(error).splitlines()[0] if str(error) else error!r}"
        )
    return LoadError(text)
