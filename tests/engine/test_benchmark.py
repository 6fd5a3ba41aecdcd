"""The benchmark of the 26B runs, scaled down, on a processor too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_26b_benchmark_tells_bytes_memory_speed_and_where_the_time_goes() -> None:
    tiny = ["--small", "--precision", "int8", "--drafts", "1", "--prompts", "16", "--steps", "2"]
    command = [sys.executable, ROOT / "benchmarks" / "model_26b.py", *tiny]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (result,) = json.loads(done.stdout.splitlines()[-1])["results"]
    assert result["bytes"] == result["planned"], "what was built is what was planned"
    (run,) = result["runs"]
    assert min(run[name] for name in ("pass", "generate", "tokens_at_48", "roofline", "peak", "planned")) > 0
    assert {"experts", "unpacking experts", "attention", "dense", "sampler", "head"} <= result["where"].keys()
    for word in ("peak GiB", "ms/pass", "roofline", "generate()", "tok/s", "ms of a pass"):
        assert word in done.stdout
