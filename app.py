"""DGemma Play in the browser: python app.py [--model MODEL] [--port 7860]"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from rich.console import Console

with contextlib.suppress(ImportError):  # on a ZeroGPU Space it must come before torch
    import spaces  # noqa: F401  # pyright: ignore[reportMissingImports]

import dgemma_play as play  # its names are imported when they are used: --plan needs no torch
from dgemma_play import checkpoints, plan_table
from dgemma_play.runs import Runner


def parser() -> argparse.ArgumentParser:
    """The options. A Space starts the app without any, so the environment can name model and precision."""
    model = os.environ.get("DGEMMA_PLAY_MODEL") or "embedded"
    precision = os.environ.get("DGEMMA_PLAY_PRECISION") or "auto"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=model, help='"embedded", a folder or a name on the Hub.')
    parser.add_argument("--precision", default=precision, help="auto, fp32, bf16, int8 or nf4.")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    parser.add_argument("--host", help="Address to listen on; 0.0.0.0 lets your network in.")
    parser.add_argument("--port", type=int, help="Port to listen on; else the first free one from 7860.")
    parser.add_argument("--share", action="store_true", help="Also open a public link, for some days.")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="Ask visitors for this name and password.")
    parser.add_argument("--plan", action="store_true", help="Show what fits your GPU; nothing is loaded.")
    parser.add_argument("--memory", metavar="24GB", help="With --plan: the card to plan for.")
    return parser


def runner(loaded: play.Loaded) -> Runner:
    """Runs of the loaded model, one after another."""
    defaults = loaded.sampler_defaults
    return Runner(
        lambda job: play.denoise(loaded, job.prompt, job.settings), model=loaded.shown, defaults=defaults
    )


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    name, _, password = (options.auth or "").partition(":")
    if options.auth and not (name and password):
        sys.exit("--auth takes a name and a password with a colon between them, as in --auth ada:lovelace.")
    if options.share and not options.auth:
        print("--share without --auth: whoever has the link can use this machine's model while it is open.")
    try:
        if options.plan:
            sys.exit(plan_table.show(Console(), options.model, options.memory))
        checkpoints.look_at(options.model)  # what is wrong with it is told before torch takes its seconds
        print("DGemma Play is starting …", flush=True)
        loaded = play.load(options.model, options.precision, options.device)
        from dgemma_play.page import layout  # Gradio takes seconds

        auth = (name, password) if options.auth else None
        layout.serve(layout.build(runner(loaded)), options.host, options.port, share=options.share, auth=auth)
    except (play.PlayError, KeyboardInterrupt) as error:
        sys.exit(str(error) or 130)  # Ctrl-C has no words


if __name__ == "__main__":
    main()
