"""Writes a quantized copy to a folder: python -m dgemma_play.quantize SOURCE TARGET

SOURCE is a folder or a name on the Hub; TARGET becomes a checkpoint that loads anywhere as --model TARGET,
with nothing left to quantize: for another machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich import filesize

from . import checkpoints
from .disk import is_folder
from .errors import LoadError
from .plan import gib, plan
from .recipes import RECIPES, copy_recipe


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dgemma_play.quantize", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("source", help="A folder or a name on the Hub.")
    parser.add_argument("target", type=Path, help="The folder to write; it must not exist.")
    parser.add_argument("--precision", choices=("nf4", "int8"), default="nf4", help="How experts are kept.")
    parser.add_argument(
        "--attention",
        choices=("int8", "bf16"),
        default="int8",
        help="How attention and dense layers are kept.",
    )
    parser.add_argument("--device", default="auto", help="Where to quantize: auto, cpu, cuda, ...")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 for input that was refused, with its sentence on stderr; 130 after Ctrl-C: no half copy stays."""
    options = parser().parse_args(arguments)
    try:
        target = quantize(
            options.source, options.target, options.precision, options.attention, options.device
        )
    except LoadError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    size = sum(file.stat().st_size for file in target.iterdir())
    print(f"{target}: {filesize.decimal(size)}. Play with it: python app.py --model {target}")
    return 0


def quantize(source: str, target: Path, precision: str, attention: str, device: str = "auto") -> Path:
    """Write the copy of `source` to the new folder `target`. Raises `LoadError`."""
    if is_folder(target) is not None:
        raise LoadError(f"{target} exists: give a folder that is yet to be made.")
    recipe = next((r for r in RECIPES[precision] if r.linears == attention), None)
    if recipe is None:
        raise LoadError(f"{precision} experts go with int8 attention only.")
    checkpoints.look_at(source)
    config = checkpoints.config_of(source)
    if copy_recipe(config) is not None:
        raise LoadError(f"{source} is a quantized copy already: copy its folder as it is.")
    size = plan(config, recipe).model
    from . import copies, loading, memory, quantization  # after the checks: importing torch takes seconds

    copies.check_space(target.resolve(), size)
    chosen, _ = loading.pick_device(device)
    free = memory.free_memory(chosen)
    if size > free:
        raise LoadError(f"The copy is made in memory: {gib(size)}, and {chosen} has {gib(free)} free.")
    quantization.check_kernels(recipe, chosen)
    checkpoint = checkpoints.find(source)
    copies.write(loading.assemble(checkpoint, recipe, chosen), checkpoint, recipe, target.resolve())
    return target


if __name__ == "__main__":
    sys.exit(main())
