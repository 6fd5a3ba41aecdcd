"""A name becomes a model, or a sentence that says what to do, soon: folders, the Hub and quantized copies."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub.constants
import pytest
import torch
from huggingface_hub.utils import disable_progress_bars

from dgemma_play import (
    LoadError,
    Settings,
    checkpoints,
    copies,
    denoise,
    disk,
    hub,
    load,
    loading,
    memory,
    quantize,
)
from dgemma_play.plan import GIB
from dgemma_play.recipes import RECIPES, RELEASED
from tests.engine.checkpoints import save_checkpoint

CPU = torch.device("cpu")
NF4 = RECIPES["nf4"][1]
disable_progress_bars()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_checkpoint(tmp_path_factory.mktemp("original") / "small", num_hidden_layers=2,
                           layer_types=["sliding_attention", "full_attention"])  # fmt: skip


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(original, tmp_path / "small"))


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def state_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_is_loaded_as_the_library_would(folder: Path) -> None:
    loaded = load(str(folder), "bf16", "cpu")
    assert (loaded.precision, loaded.revision, loaded.canvas_length) == ("bf16", "", 32)
    assert loaded.reasons == ("cpu: as asked.", "bf16: as asked.")
    assert loaded.sampler_defaults["entropy_bound"] == 0.1


def test_auto_on_a_processor_is_fp32_and_says_why(folder: Path) -> None:
    loaded = load(str(folder), device="cpu")
    assert loaded.precision == "fp32"
    assert loaded.reasons[1] == "fp32: the quickest and most exact on a processor."


def test_a_model_does_not_hold_on_to_its_files(folder: Path) -> None:
    model = load(str(folder), "fp32", "cpu").model
    for shard in shards(folder):
        shard.write_bytes(b"")
    assert torch.isfinite(model.lm_head.weight).all()


def spoil_shard(folder: Path, content: Callable[[bytes], bytes]) -> None:
    path = shards(folder)[1]
    path.write_bytes(content(path.read_bytes()))


def header_with(span: str) -> bytes:
    """A weight file of one tensor that lies at `span`."""
    header = f'{{"a": {{"dtype": "BF16", "shape": [1], "data_offsets": {span}}}}}'.encode()
    return struct.pack("<Q", len(header)) + header + b"12"


def rewrite(file: str, *path: str, value: Any) -> Callable[[Path], object]:
    """Spoils a value in a file of JSON."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        (content[path[0]] if path[1:] else content)[path[-1]] = value
        (folder / file).write_text(json.dumps(content))

    return spoil


SPOILED: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "config.json").unlink(), "a readable config.json is missing"),
    (lambda f: (f / "config.json").write_text("{"), "a readable config.json is missing"),
    (lambda f: (f / "config.json").write_text("[]"), "config.json is damaged"),
    (lambda f: (f / "config.json").write_text('{"model_type": "llama"}'), r"another architecture \(llama\)"),
    (lambda f: shards(f)[1].unlink(), r"incomplete: model-00002-of-\d+.safetensors is missing. Copy it"),
    (lambda f: spoil_shard(f, lambda b: b[:-7]), r"model-00002-.* has \d+ bytes instead of \d+. Copy it"),
    (lambda f: spoil_shard(f, lambda b: b[:100]), "is no whole safetensors file"),
    (lambda f: spoil_shard(f, lambda _: b"version https://git-lfs.github.com/spec"), "no whole safetensors"),
    *(
        (lambda f, span=span: spoil_shard(f, lambda _: header_with(span)), "no whole safetensors file")
        for span in ("[0]", "null", '["a", "b"]', '[0, "b"]', "[0, 1.5]", "7")
    ),
    (lambda f: spoil_shard(f, lambda _: b""), "no whole safetensors file"),
    (lambda f: (f / checkpoints.INDEX).write_text("{}"), "index.json is damaged"),
    (lambda f: [p.unlink() for p in (*shards(f), f / checkpoints.INDEX)], "model.safetensors is missing"),
    (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing. Copy it"),
    (lambda f: (f / "chat_template.jinja").unlink(), "no chat template"),
    *(
        (rewrite("config.json", "canvas_length", value=value), "gives no usable canvas_length")
        for value in (None, "64", 0, 2.5, True)
    ),
    *(
        (rewrite("config.json", "text_config", "per_layer_config", value=value), "no usable per_layer_config")
        for value in (None, [], {"a": {}}, {"0": 3})
    ),
    (
        rewrite("config.json", "text_config", "per_layer_config", value={"0": {"head_dim": "x"}}),
        "no usable head_dim of layer 0",
    ),
    *(
        (rewrite("config.json", "text_config", name, value=value), sentence)
        for name, value, sentence in (
            ("global_head_dim", "x", "gives no usable global_head_dim"),
            ("rms_norm_eps", "x", "its config.json can't be read: Validation error for field 'rms_norm_eps'"),
            ("max_position_embeddings", None, "its config.json can't be read: Validation error"),
            ("num_hidden_layers", 7, "its config.json can't be read: .* must be equal to"),
            ("hidden_activation", "nope", r"could not be loaded: KeyError\('nope'\)"),
            ("rope_parameters", {}, "could not be loaded: KeyError"),
        )
    ),
    (rewrite("generation_config.json", "t_max", value="hot"), "its generation_config.json can't be read"),
    (
        rewrite("generation_config.json", "t_max", value=float("nan")),
        "gives nan as t_max, which is no number",
    ),
    (rewrite("generation_config.json", "max_denoising_steps", value=10**400), "as steps, which is no"),
    (rewrite("generation_config.json", "eos_token_id", value=[1, "x"]), "gives 'x' as eos_token_id"),
    (rewrite("generation_config.json", "max_new_tokens", value="x"), "its generation_config.json can't be"),
    (lambda f: (f / "generation_config.json").write_text("[]"), "its generation_config.json can't be read"),
    (lambda f: (f / "tokenizer.json").write_text("{}"), "its tokenizer can't be read"),
    (lambda f: (f / "tokenizer_config.json").write_text("[]"), "its tokenizer can't be read"),
]


@pytest.mark.parametrize(("spoil", "sentence"), SPOILED)
def test_a_spoiled_folder_is_told_in_a_sentence(
    folder: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    spoil(folder)
    started = time.monotonic()
    with pytest.raises(LoadError, match=sentence):
        load(str(folder), "bf16", "cpu")
    assert time.monotonic() - started < 2


def test_a_checkpoint_that_is_not_its_configs_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 192
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(LoadError, match=r"has shape \[128, 128\], expected \[192, 128\]"):
        load(str(folder), "bf16", "cpu")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("/no/such/folder", "There is no folder"),
        ("./missing", "There is no folder"),
        ("a/b/c", "There is no folder"),
        ("no-such-name", "no name on the Hub"),
        ("", "no name on the Hub|holds no checkpoint"),
        ("google/bad name", "no name on the Hub"),
        (__file__, "is a file"),
    ],
)
def test_a_name_that_means_nothing_is_told_at_once(name: str, sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence):
        load(name, device="cpu")


def test_a_place_that_can_not_be_looked_at_is_told(
    folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_long = tmp_path / ("x" * 300)
    for name in (str(too_long), "x" * 300):
        with pytest.raises(LoadError, match=r"can't be looked at: File name too long\. Choose"):
            load(name, device="cpu")
    with pytest.raises(LoadError, match=r"can't be looked at: File name too long\. Choose"):
        quantize.quantize(str(folder), too_long, "nf4", "int8", "cpu")
    monkeypatch.setenv("DGEMMA_PLAY_CACHE", str(too_long))
    assert "File name too long" in load(str(folder), "nf4", "cpu").reasons[-1]


@pytest.mark.parametrize("precision", ["int4", "", "FP32", "nf4 "])
def test_an_unknown_precision_is_refused(precision: str) -> None:
    with pytest.raises(LoadError, match="precision must be auto, fp32, bf16, int8, nf4, got"):
        load(precision=precision)


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta!", "meta", "hpu", "privateuseone"])
def test_a_device_that_is_not_here_is_refused(device: str) -> None:
    with pytest.raises(LoadError, match="can't be used here"):
        load(device=device)


def test_the_26b_on_a_processor_is_refused_before_anything_is_asked_of_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "_ask", lambda *_: pytest.fail("the network was asked"))
    started = time.monotonic()
    with pytest.raises(
        LoadError, match=r"not for a processor: .* needs an NVIDIA GPU with 20.9 GiB .* leave --model out"
    ):
        load(RELEASED, device="cpu")
    assert time.monotonic() - started < 2


def test_too_little_host_memory_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Little(NamedTuple):
        available: int = 1000

    monkeypatch.setattr(memory.psutil, "virtual_memory", Little)
    with pytest.raises(LoadError, match=r"fp32 needs .* of memory and 0.0 GiB are free"):
        load(str(folder), device="cpu")


def test_a_gpu_with_room_decides_by_the_plan(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (24 * GIB, 24 * GIB))
    config = checkpoints.config_of(RELEASED)
    recipe, rows, reason = loading._decide(config, "auto", torch.device("cuda", 0))
    assert (recipe, rows) == (NF4, 7)
    assert "leave room for 7 drafts at once" in reason


def test_the_26b_on_a_device_that_it_was_never_tried_on_says_so() -> None:
    with pytest.raises(
        LoadError, match=r"never tried on a device like mps:0. It needs an NVIDIA GPU with 20.9"
    ):
        loading._decide(checkpoints.config_of(RELEASED), "auto", torch.device("mps", 0))


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let a processor stand for `count` GPUs."""
    there, ones, empty = torch.device("cpu"), torch.ones, torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, device: empty(*size, device=there))
    monkeypatch.setattr(torch, "ones", lambda *size, dtype, device: ones(*size, dtype=dtype, device=there))
    for name, answer in (("is_available", True), ("device_count", count), ("get_device_name", "Card")):
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)


def test_one_gpu_of_several_is_used_and_it_is_said_which(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 2)
    assert loading.pick_device("auto")[1] == "Card, the first of 2 GPUs (--device cuda:1 takes the next)."
    pretend_gpus(monkeypatch, 1)
    assert loading.pick_device("auto")[1] == "Card."


def test_a_gpu_that_this_pytorch_has_no_kernels_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsuited(*_: object, **__: object) -> None:
        raise torch.AcceleratorError("CUDA error: no kernel image is available for execution on the device")

    pretend_gpus(monkeypatch, 1)
    monkeypatch.setattr(torch, "ones", unsuited)
    with pytest.raises(LoadError, match=r"can't be used here: CUDA error: no kernel image .*--device cpu"):
        loading.pick_device("auto")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_runs_out_in_loading_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(loading.quantization, "put", full)
    with pytest.raises(LoadError, match=r"cpu ran out of memory while loading: .* smaller --precision"):
        load(str(folder), "bf16", "cpu")


def test_a_large_checkpoint_shows_bytes_and_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loading, "LARGE", 1)
    load(str(folder.rename(folder.with_name("[b]"))), "bf16", "cpu")
    assert "Loading [b]" in (told := capfd.readouterr().err)
    assert "MB" in told


# --- quantized copies ----------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for copies, and every quantized checkpoint is large enough for one."""
    monkeypatch.setenv("DGEMMA_PLAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loading, "LARGE", 1)
    return tmp_path / "cache"


def kept(cache: Path) -> list[Path]:
    return sorted(manifest.parent for manifest in cache.rglob(copies.MANIFEST))


@pytest.mark.parametrize("precision", ["int8", "nf4"])
def test_the_second_start_reads_the_copy_and_is_the_same_to_the_bit(
    folder: Path, cache: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(str(folder), precision, "cpu")
    (copy,) = kept(cache)
    monkeypatch.setattr(loading.quantization, "pack", lambda *_: pytest.fail("quantized again"))
    monkeypatch.setattr(loading.quantization, "check_kernels", lambda *_: None)
    again = load(str(folder), precision, "cpu")
    assert again.reasons == first.reasons
    expected, found = state_of(first.model), state_of(again.model)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert sum(file.stat().st_size for file in copy.glob("*.safetensors")) < 0.7 * sum(
        file.stat().st_size for file in shards(folder)
    )


def test_the_name_of_a_cache_is_no_markup(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGEMMA_PLAY_CACHE", str(cache / "[" / "b]"))  # "[/b]" would close what was not opened
    load(str(folder), "nf4", "cpu")
    assert len(kept(cache / "[" / "b]")) == 1


def test_a_copy_is_a_checkpoint_to_load_by_its_folder(folder: Path, tmp_path: Path) -> None:
    target = quantize.quantize(str(folder), tmp_path / "copy", "nf4", "int8", "cpu")
    loaded = load(str(target), device="cpu")
    assert loaded.precision == "nf4"
    direct = loading.assemble(checkpoints.find(str(folder)), NF4, CPU)
    expected, found = state_of(direct), state_of(loaded.model)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    with pytest.raises(LoadError, match="quantized copy at nf4: choose that or auto, not bf16"):
        load(str(target), "bf16", "cpu")


def test_the_command_writes_a_copy_and_says_how_to_play_with_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "copy"
    assert quantize.main([str(folder), str(target), "--device", "cpu"]) == 0
    assert f"python app.py --model {target}" in capsys.readouterr().out
    assert quantize.main([str(folder), str(target), "--device", "cpu"]) == 2
    assert "exists" in capsys.readouterr().err
    assert quantize.main([str(target), str(tmp_path / "third"), "--device", "cpu"]) == 2
    assert "quantized copy already" in capsys.readouterr().err


def test_a_changed_source_does_not_meet_its_old_copy(folder: Path, cache: Path) -> None:
    load(str(folder), "int8", "cpu")
    shards(folder)[0].touch()
    load(str(folder), "int8", "cpu")
    assert len(kept(cache)) == 2


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda copy: flip(shards(copy)[0]), "was changed or damaged"),
        (lambda copy: flip(copy / "tokenizer.json"), "tokenizer.json was changed or damaged"),
        (lambda copy: shards(copy)[0].unlink(), "is missing"),
        (lambda copy: (copy / copies.MANIFEST).unlink(), "manifest.json can't be read"),
        (lambda copy: (copy / copies.MANIFEST).write_text('{"files": {}}'), "does not list"),
    ],
)
def test_a_damaged_copy_is_refused_and_made_anew(
    folder: Path, cache: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    expected = state_of(load(str(folder), "nf4", "cpu").model)
    (copy,) = kept(cache)
    spoil(copy)
    with pytest.raises(LoadError, match=sentence):
        loading.assemble(checkpoints.open_folder("copy", copy), RECIPES["nf4"][0], CPU)
    mended = load(str(folder), "nf4", "cpu")
    assert "can't be used" in mended.reasons[-1]
    assert "It was made anew" in mended.reasons[-1]
    found = state_of(load(str(folder), "nf4", "cpu").model)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_copy_of_other_weights_in_the_right_place_is_refused(folder: Path, cache: Path) -> None:
    load(str(folder), "nf4", "cpu")
    (copy,) = kept(cache)
    config = json.loads((copy / "config.json").read_text())
    config["dgemma_play"]["identity"] = "0" * 40
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(copies.BrokenCopyError, match="made of other weights"):
        copies.find(checkpoints.find(str(folder)), RECIPES["nf4"][0])


def test_a_full_disk_leaves_the_model_and_no_rubbish(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies, "save_file", full)
    loaded = load(str(folder), "nf4", "cpu")
    assert "the disk is full" in loaded.reasons[-1]
    assert "every start quantizes anew" in loaded.reasons[-1]
    assert not [file for file in cache.rglob("*") if file.is_file()]


def test_visitors_are_not_told_where_model_and_copy_lie(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(str(folder), "nf4", "cpu")
    (copy,) = kept(cache)
    (copy / copies.MANIFEST).unlink()
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # pyright: ignore
    loaded = load(str(folder), "nf4", "cpu")
    assert "0.0 GB free" in loaded.reasons[-1]
    assert loaded.shown["name"] == folder.name
    assert str(folder.parent) not in str(loaded.shown)
    assert str(cache.parent) not in str(loaded.shown)
    error = LoadError(f"Not written: [Errno 13] Permission denied: '{cache / 'home--ada'}', '/srv/b/c'.")
    told = loading._public(error, cache / "home--ada" / "nf4-v1")
    assert told == "Not written: [Errno 13] Permission denied: 'the cache', 'the cache'."
    facts = denoise(loaded, "Write a haiku about rain.", Settings(drafts=1, steps=1)).facts
    assert facts.model.name == folder.name


def test_space_is_looked_for_before_a_copy_is_begun(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "save_file", lambda *_: pytest.fail("it was begun"))
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # pyright: ignore
    loaded = load(str(folder), "nf4", "cpu")
    assert "0.0 GB free" in loaded.reasons[-1]


def test_space_for_a_copy_to_upload_is_looked_for_before_anything_is_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "assemble", lambda *_: pytest.fail("it was loaded"))
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # pyright: ignore
    with pytest.raises(LoadError, match=r"0\.0 GB free"):
        quantize.quantize(str(folder), tmp_path / "copy", "nf4", "int8", "cpu")


def test_a_copy_to_upload_that_memory_can_not_hold_is_not_begun(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "assemble", lambda *_: pytest.fail("it was loaded"))
    monkeypatch.setattr(memory, "free_memory", lambda _: 1000)
    with pytest.raises(LoadError, match=r"made in memory: 0.0 GiB, and cpu has 0.0 GiB free"):
        quantize.quantize(str(folder), tmp_path / "copy", "nf4", "int8", "cpu")


def test_leftovers_of_a_killed_copy_are_swept_and_another_process_at_work_is_left_alone(
    folder: Path, cache: Path
) -> None:
    checkpoint = checkpoints.find(str(folder))
    target = copies.folder_of(checkpoint, RECIPES["nf4"][0])
    left, young = (target.parent / f".{target.name}.{name}.part" for name in ("abc", "xyz"))
    for part in (left, young):
        part.mkdir(parents=True)
        (part / "weights-00001.safetensors").write_bytes(b"half")
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (long_ago, long_ago))
    load(str(folder), "nf4", "cpu")
    assert not left.exists()
    assert (young / "weights-00001.safetensors").exists()
    assert kept(cache) == [target]


def test_ctrl_c_while_a_copy_is_written_leaves_nothing_behind(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(copies, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(str(folder), "nf4", "cpu")
    assert not [file for file in cache.rglob("*") if file.is_file()]


def test_a_copy_that_could_not_be_loaded_is_read_no_further(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(str(folder), "nf4", "cpu")
    (copy,) = kept(cache)
    manifest = json.loads((copy / copies.MANIFEST).read_text())
    manifest["files"]["vast"] = {"sha256": ""}
    (copy / copies.MANIFEST).write_text(json.dumps(manifest))
    with (copy / "vast").open("wb") as file:
        file.truncate(2**37)  # it takes no room, but minutes to read
    before = set(threading.enumerate())
    monkeypatch.setattr(loading.quantization, "skeleton", lambda *_: {}["no such layer"])
    with pytest.raises(LoadError, match="could not be loaded"):
        loading.assemble(checkpoints.open_folder("copy", copy), RECIPES["nf4"][0], CPU)
    ended = time.monotonic() + 10
    while (left := set(threading.enumerate()) - before) and time.monotonic() < ended:
        time.sleep(0.01)
    assert not left


@pytest.mark.parametrize(
    ("name", "kept_in"),
    [
        (RELEASED, "google--diffusiongemma-26B-A4B-it"),
        ("/data/models/my model/", "data--models--my model"),
        ("../model", "model"),
        (r"C:\models\dg", "C----models--dg"),
        (r"..\dg", "dg"),
        (".", "local"),
        ("/x" * 300, "x" + "--x" * 33),
    ],
)
def test_a_copy_is_kept_in_a_folder_of_the_cache_whatever_its_models_name(
    folder: Path, cache: Path, name: str, kept_in: str
) -> None:
    checkpoint = replace(checkpoints.find(str(folder)), name=name)
    first, *rest = copies.folder_of(checkpoint, NF4).relative_to(cache).parts
    assert (first, len(rest)) == (kept_in, 2)


# --- the Hub -------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """A hub on this machine that answers as it is told, and counts what it is asked."""

    def __init__(self, folder: Path | None = None, status: int = 200, gated: bool = False) -> None:
        self.asked: list[str] = []
        hub_ = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub_.asked.append(self.path)
                hub_.answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.folder, self.status, self.gated = folder, status, gated
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        if self.status != 200:
            return self._send(request, self.status, b"{}")
        assert self.folder is not None
        files = {file.name: file for file in self.folder.iterdir()}
        if path.endswith("/auth-check"):
            return self._send(request, 403 if self.gated else 200, b"{}")
        if "/tree/" in path:
            tree = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": name}
                for name, file in files.items()
            ]
            return self._send(request, 200, json.dumps(tree).encode())
        if path.startswith("/api/models/"):
            listed = [{"rfilename": name, "size": file.stat().st_size} for name, file in files.items()]
            gated = "manual" if self.gated else False
            facts = {"id": "some/model", "sha": COMMIT, "gated": gated, "siblings": listed}
            return self._send(request, 200, json.dumps(facts).encode())
        file = files.get(path.rpartition("/")[2])
        if file is None:
            return self._send(request, 404, b"{}", {"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{file.stat().st_size}-{file.name}"'}
        return self._send(request, 200, file.read_bytes(), headers)

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        codes = {401: "RepoNotFound", 403: "GatedRepo", 404: "RepoNotFound"}
        given = ({"X-Error-Code": codes[status]} if status in codes else {}) | (headers or {})
        request.send_response(status)
        for name, value in given.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Points the hub's client to an address, with an empty cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def to(url: str) -> None:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    return to


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(20)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def refused(name: str = "some/model") -> tuple[str, float]:
    """The sentence, and the seconds until it came."""
    started = time.monotonic()
    with pytest.raises(LoadError) as caught:
        load(name, "bf16", "cpu")
    return str(caught.value), time.monotonic() - started


def test_no_network_is_told_in_two_seconds_with_the_command(point: Callable[[str], None]) -> None:
    point("http://127.0.0.1:9")
    sentence, seconds = refused()
    assert "not in the cache" in sentence
    assert sentence.endswith("hf download some/model")
    assert seconds < 2


def test_a_hub_that_never_answers_is_told_in_ten_seconds(point: Callable[[str], None], silent: str) -> None:
    point(silent)
    sentence, seconds = refused()
    assert "does not answer" in sentence
    assert seconds < 10


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "has no model some/model, or it is private"),
        (401, "has no model some/model, or it is private"),
        (429, "can't answer now (error 429)"),
        (500, "can't answer now (error 500)"),
        (503, "can't answer now (error 503)"),
    ],
)
def test_what_the_hub_refuses_is_told_in_two_seconds(
    point: Callable[[str], None], status: int, words: str
) -> None:
    point(FakeHub(status=status).url)
    sentence, seconds = refused()
    assert words in sentence
    assert seconds < 2


def test_a_gated_model_says_where_to_accept_its_terms(point: Callable[[str], None], original: Path) -> None:
    fake = FakeHub(original, gated=True)
    point(fake.url)
    sentence, seconds = refused()
    assert f"Do so at {fake.url}/some/model, then log in here: hf auth login" in sentence
    assert seconds < 2


def test_a_model_is_downloaded_once_and_then_needs_no_network(
    point: Callable[[str], None], original: Path
) -> None:
    fake = FakeHub(original)
    point(fake.url)
    loaded = load("some/model", "bf16", "cpu")
    assert loaded.revision == COMMIT
    asked = len(fake.asked)
    again = load("some/model", "bf16", "cpu")
    assert len(fake.asked) == asked
    assert again.revision == COMMIT


def test_what_a_repository_holds_beside_the_model_is_not_missed(
    point: Callable[[str], None], folder: Path
) -> None:
    (folder / "README.md").write_text("It is not downloaded.")
    point(FakeHub(folder).url)
    checkpoints.find("some/model")
    point("http://127.0.0.1:9")
    assert not (checkpoints.find("some/model").folder / "README.md").exists()


def test_another_architecture_is_found_out_before_its_weights_are_asked_for(
    point: Callable[[str], None], folder: Path
) -> None:
    (folder / "config.json").write_text('{"model_type": "llama"}')
    fake = FakeHub(folder)
    point(fake.url)
    sentence, _ = refused()
    assert "another architecture (llama)" in sentence
    assert not [path for path in fake.asked if "safetensors" in path]


def downloaded(point: Callable[[str], None], original: Path) -> Path:
    """The folder of a checkpoint that came from a hub."""
    point(FakeHub(original).url)
    load("some/model", "bf16", "cpu")
    snapshot = hub.cached("some/model")
    assert snapshot is not None
    return snapshot


def test_a_damaged_download_says_how_to_get_that_file_again(
    point: Callable[[str], None], original: Path
) -> None:
    snapshot = downloaded(point, original)
    spoil_shard(snapshot, lambda content: content[:-7])
    sentence, _ = refused()
    damaged = shards(snapshot)[1].name
    assert sentence.endswith(f"hf download some/model {damaged} --force-download")


def test_an_interrupted_download_without_a_network_says_how_to_go_on(
    point: Callable[[str], None], original: Path
) -> None:
    snapshot = downloaded(point, original)
    shards(snapshot)[1].unlink()
    point("http://127.0.0.1:9")
    sentence, seconds = refused()
    assert sentence.endswith("hf download some/model")
    assert seconds < 2


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_an_interrupted_download_of_a_small_file_goes_on(
    point: Callable[[str], None], original: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = downloaded(point, original)
    (snapshot / file).unlink()
    monkeypatch.setattr(hub, "cached", lambda _: snapshot)  # as with clients that keep no list of the files
    assert (checkpoints.find("some/model").folder / file).exists()


def test_a_disk_too_small_is_told_before_the_download(
    point: Callable[[str], None], original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeHub(original)
    point(fake.url)
    monkeypatch.setattr(hub, "free_space", lambda folder: (folder, 1000))
    sentence, _ = refused()
    assert "more on disk" in sentence
    assert "HF_HOME" in sentence
    assert not [path for path in fake.asked if path.endswith(".safetensors")]


def test_offline_mode_is_named(point: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    point("http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    sentence, _ = refused()
    assert "HF_HUB_OFFLINE is set" in sentence
