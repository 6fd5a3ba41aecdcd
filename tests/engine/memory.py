"""What a call takes of memory at its peak, as PyTorch's allocator counts it: operators' temporaries too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def peak_bytes(work: Callable[[], object]) -> int:
    """Most bytes that `work` holds at once on the CPU, beyond what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    assert profiler.profiler is not None
    assert profiler.profiler.kineto_results is not None
    events = profiler.profiler.kineto_results.events()
    memory: list[Any] = [event for event in events if event.name() == "[memory]"]
    changes = sorted((event.start_ns(), event.nbytes()) for event in memory)
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak
