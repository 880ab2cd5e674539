"""datatrove, datasketch, rensa, gaoya and pydivsufsort on a jsonl file of documents, in the peers' environment.

Each is given what makes it fast: words split by one compiled expression, hashes of 32 bits, batches, both cores.
Seconds are CPU seconds, children included, of everything from the file of documents to the clusters.
"""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.dedup_reference import NGRAM, WORD
from benchmarks.peers import peer

if TYPE_CHECKING:
    import numpy as np

SECONDS = 3600.0
BANDS, ROWS_PER_BAND = 14, 8
"""datatrove's default: 112 hashes, as many as ours has with 28 bands of 4."""
THRESHOLD = 0.7

READ = r"""
import re, numpy as np
stages, last = {}, [spent()]
def stage(name):
    stages[name] = spent() - last[0]
    last[0] = spent()
def texts():
    import orjson
    with open(arguments["path"], "rb") as file:
        return [orjson.loads(line)["text"] for line in file]
def tell():
    # getrusage would count the memory of the process that started this one.
    own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    seconds = sum(stages.values())
    print(json.dumps({"seconds": seconds, "stages": stages, "rss_mb": max(own, children) / 1024}))
"""
GRAMS = r"""
word, n = re.compile(arguments["word"]), arguments["ngram"]
def grams(text):
    words = word.findall(text.lower())
    return list(map(" ".join, zip(*(words[i:] for i in range(n))))) or [" ".join(words)]
"""
CLUSTERS = r"""
def labels(count, edges):
    parent = list(range(count))
    def find(x):
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x
    for a, b in edges:
        a, b = find(a), find(b)
        if a != b:
            parent[max(a, b)] = min(a, b)
    np.save(arguments["out"], np.array([find(i) for i in range(count)], np.int64))
"""
DATASKETCH = r"""
import xxhash
from datasketch import MinHash, MinHashLSH
last[0] = spent()
documents = texts()
stage("read")
size = arguments["bands"] * arguments["rows"]
sets = ([gram.encode() for gram in grams(text)] for text in documents)
signatures = list(MinHash.generator(sets, num_perm=size, hashfunc=xxhash.xxh32_intdigest))
stage("signatures")
index, edges = MinHashLSH(num_perm=size, params=(arguments["bands"], arguments["rows"])), []
for row, signature in enumerate(signatures):
    edges += [(row, other) for other in index.query(signature)]
    index.insert(row, signature)
stage("index")
labels(len(documents), edges)
stage("clusters")
tell()
"""
RENSA = r"""
from rensa import RMinHash, RMinHashLSH
last[0] = spent()
documents = texts()
stage("read")
size = arguments["bands"] * arguments["rows"]
sets = [grams(text) for text in documents]
stage("n-grams")
signatures = RMinHash.from_token_sets(sets, size, 42)
stage("signatures")
index = RMinHashLSH(arguments["threshold"], size, arguments["bands"])
index.insert_many(signatures)
found = index.query_all(signatures)
stage("index")
labels(len(documents), ((row, other) for row, others in enumerate(found) for other in others if other != row))
stage("clusters")
tell()
"""
GAOYA = r"""
from gaoya.minhash import MinHashStringIndex
last[0] = spent()
documents = texts()
stage("read")
index = MinHashStringIndex(hash_size=32, jaccard_threshold=arguments["threshold"], num_bands=arguments["bands"],
    band_size=arguments["rows"], num_hashes=arguments["bands"] * arguments["rows"], analyzer="word", lowercase=True,
    ngram_range=(arguments["ngram"], arguments["ngram"]))
index.par_bulk_insert_docs(list(range(len(documents))), documents)
stage("index")
found = index.par_bulk_query(documents, return_similarity=False)
stage("query")
labels(len(documents), ((row, other) for row, others in enumerate(found) for other in others if other != row))
stage("clusters")
tell()
"""
DATATROVE = r"""
import itertools, os, tempfile
from pathlib import Path
from loguru import logger
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
logger.remove()
tasks = 4
with tempfile.TemporaryDirectory(dir=arguments["scratch"]) as name:
    top = Path(name)
    (top / "in").mkdir()
    files = [open(top / "in" / f"{i:02d}.jsonl", "wb") for i in range(tasks)]
    count = 0
    with open(arguments["path"], "rb") as source:
        for count, line in enumerate(source, 1):
            files[(count - 1) % tasks].write(line)
    for file in files:
        file.close()
    config = MinhashConfig(n_grams=arguments["ngram"], num_buckets=arguments["bands"],
        hashes_per_bucket=arguments["rows"], hash_config=HashConfig(precision=64))
    def run(title, steps, tasks, workers):
        LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=str(top / title),
            start_method="fork").run()
        stage(title)
    last[0] = spent()
    run("signatures", [JsonlReader(str(top / "in")),
        MinhashDedupSignature(str(top / "signatures_"), config, language=arguments["language"])], tasks, 2)
    run("buckets", [MinhashDedupBuckets(str(top / "signatures_"), str(top / "buckets_"), config=config)],
        arguments["bands"], 2)
    run("cluster", [MinhashDedupCluster(str(top / "buckets_"), str(top / "remove_"), config, save_cluster_id=True)],
        1, 1)
    run("filter", [JsonlReader(str(top / "in")), MinhashDedupFilter(str(top / "remove_")),
        JsonlWriter(str(top / "out"), compression=None)], tasks, 2)
    found = np.arange(count)
    for task in range(tasks):
        path = top / "remove_" / f"{task:06d}.clusters"
        if path.exists():
            document, cluster = np.fromfile(path, "<u4").reshape(-1, 2).astype(np.int64).T
            found[document * tasks + task] = -1 - cluster
    np.save(arguments["out"], found)
tell()
"""
MINHASH = {
    "datatrove": READ + DATATROVE,
    "datasketch": READ + GRAMS + CLUSTERS + DATASKETCH,
    "rensa": READ + GRAMS + CLUSTERS + RENSA,
    "gaoya": READ + CLUSTERS + GAOYA,
}

# The texts are joined with a byte that UTF-8 never has. Where the next suffix in order shares more than what is left
# of a text, both texts end there, so a match cut at the end of its own text is the longest within texts.
SUFFIX_ARRAY = r"""
from numba import njit
from pydivsufsort import divsufsort, kasai
@njit
def mark(suffixes, common, ends, least):
    longest = np.zeros(len(suffixes), np.int32)
    for i in range(len(suffixes) - 1):
        if common[i] >= least:
            here, there = suffixes[i], suffixes[i + 1]
            longest[here] = max(longest[here], common[i])
            longest[there] = max(longest[there], common[i])
    marked, reach, document = np.zeros(len(suffixes), np.bool_), 0, 0
    for i in range(len(suffixes)):
        if i > ends[document]:
            document += 1
        stop = min(i + longest[i], ends[document])
        if stop - i >= least:
            reach = max(reach, stop)
        marked[i] = i < reach
    return marked
mark(np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros(1, np.int64), 1)  # compiles
last[0] = spent()
documents = [text.encode() for text in texts()]
stage("read")
data = np.frombuffer(bytearray(b"\xff".join(documents) + b"\xff"), np.uint8)
ends = np.cumsum([len(document) + 1 for document in documents]) - 1
stage("join")
suffixes = divsufsort(data)
stage("suffix array")
common = kasai(data, suffixes)
stage("common prefixes")
marked = mark(suffixes, common, ends, arguments["min_bytes"])
stage("mark")
np.save(arguments["out"], np.delete(marked, ends))
tell()
"""


@dataclass(frozen=True)
class Told:
    """What a peer found and what it took."""

    seconds: float
    """CPU seconds."""
    stages: dict[str, float]
    rss_mb: float
    """The most memory of the process, or of one of its children."""
    result: "np.ndarray"
    """Cluster labels int64 [documents], or marked bytes bool [bytes of all texts, one after the other]."""


def write_part(path: Path, texts: Iterable[str]) -> Path:
    """A jsonl file of these texts, as the peers read it."""
    with open(path, "w", encoding="utf-8") as file:
        for row, text in enumerate(texts):
            file.write(json.dumps({"id": str(row), "text": text}, ensure_ascii=False) + "\n")
    return path


def clusters(name: str, path: Path, language: str = "en") -> Told | None:
    """Near-duplicate clusters of the documents in a jsonl file by a peer of MINHASH; None where it is not installed.

    Only datatrove asks for the language: cmn_Hani is Chinese, with words by jieba.
    """
    bands = {"bands": BANDS, "rows": ROWS_PER_BAND, "threshold": THRESHOLD}
    return _run(MINHASH[name], path, **bands, ngram=NGRAM, word=WORD.pattern, language=language)


def repeated_bytes(path: Path, min_bytes: int) -> Told | None:
    """Every byte that lies in a passage of at least `min_bytes` bytes that stands twice or more, by a suffix array."""
    return _run(READ + SUFFIX_ARRAY, path, min_bytes=min_bytes)


def _run(script: str, path: Path, **arguments: Any) -> Told | None:
    import numpy as np

    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        out = Path(scratch) / "result.npy"
        told = peer(script, {"path": str(path), "out": str(out), "scratch": scratch, **arguments}, SECONDS)
        return None if told is None else Told(told["seconds"], told["stages"], told["rss_mb"], np.load(out))
