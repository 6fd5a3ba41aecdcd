"""The page: header, controls on the left, the player on the right, and a figure over both when asked for.

The server streams records into a hidden sink; the player, one `gr.HTML` with static template and script, does
the rest in the browser. (No subclass of it: Gradio would write a stub file beside its module.) No text of a
visitor or a model ever enters a template: Gradio would run it as code.
"""

from __future__ import annotations

import base64
import json
import socket
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.exceptions import ServerFailedToStartError

from dgemma_play.errors import PlayError
from dgemma_play.settings import Settings

from . import api, controls, events, player, theme
from .controls import piece
from .player import ASSETS

if TYPE_CHECKING:
    from dgemma_play.runs import Runner

EXAMPLE = ASSETS / "examples" / "fox.dgemma"

HEADER = """
<header class="page-top">
  <h1><svg viewBox="0 0 34 20" aria-hidden="true"><g id="page-logo"></g></svg>DGemma Play</h1>
  <nav aria-label="Page">
    <button type="button" id="page-api" popovertarget="api-sheet">API</button>
    <button type="button" id="page-theme" aria-label="Light or dark">
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <path d="M10 3a7 7 0 1 0 0 14z"/><circle cx="10" cy="10" r="7"/>
      </svg>
    </button>
  </nav>
</header>
"""
#: A key that is meant for the sheet is not one for the page.
HEADER_SCRIPT = """
DGemmaPage.header(element);
element.querySelector('#api-address').textContent = location.origin + location.pathname;
element.querySelector('#api-sheet').addEventListener('keydown', (event) => event.stopPropagation());
"""
BADGE = """
<details id="badge">
  <summary><span class="dot"></span><b id="badge-name"></b> <span id="badge-how"></span></summary>
  <ul id="badge-why"></ul>
</details>
"""
WALL = '<div id="player-root"></div>'
FIGURE_TOP = '<div id="figure-top"><button type="button" id="figure-close">Close</button></div>'

SINK_SCRIPT = """
watch('value', () => document.dispatchEvent(new CustomEvent('dgemma-sink', {detail: props.value})));
"""
#: Mounts `assets/player/`. Gradio offers exactly those events whose names stand here in quotes.
PLAYER_SCRIPT = """
const events = ['stop_draft', 'figure'];
DGemmaPage.mount(element.querySelector('#player-root'), JSON.parse(props.value), server,
  (name, data) => { if (events.includes(name)) trigger(name, data); });
"""


def example(_: None = None) -> str:
    """The recorded run of the empty state, as base64. Gradio calls it with one argument."""
    return base64.b64encode(EXAMPLE.read_bytes()).decode("ascii")


def build(runner: Runner) -> gr.Blocks:
    """The page for `runner`; nothing is launched."""
    defaults = Settings().resolve(runner.defaults).to_dict()
    model = json.dumps(dict(runner.model))
    files = events.Files()
    on = events.Events(runner, files)
    with gr.Blocks(
        title="DGemma Play", analytics_enabled=False, fill_width=True, delete_cache=(1800, 7200)
    ) as demo:
        demo.temp_file_sets.append(files.paths)
        piece(HEADER + api.sheet(), HEADER_SCRIPT, elem_id="header")
        with gr.Row(elem_id="page"):
            with gr.Column(elem_id="controls"):
                canvas_length = int(runner.model["canvas_length"])
                column = controls.build(defaults, canvas_length, runner.model.get("knows", ""))
                piece(BADGE, "DGemmaPage.badge(element, JSON.parse(props.value))", model, elem_id="badge-box")
            with gr.Column(elem_id="stage"):
                drafts = piece(WALL, PLAYER_SCRIPT, model, server_functions=[example], elem_id="player")
        with gr.Column(elem_id="figure"):
            piece(FIGURE_TOP, "DGemmaPage.figure(element)")
            plot = gr.Plot(show_label=False, container=False, elem_id="plot")
        sink = piece("", SINK_SCRIPT, "", visible="hidden")

        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        # Otherwise Gradio drops what is asked for while the one before it is on its way.
        each: dict[str, Any] = private | {"trigger_mode": "multiple"}
        inputs = [column.prompt, column.system, *column.sliders.values(), column.seed, column.lock]
        # The runner keeps the line itself and tells each visitor its place, so Gradio lets everybody in.
        generated = column.generate.click(
            on.generate(sink, column.seed, tuple(column.sliders)),
            inputs,
            [sink, column.seed],
            concurrency_limit=None,
            **private,
        )
        for end in (generated.success, generated.failure):
            end(None, None, None, js="() => DGemmaPage.over()")
        column.stop.click(on.stop, None, None, queue=False, **each)
        drafts.stop_draft(on.stop_draft, None, None, queue=False, **each)
        # One after another: of two figures the one asked for last must come last.
        drawn = drafts.figure(events.figure, None, plot, concurrency_limit=1, **each)
        drawn.success(None, None, None, js="() => DGemmaPage.drawn()")
        drawn.failure(None, None, None, js="() => DGemmaPage.undrawn()")
        gr.api(  # pyright: ignore[reportPrivateImportUsage]
            api.endpoint(runner, files), api_name="generate", concurrency_limit=None
        )
    return demo.queue(api_open=False, max_size=16)


def serve(demo: gr.Blocks, host: str | None, port: int | None, **options: Any) -> None:
    """Launch the page, say where it is, and stay until Ctrl-C.

    Raises `PlayError` for an address that is in use, not allowed, or none at all.
    """
    try:
        _try_address(host or "127.0.0.1", port)
        # Gradio's own lines speak to who writes a program, not to who runs it.
        _, url, _ = launch(
            demo, server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, **options
        )
    except (OSError, OverflowError, UnicodeError, ServerFailedToStartError) as error:
        where = f"{host or 'this machine'}, port {'from 7860 up' if port is None else port}"
        raise PlayError(
            f"The page can't be served at {where}: the port is taken or not allowed, or the address is not"
            " one of this machine. Choose another --port or --host."
        ) from error
    print(f"DGemma Play is at {url} (Ctrl-C ends it).")
    demo.block_thread()


def _try_address(host: str, port: int | None) -> None:
    """Raises `OSError` or `OverflowError` where Gradio would try port after port, for minutes.

    A host that can't be written as a name of the network, such as a..b, is a `UnicodeError`.
    """
    if port == 0:
        raise OSError("no page can be found at port 0")
    family, *_, address = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)[0]
    socket.create_server((address[0], port or 0), family=family).close()


def launch(demo: gr.Blocks, **options: Any) -> Any:
    """Launch the page as it is meant to be served; `options` are host, port, share, auth and the like."""
    return demo.launch(
        theme=theme.theme(),
        head=head(),
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        max_file_size="1kb",  # Gradio takes uploads even where nothing asks for one, and keeps them for hours
        show_error=False,
        footer_links=[],
        state_session_capacity=200,
        pwa=False,
        **options,
    )


def head() -> str:
    """Styles and scripts. Not as `css`: Gradio rewrites its selectors, and loses `body.dark` and `font`."""
    parts = ("page.css", "api.css", "page.js")
    css, sheet, script = ((ASSETS / "page" / name).read_text("utf-8") for name in parts)
    style = "\n".join([player.style(), theme.variables(), css, sheet])
    return f"<style>\n{style}\n</style>\n<script>\n{player.script()}\n{script}</script>"
