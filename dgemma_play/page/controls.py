"""The settings column: one control per knob, from the settings table and the checkpoint's own defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from dgemma_play.settings import KNOBS, MAX_PROMPT, MAX_SEED


@dataclass(frozen=True)
class Example:
    """A prompt to try, and what there is to see in it."""

    name: str
    prompt: str
    why: str


#: What a model that writes all positions at once shows better than one that writes left to right.
EXAMPLES: Sequence[Example] = (
    Example("A fox story", "Write a short story about a fox.", "Its end is often decided before its middle."),
    Example(
        "A dialogue",
        "Write a dialogue between a fox and an owl.",
        "The answer can stand before the question is asked.",
    ),
    Example("A rhyme", "Write two lines that rhyme about a cat.", "Both lines take shape at the same time."),
    Example("A function", "Write a Python function that adds two numbers.", "Its last line can come first."),
    Example("A haiku", "Write a haiku about a frog.", "Its line breaks stand before its words."),
    Example(
        "First lines",
        "Write the opening line of a novel about a lighthouse.",
        "Eight first lines to pick from.",
    ),
)

LABELS: Mapping[str, str] = {
    "drafts": "Drafts",
    "steps": "Steps",
    "t_max": "Temperature at the start",
    "t_min": "Temperature at the end",
    "entropy_bound": "Doubt accepted per step",
    "stability_threshold": "Hold still for",
    "confidence_threshold": "Doubt left when stopping",
    "max_new_tokens": "Answer length",
}

#: Lowest, highest and step of each slider; a knob may reach further, for the API and the command line.
SPANS: Mapping[str, tuple[float, float, float]] = {
    "drafts": (1, 32, 1),
    "steps": (1, 128, 1),
    "t_max": (0.05, 2, 0.05),
    "t_min": (0.05, 2, 0.05),
    "entropy_bound": (0.01, 2, 0.01),
    "stability_threshold": (0, 8, 1),
    "confidence_threshold": (0, 0.1, 0.001),
}
MAIN = ("drafts", "steps", "t_max", "t_min")
ADVANCED = ("entropy_bound", "stability_threshold", "confidence_threshold", "max_new_tokens")


@dataclass(frozen=True, eq=False)
class Controls:
    """The components of the column that events need."""

    prompt: gr.Textbox
    system: gr.Textbox
    generate: gr.Button
    stop: gr.Button
    sliders: Mapping[str, gr.Slider]
    seed: gr.Textbox
    lock: gr.Checkbox


def piece(template: str, script: str | None = None, value: Any = None, **options: Any) -> gr.HTML:
    """A piece of the page of our own: a template without placeholders, and the script that fills it."""
    options |= {"html_template": template, "js_on_load": script, "apply_default_css": False}
    return gr.HTML(value, **options)


def build(defaults: Mapping[str, int | float], canvas_length: int, knows: str = "") -> Controls:
    """The column's components, in a Blocks context.

    `defaults` are a run's resolved settings; `knows` says what to ask a model for that knows little.
    """
    prompt = gr.Textbox(
        label="Prompt",
        value=EXAMPLES[0].prompt,
        lines=3,
        max_lines=8,
        max_length=MAX_PROMPT,
        elem_id="prompt",
        buttons=[],
    )
    with gr.Row(elem_id="examples"):
        for example in EXAMPLES:
            chip = gr.Button(example.name, size="sm")
            # In the browser alone: the page's script fills the prompt as if it had been typed.
            chip.click(
                None, None, None, js=f"() => DGemmaPage.ask({json.dumps([example.prompt, example.why])})"
            )
    if knows:
        piece(KNOWS, "element.querySelector('#knows').textContent = props.value", knows)
    piece(NOTICE, elem_id="notice-box")
    with gr.Row(elem_id="go"):
        generate = gr.Button("Generate", variant="primary", elem_id="generate")
        stop = gr.Button("Stop", variant="stop", elem_id="stop")
    piece(FOLD, elem_id="fold-box")
    with gr.Column(elem_id="settings"):
        sliders = {name: _slider(name, defaults, canvas_length) for name in MAIN}
        with gr.Row(elem_id="seed-row"):
            # A text box: a number box would show a seed of 0 where there is none.
            seed = gr.Textbox(
                label="Seed", max_lines=1, placeholder="new each run", elem_id="seed", buttons=[]
            )
            lock = gr.Checkbox(label="Lock", value=False, elem_id="lock", min_width=44)
            dice = gr.Button("Dice", size="sm", elem_id="dice", min_width=32)
        piece(f'<p class="hint">{KNOBS["seed"].help}</p>')
        dice.click(
            None, None, [seed, lock], js=f"() => [String(Math.floor(Math.random() * {MAX_SEED - 31})), true]"
        )
        # A seed that somebody types is meant; one that a run drew gives way to the next.
        seed.input(None, None, lock, js="() => true")
        seed.change(None, [seed, lock], lock, js="(seed, locked) => [seed.trim() !== '' && locked]")
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            sliders |= {name: _slider(name, defaults, canvas_length) for name in ADVANCED}
            system = gr.Textbox(
                label="System prompt",
                info="Said to the model before the prompt: a role, a voice, a rule that all drafts keep to.",
                lines=2,
                max_lines=6,
                max_length=MAX_PROMPT // 2,
                elem_id="system",
                buttons=[],
                visible=not knows,  # such a model would take it for a part of the prompt
            )
    return Controls(prompt, system, generate, stop, sliders, seed, lock)


def _slider(name: str, defaults: Mapping[str, int | float], canvas_length: int) -> gr.Slider:
    value, entry = defaults[name], KNOBS[name]
    low, high, step = SPANS.get(name, (canvas_length, 8 * canvas_length, canvas_length))
    options: dict[str, Any] = {"precision": 0} if entry.whole else {}
    return gr.Slider(
        min(low, value),
        max(high, value),
        value,
        step=step,
        label=LABELS[name] + (f" ({entry.unit})" if entry.unit and name not in MAIN else ""),
        info=entry.help,
        elem_id=f"knob-{name.replace('_', '-')}",
        buttons=[],
        **options,
    )


KNOWS = '<p id="knows" class="hint"></p>'
NOTICE = '<p id="notice" role="alert" hidden></p><p id="why" hidden></p>'
FOLD = (
    '<button id="fold" type="button" aria-expanded="false" aria-controls="settings">'
    '<b>Settings</b> <span id="fold-line"></span></button>'
    '<select id="earlier" aria-label="Earlier prompts" hidden></select>'
)
