"""Memory: how much of a device is free, and errors that say in many ways that it ran out."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import psutil
import torch

#: What is said when memory runs out elsewhere than in PyTorch's GPU allocator: in cuBLAS, the driver, RAM.
SIGNS = (
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDA error: out of memory",
    "DefaultCPUAllocator: ",
)


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU, or of this machine for any other device, that nobody uses."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


@contextmanager
def memory_errors() -> Generator[None]:
    """In here memory that runs out is always a `torch.OutOfMemoryError`."""
    try:
        yield
    except RuntimeError as error:
        if any(sign in str(error) for sign in SIGNS):
            raise torch.OutOfMemoryError(str(error)) from error
        raise
