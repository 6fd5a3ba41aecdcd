"""The 26B with random weights on one GPU, per precision: bytes, speed, and where a pass's time goes.

    python benchmarks/model_26b.py              the released shape, on a CUDA device
    python benchmarks/model_26b.py --small      a scaled-down shape, also on a processor

Weights are drawn and packed module by module on the device, by the code that loads a checkpoint, so neither
the 52 GB file nor the host memory for it is needed. Random canvases never settle: every draft takes all its
passes, and the tokens per second of a real run follow from how many passes it needs. transformers' generate()
runs on the same modules. The roofline uses this device's own bandwidth and matrix speed, measured first.
Sizes are in GiB; a processor's peaks are those of this process since it began. The last line is one JSON
document.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import DiffusionGemmaConfig

from dgemma_play import Run, Settings, quantization, sampler
from dgemma_play.denoiser import TransformersDenoiser
from dgemma_play.memory import memory_errors
from dgemma_play.plan import GIB, RESERVE, active_parameters, plan, released_config
from dgemma_play.recipes import RECIPES, RELEASED, WIDTH, Recipe, Weight, weights
from dgemma_play.trace import ModelFacts, RunFacts

SMALL = {
    "hidden_size": 256,
    "intermediate_size": 192,
    "moe_intermediate_size": 64,
    "num_experts": 16,
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "global_head_dim": 64,
    "vocab_size": 8192,
}


def sync(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device, repeat: int = 1) -> float:
    sync(device)
    began = time.perf_counter()
    for _ in range(repeat):
        work()
    sync(device)
    return (time.perf_counter() - began) / repeat


# --- the model -----------------------------------------------------------------------------------


def drawn(weight: Weight, generator: torch.Generator) -> Tensor:
    """Random values as trained ones are in scale: decisive routing, soft attention, unit embeddings."""
    device = generator.device
    if len(weight.shape) == 1:
        value = weight.shape[0] ** -0.5 if weight.name.endswith("q_norm.weight") else 1.0
        return torch.full(weight.shape, value, dtype=torch.bfloat16, device=device)
    std = 1.0 if "router" in weight.name else weight.shape[-1] ** -0.5 if "embed" in weight.name else 0.02
    values = torch.empty(weight.shape, dtype=torch.bfloat16, device=device)
    return values.normal_(0, std, generator=generator)


def build(config: Mapping[str, Any], recipe: Recipe, device: torch.device) -> Any:
    model = quantization.skeleton(DiffusionGemmaConfig.from_dict(dict(config)), recipe)
    generator = torch.Generator(device).manual_seed(0)
    for weight in weights(config):
        values = drawn(weight, generator)
        quantization.put(model, weight.name, values, quantization.DTYPES[recipe.dtype], device)
    model.generation_config.eos_token_id = None
    return quantization.finish(model, device)


def stored(model: Any) -> dict[str, int]:
    """Bytes on the device by part; what encoder and decoder share counts once."""
    parts: dict[str, dict[int, int]] = defaultdict(dict)
    names = {
        ".experts.": "experts",
        ".self_attn.": "attention",
        ".mlp.": "dense",
        "embed_tokens": "embeddings",
    }
    for name, tensor in model.state_dict().items():
        part = next((part for key, part in names.items() if key in name and "_norm" not in name), "other")
        if name != "lm_head.weight":
            parts[part][tensor.data_ptr()] = tensor.nbytes
    return {part: sum(sizes.values()) for part, sizes in parts.items()}


# --- runs ----------------------------------------------------------------------------------------


class NoWords:
    """A vocabulary for runs that nobody reads."""

    def words(self, ids: Any) -> list[str]:
        return [""] * len(ids)

    def text(self, ids: Any) -> str:
        return ""


def run_of(denoiser: TransformersDenoiser, prompt: list[int], drafts: int, steps: int) -> Run:
    values: dict[str, Any] = {"drafts": drafts, "steps": steps, "seed": 1, "confidence_threshold": 0}
    facts = RunFacts(
        prompt=({"role": "user", "content": "random"},),
        model=ModelFacts("random", "", "", str(denoiser.device), drafts),
        settings=Settings(**values, max_new_tokens=denoiser.canvas_length).resolve({}),
        canvas_length=denoiser.canvas_length,
        eos_ids=(),
    )
    return Run(facts, prompt, denoiser, NoWords())


def engine_pass(denoiser: TransformersDenoiser, prompt: list[int], drafts: int, steps: int) -> dict[str, Any]:
    """Seconds until the first pass is done, and of each further one; and the rows that memory left."""
    run = run_of(denoiser, prompt, drafts, steps)
    ends: list[float] = []
    began = time.perf_counter()
    for frame in run:  # frames of a pass come after its arithmetic: they are copied to the host
        if frame.step > len(ends):
            ends.append(time.perf_counter() - began)
    sync(denoiser.device)
    whole = time.perf_counter() - began
    return {"first": ends[0], "pass": (whole - ends[0]) / (steps - 1), "rows": run.facts.model.rows}


def generate_pass(model: Any, prompt: list[int], drafts: int, steps: int) -> float | None:
    """Seconds of a pass in generate(), the prompt's encoding taken out; `None` if it does not fit."""
    device = model.device
    ids = torch.tensor([prompt], device=device).repeat(drafts, 1)
    model.generation_config.confidence_threshold = 1e-12  # it has no "off"

    def write(count: int) -> None:
        model.generate(ids, max_new_tokens=model.config.canvas_length, max_denoising_steps=count)

    try:
        with memory_errors():
            write(1)
            return (seconds_of(lambda: write(steps), device) - seconds_of(lambda: write(1), device)) / (
                steps - 1
            )
    except torch.OutOfMemoryError:
        return None


# --- where the time goes ---------------------------------------------------------------------------


@contextmanager
def stopwatch(model: Any, denoiser: TransformersDenoiser) -> Iterator[dict[str, float]]:
    """Seconds by part while it is open. The device is waited for around each part, so that parts add up."""
    spent: dict[str, float] = defaultdict(float)
    with ExitStack() as patches:

        def watch(owner: Any, name: str, part: str) -> None:
            before = getattr(owner, name)

            def timed(*args: Any, **kwargs: Any) -> Any:
                result: list[Any] = []
                spent[part] += seconds_of(lambda: result.append(before(*args, **kwargs)), denoiser.device)
                return result[0]

            patches.enter_context(patch.object(owner, name, timed))

        for layer in model.model.decoder.layers:
            watch(layer.experts, "forward", "experts")
            watch(layer.self_attn, "forward", "attention")
            watch(layer.mlp, "forward", "dense")
            if isinstance(layer.experts, quantization.QuantizedExperts):
                watch(layer.experts, "_unpacked", "unpacking experts")
        for name, part in (("decode", "decoder"), ("logits", "head"), ("soft_embedding", "soft embedding")):
            watch(denoiser, name, part)
        watch(sampler, "decide", "sampler")
        yield spent


@torch.inference_mode()
def where(model: Any, denoiser: TransformersDenoiser, prompt: list[int], drafts: int) -> dict[str, float]:
    """Milliseconds of a pass by part."""
    generator = torch.Generator(denoiser.device).manual_seed(0)
    context = denoiser.batch([denoiser.encode(torch.tensor(prompt, device=denoiser.device))] * drafts)
    shape = (drafts, denoiser.canvas_length)
    canvases = torch.randint(denoiser.vocab_size, shape, device=denoiser.device, generator=generator)
    soft = torch.stack([denoiser.no_guess()] * drafts)
    passes = 3

    def one_pass() -> None:
        for hidden in denoiser.decode(context, canvases, soft):
            logits = denoiser.logits(hidden)
            sampler.decide(logits, entropy_bound=0.1, rivals=5, generator=generator)
            denoiser.soft_embedding(logits)

    one_pass()
    with stopwatch(model, denoiser) as spent:
        for _ in range(passes):
            one_pass()
    parts = {part: 1000 * seconds / passes for part, seconds in spent.items()}
    inside = sum(parts[part] for part in ("experts", "attention", "dense"))
    parts["router, norms, rest"] = parts.pop("decoder") - inside
    parts["experts"] -= parts.get("unpacking experts", 0.0)
    return parts


# --- the roofline ----------------------------------------------------------------------------------


def device_speed(device: torch.device) -> tuple[float, float]:
    """Bytes per second of a copy (read and written), and operations per second of a bf16 product."""
    size = 2**28 if device.type == "cuda" else 2**25
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    side = 8192 if device.type == "cuda" else 512
    left = torch.randn(side, side, device=device).bfloat16()
    for warm in (lambda: target.copy_(source), lambda: left @ left):
        warm()
    copied = seconds_of(lambda: target.copy_(source), device, repeat=5)
    multiplied = seconds_of(lambda: left @ left, device, repeat=5)
    return 2 * size / copied, 2 * side**3 / multiplied


def roofline(config: Mapping[str, Any], recipe: Recipe, drafts: int, speed: tuple[float, float]) -> float:
    """Least seconds of a pass: part by part all weights moved or all arithmetic done, whichever takes longer.

    Packed weights are read, written unpacked, and read again. Logits and activations are free here.
    """
    bandwidth, operations = speed
    tokens = drafts * config["canvas_length"]
    text = config["text_config"]
    moved: dict[str, float] = defaultdict(float)
    computed: dict[str, float] = defaultdict(float)
    for weight in weights(config):
        if len(weight.shape) < 2:
            continue
        kind, full = recipe.kind(weight.group), weight.bytes(recipe.dtype)
        moved[weight.group] += full if kind in WIDTH else weight.bytes(kind) + 2 * full
        share = text["top_k_experts"] / text["num_experts"] if weight.group == "experts" else 1
        uses = 2 if weight.group == "embeddings" else 1  # the head, and the soft embedding
        computed[weight.group] += 2 * uses * tokens * share * full / WIDTH[recipe.dtype]
    return sum(max(moved[group] / bandwidth, computed[group] / operations) for group in moved)


# --- the report ------------------------------------------------------------------------------------


def fits(config: Mapping[str, Any], recipe: Recipe, device: torch.device) -> bool:
    """Whether a GPU has room for one draft; a processor is left to its owner."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return plan(config, recipe).rows_in(free - RESERVE) > 0


def peak_memory(device: torch.device) -> dict[str, int]:
    """Bytes at the peak: of the GPU since the last reset, else of this process since it began.

    `reserved` is what PyTorch took of the GPU for them, gaps included.
    """
    if device.type != "cuda":
        return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    return {
        "peak": torch.cuda.max_memory_allocated(device),
        "reserved": torch.cuda.max_memory_reserved(device),
    }


def forget_peaks(device: torch.device) -> None:
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def measure(
    config: Mapping[str, Any], recipe: Recipe, asked: argparse.Namespace, speed: Any
) -> dict[str, Any]:
    """All figures of one recipe."""
    device = asked.device
    began = time.perf_counter()
    model = build(config, recipe, device)
    sync(device)
    result: dict[str, Any] = {
        "recipe": recipe.key,
        "build_seconds": time.perf_counter() - began,
        "build": peak_memory(device),
        "bytes": stored(model),
        "planned": plan(config, recipe).groups,
        "runs": [],
    }
    denoiser = TransformersDenoiser(model)
    text: list[int] = torch.randint(denoiser.vocab_size, (max(asked.prompts),)).tolist()
    engine_pass(denoiser, text[: min(asked.prompts)], 1, 2)  # the first run waits for libraries to be loaded
    for length in asked.prompts:
        prompt = text[:length]
        for drafts in asked.drafts:
            forget_peaks(device)
            run = {"prompt": length, "drafts": drafts} | engine_pass(denoiser, prompt, drafts, asked.steps)
            run |= peak_memory(device)
            run["planned"] = plan(config, recipe, length + denoiser.canvas_length).needs(run["rows"])
            run["tokens_at_48"] = drafts * denoiser.canvas_length / (run["first"] + 47 * run["pass"])
            run["roofline"] = roofline(config, recipe, drafts, speed)
            run["generate"] = generate_pass(model, prompt, drafts, asked.steps) if asked.generate else None
            result["runs"].append(run)
    result["where"] = where(model, denoiser, text[: asked.prompts[0]], min(4, max(asked.drafts)))
    return result


def report(console: Console, result: dict[str, Any]) -> None:
    sizes = ", ".join(f"{part} {size / GIB:.3f}" for part, size in result["bytes"].items())
    total, planned = sum(result["bytes"].values()), sum(result["planned"].values())
    console.print(f"\n{result['recipe']}: built in {result['build_seconds']:.1f} s", style="bold")
    console.print(
        f"GiB: {sizes}; all {total / GIB:.3f}, planned {planned / GIB:.3f}, at the peak of building"
        f" {result['build']['peak'] / GIB:.2f}",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    for name in (
        "prompt",
        "drafts",
        "rows",
        "peak GiB",
        "reserved",
        "planned",
        "ms/pass",
        "roofline",
        "generate()",
        "tok/s at 48 passes",
    ):
        table.add_column(name, justify="right")
    for run in result["runs"]:
        theirs = f"{1000 * run['generate']:.1f}" if run["generate"] else "–"
        table.add_row(
            *(str(run[name]) for name in ("prompt", "drafts", "rows")),
            *(f"{run[name] / GIB:.2f}" if name in run else "–" for name in ("peak", "reserved", "planned")),
            *(f"{1000 * run['pass']:.1f}", f"{1000 * run['roofline']:.1f}"),
            *(theirs, f"{run['tokens_at_48']:.0f}"),
        )
    console.print(table)
    parts = sorted(result["where"].items(), key=lambda item: -item[1])
    console.print("ms of a pass: " + ", ".join(f"{part} {ms:.1f}" for part, ms in parts), soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="A scaled-down shape, for a processor.")
    parser.add_argument("--precision", nargs="+", default=["bf16", "int8", "nf4"], choices=list(RECIPES))
    parser.add_argument("--drafts", nargs="+", type=int, default=[1, 4, 8, 16])
    parser.add_argument("--prompts", nargs="+", type=int, default=[256, 2048])
    parser.add_argument("--steps", type=int, default=6, help="Passes to time; the first one warms up.")
    parser.add_argument("--no-generate", dest="generate", action="store_false", help="Leave generate() out.")
    parser.add_argument("--device", type=torch.device, default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    config = dict(released_config(RELEASED) or {})
    if asked.small:
        config["text_config"] = config["text_config"] | SMALL
        config["canvas_length"] = 64
    elif asked.device.type != "cuda":
        parser.error("the released shape needs a CUDA device; --small runs anywhere")
    torch.set_num_threads(1)  # more would wait for each other where neighbours are busy
    name = torch.cuda.get_device_name(asked.device) if asked.device.type == "cuda" else "processor"
    speed = device_speed(asked.device)
    console = Console(width=max(100, Console().width))
    console.print(
        f"{name}: copies at {speed[0] / 1e9:.0f} GB/s, multiplies bf16 at {speed[1] / 1e9:.0f} GFLOP/s;"
        f" {active_parameters(config) / 1e9:.3f} B parameters per token"
    )
    results = []
    for recipe in (recipe for precision in asked.precision for recipe in RECIPES[precision]):
        forget_peaks(asked.device)  # and the last model with them
        if not fits(config, recipe, asked.device):
            console.print(f"\n{recipe.key}: does not fit this GPU")
            continue
        results.append(measure(config, recipe, asked, speed))
        report(console, results[-1])
    print(json.dumps({"device": name, "torch": torch.__version__, "speed": speed, "results": results}))


if __name__ == "__main__":
    main()
