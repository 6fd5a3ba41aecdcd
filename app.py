"""DGemma Play in the browser: python app.py [--model MODEL] [--port 7860]"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

with contextlib.suppress(ImportError):  # on a ZeroGPU Space it must come before torch
    import spaces  # noqa: F401  # pyright: ignore[reportMissingImports]

from dgemma_play import Loaded, PlayError, denoise, load
from dgemma_play.page import layout
from dgemma_play.runs import Runner


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded", help='"embedded", a folder or a name on the Hub.')
    parser.add_argument("--precision", default="auto", help="How weights are kept: auto, fp32, bf16, ...")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    parser.add_argument("--host", help="Address to listen on; 0.0.0.0 lets your network in.")
    parser.add_argument("--port", type=int, help="Port to listen on; else the first free one from 7860.")
    parser.add_argument("--share", action="store_true", help="Also open a public link, for some days.")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="Ask visitors for this name and password.")
    return parser


def runner(loaded: Loaded) -> Runner:
    """Runs of the loaded model, one after another."""
    shown = ("name", "precision", "rows", "canvas_length", "reasons")
    model = {name: getattr(loaded, name) for name in shown} | {"device": str(loaded.device)}
    defaults = loaded.sampler_defaults
    return Runner(lambda job: denoise(loaded, job.prompt, job.settings), model=model, defaults=defaults)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    name, _, password = (options.auth or "").partition(":")
    if options.auth and not (name and password):
        sys.exit("--auth takes a name and a password with a colon between them, as in --auth ada:lovelace.")
    if options.share and not options.auth:
        print("--share without --auth: whoever has the link can use this machine's model while it is open.")
    try:
        demo = layout.build(runner(load(options.model, options.precision, options.device)))
    except PlayError as error:
        sys.exit(str(error))
    auth = (name, password) if options.auth else None
    layout.launch(demo, server_name=options.host, server_port=options.port, share=options.share, auth=auth)


if __name__ == "__main__":
    main()
