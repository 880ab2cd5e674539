"""Training windows out of token shards: ours beside Megatron-core's GPTDataset and a plain numpy loader.

All read the same shard from the page cache, whose documents have log-normal lengths, and give windows of SEQUENCE + 1
tokens as int64 tensors. Megatron's gives loss masks and positions too, since it cannot leave them out, but neither
document masks nor resets, which would cost it a matrix a window; ours tells the documents apart. Seconds are CPU
seconds.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers import PREAMBLE
from benchmarks.rows import REPOSITORY, Row, cpu_name, cpu_seconds
from openseek.data.token_shards import CODES, HEADER, MAGIC, VERSION, TokenShard, TokenShardWriter, dtype_for
from openseek.parallel.dims import Ranks
from openseek.train.documents import Documents
from openseek.train.fill_in_the_middle import FillInTheMiddle
from openseek.train.loader import Loader
from openseek.train.streams import Packing, Stream

TURNS = 3
DOCUMENTS, FAR_DOCUMENTS = 60_000, 10_000_000
MEDIAN, SIGMA = 500, 1.2
"""Of the log-normal lengths; the mean is about 1,030 tokens."""
SEQUENCE, BATCH = 4096, 8
VOCABULARIES = (50_000, 150_000)
"""Of uint16 and of int32 shards."""
SPECIAL = {"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3}
ONE = Ranks(0, 1, torch.device("cpu"), None)

MEGATRON = r"""
import contextlib, io, logging, tempfile, time, types, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
    from megatron.core.datasets.indexed_dataset import IndexedDataset
    from megatron.core.datasets.utils import Split
logging.disable(logging.INFO)
torch.set_num_threads(1)
def memory():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
loaded, before = memory(), spent()
prefix, sequence, batch = arguments["prefix"], arguments["sequence"], arguments["batch"]
with tempfile.TemporaryDirectory() as cache:
    names = {"name": "none"}
    tokenizer = types.SimpleNamespace(eod=0, pad=-1, vocab_size=arguments["vocabulary"], unique_identifiers=names)
    config = GPTDatasetConfig(
        random_seed=1, sequence_length=sequence, blend=([prefix], None), split="1", path_to_cache=cache,
        reset_position_ids=False, reset_attention_mask=False, eod_mask_loss=False, create_attention_mask=False,
        tokenizer=tokenizer,
    )
    shard = IndexedDataset(prefix, mmap=True)
    documents = np.arange(len(shard), dtype=np.int32)
    data = GPTDataset(shard, prefix, documents, None, Split.train, config)
    def read(first):
        samples = [data[first + i] for i in range(batch)]
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
    read(0)
    opened, opened_mb = spent() - before, memory() - loaded
    count = min(arguments["batches"], len(data) // batch)
    seconds = []
    for _ in range(arguments["turns"]):
        before = spent()
        for step in range(count):
            read(step * batch)
        seconds.append(spent() - before)
found = {"opened": opened, "opened_mb": opened_mb, "seconds": min(seconds), "tokens": count * batch * sequence}
print(json.dumps(found))
"""
OURS = r"""
from pathlib import Path
import numpy as np
from openseek.train.documents import Documents
from openseek.train.streams import Stream
def memory():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
def first_window(prefix, number):
    stream = Stream(Documents([Path(prefix)], [1], length), length, "best_fit", 60_000)
    where = number or stream.windows() - 1
    stream.fill(np.array([where]), np.array([0]), np.zeros((1, length), np.int64), np.zeros((1, length), np.int32))
length = arguments["sequence"] + 1
first_window(arguments["small"], 1)
loaded, before = memory(), spent()
first_window(arguments["prefix"], 0)
print(json.dumps({"opened": spent() - before, "opened_mb": memory() - loaded}))
"""


def rows(turns: int = TURNS, documents: int = DOCUMENTS, far_documents: int = FAR_DOCUMENTS) -> list[Row]:
    """Speed, the cost of the first window of many documents, and what packing leaves empty and cuts."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for vocabulary in VOCABULARIES:
            prefix = folder / f"v{vocabulary}"
            write(prefix, documents, vocabulary)
            found += _speed(prefix, vocabulary, turns)
        found += _far(folder, folder / f"v{VOCABULARIES[0]}", far_documents)
        found += _packing(folder / f"v{VOCABULARIES[0]}")
    return found


def lengths(documents: int) -> np.ndarray:
    """Log-normal numbers of tokens int64 [D], two or more."""
    draws = np.random.default_rng(0).lognormal(np.log(MEDIAN), SIGMA, documents)
    return np.maximum(2, draws).astype(np.int64)


def write(prefix: Path, documents: int, vocabulary: int) -> None:
    """A shard of random tokens; the last of each document is 0."""
    draw = np.random.default_rng(1)
    with TokenShardWriter(prefix, dtype_for(vocabulary)) as writer:
        for length in lengths(documents):
            writer.add_document(np.append(draw.integers(4, vocabulary, length - 1), 0))


def mixture(prefix: Path, vocabulary: int) -> Path:
    """The folder of a mixture.json that gives the shard alone."""
    folder = prefix.with_name(prefix.name + ".mixture")
    folder.mkdir(exist_ok=True)
    entry = {"source": "code", "weight": 1.0, "prefixes": [prefix.name]}
    content = {"tokens": "..", "entries": [entry], "vocab_size": vocabulary, "eod": 0, "special_tokens": SPECIAL}
    (folder / "mixture.json").write_text(json.dumps(content))
    return folder


def _speed(prefix: Path, vocabulary: int, turns: int) -> list[Row]:
    """Tokens a second of one process, in batches of BATCH windows."""
    steps = TokenShard(prefix).tokens // ((SEQUENCE + 1) * BATCH) - 1
    arguments: dict[str, Any] = {
        "prefix": str(prefix),
        "sequence": SEQUENCE,
        "batch": BATCH,
        "batches": steps,
        "turns": turns,
    }
    arguments["vocabulary"] = vocabulary
    megatron = told(MEGATRON, arguments)
    theirs = megatron["tokens"] / megatron["seconds"] / 1e6 if megatron else None
    seconds, tokens = cpu_seconds(lambda: plain(prefix, steps), turns)
    case = f"{np.dtype(dtype_for(vocabulary)).name}, {steps} batches of {BATCH} windows of {SEQUENCE} tokens"
    ways: list[tuple[str, Packing, float]] = [
        ("best fit", "best_fit", 0.0),
        ("best fit, half of the documents rearranged to fill in the middle", "best_fit", 0.5),
        ("concatenated", "concatenate", 0.0),
    ]
    found = []
    for name, packing, rate in ways:
        loader = Loader(
            mixture(prefix, vocabulary),
            sequence_length=SEQUENCE,
            global_batch_size=BATCH,
            micro_batch_size=BATCH,
            num_steps=steps,
            seed=0,
            ranks=ONE,
            packing=packing,
            fill_in_the_middle=FillInTheMiddle(rate=rate),
        )
        loader(0)
        speed = steps * BATCH * SEQUENCE / cpu_seconds(lambda loader=loader: _all(loader, steps), turns)[0] / 1e6
        found += [
            _row(case, f"loader, {name}", speed, "M tokens per CPU second", "megatron-core GPTDataset", theirs),
            _row(case, f"loader, {name}", speed, "M tokens per CPU second", "plain numpy", tokens / seconds / 1e6),
        ]
    return found


def _all(loader: Callable[[int], Any], steps: int) -> int:
    for step in range(steps):
        loader(step)
    return steps


def plain(prefix: Path, steps: int) -> int:
    """The tokens of `steps` batches as a short numpy loader gives them: shuffled documents one after the other."""
    shard = TokenShard(prefix)

    def stream() -> Iterator[np.ndarray]:
        for document in np.random.default_rng(0).permutation(len(shard)):
            yield shard.document(int(document))

    parts, held, done, need = [], 0, 0, BATCH * (SEQUENCE + 1)
    for document in stream():
        parts.append(document)
        held += len(document)
        if held >= need:
            flat = np.concatenate(parts)
            torch.from_numpy(flat[:need].astype(np.int64)).view(BATCH, SEQUENCE + 1)
            parts, held, done = [flat[need:]], held - need, done + 1
            if done == steps:
                break
    return done * BATCH * SEQUENCE


def _far(folder: Path, small: Path, documents: int) -> list[Row]:
    """CPU seconds and memory until a window is there, out of very many documents."""
    prefix = folder / "far"
    size = lengths(documents)
    ends = np.cumsum(size) * 2
    header = HEADER.pack(MAGIC, VERSION, CODES[np.dtype(np.uint16)], documents, documents + 1)
    with open(folder / "far.idx", "wb") as file:
        file.write(header)
        for part in (size.astype("<i4"), (ends - 2 * size).astype("<i8"), np.arange(documents + 1, dtype="<i8")):
            part.tofile(file)
    with open(folder / "far.bin", "wb") as file:
        file.truncate(int(ends[-1]))  # a hole in the file: zeros that take no room
    ours = told(OURS, {"prefix": str(prefix), "small": str(small), "sequence": SEQUENCE})
    assert ours
    arguments: dict[str, Any] = {"prefix": str(prefix), "sequence": SEQUENCE, "batch": 1, "batches": 1, "turns": 1}
    arguments["vocabulary"] = VOCABULARIES[0]
    theirs = told(MEGATRON, arguments) or {"opened": None, "opened_mb": None}
    case = f"{documents:,} documents, {int(size.sum()):,} tokens"
    return [
        _row(
            case,
            "opened, last window of an epoch read",
            ours["opened"],
            "CPU seconds",
            MEGATRON_FIRST,
            theirs["opened"],
        ),
        _row(
            case, "memory for that, files' pages included", ours["opened_mb"], "MB", MEGATRON_FIRST, theirs["opened_mb"]
        ),
    ]


MEGATRON_FIRST = "megatron-core GPTDataset, first window"


def _packing(prefix: Path) -> list[Row]:
    """What packing leaves empty, and cuts, beside windows cut from documents one after the other."""
    found = []
    for sequence in (512, 2048, 4096, 8192):
        size = sequence + 1
        stream = Stream(Documents([prefix], [0], size), size, "best_fit", VOCABULARIES[0])
        block, (_, document, *_), _ = stream.block(0, 0)
        short = block.lengths <= size
        cut = np.bincount(document, minlength=len(short))[short] > 1
        ends = np.cumsum(block.lengths)
        crossed = ((ends - 1) // sequence > (ends - block.lengths) // sequence)[short]
        case = f"{len(short)} documents, log-normal (median {MEDIAN}, sigma {SIGMA}), {sequence} tokens"
        found += [
            _row(case, "packing efficiency", stream.efficiency(), "share of places with a token"),
            _row(
                case,
                "documents cut though they fit a window",
                float(cut.mean()),
                "share",
                "one after the other",
                float(crossed.mean()),
            ),
        ]
    seconds, _ = cpu_seconds(lambda: _packed_again(prefix), TURNS)
    case = f"{DOCUMENTS} documents, windows of {SEQUENCE} tokens"
    return [*found, _row(case, "packing", DOCUMENTS / seconds / 1e6, "M documents per CPU second")]


def _packed_again(prefix: Path) -> Any:
    stream = Stream(Documents([prefix], [0], SEQUENCE + 1), SEQUENCE + 1, "best_fit", VOCABULARIES[0])
    return stream.block(0, 0)


def told(script: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON object that `script` prints as its last line in a fresh process; None where it lacks a module."""
    command = [sys.executable, "-c", PREAMBLE + script, json.dumps(arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode and "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise RuntimeError(f"a loader failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _row(case: str, metric: str, value: float, unit: str, peer: str = "", peer_value: float | None = None) -> Row:
    names: dict[str, Any] = {"bench": "tokens", "device": cpu_name(), "command": "openseek bench tokens"}
    return Row(**names, case=case, metric=metric, value=value, unit=unit, peer=peer, peer_value=peer_value)
