"""MinHash signatures of real text: the compiled kernel beside datasketch, the same hashes bit for bit."""

from typing import Any

from benchmarks.rows import Row, cpu_name, cpu_seconds

PEER_DOCUMENTS = 300


def corpus() -> Any:
    """The English and Chinese educational samples as one Arrow text column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openseek.recipes.recipe import SAMPLES

    files = sorted((SAMPLES / "en_edu").glob("*.parquet")) + sorted((SAMPLES / "zh_edu").glob("*.parquet"))
    texts = [t for file in files for t in pq.read_table(file, columns=["text"])["text"].to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def measure() -> list[Row]:
    """Text signed per CPU second by both, and whether the signatures are equal."""
    import numpy as np

    from openseek.data.minhash import MinHash, sign, sign_by_datasketch

    text, config = corpus(), MinHash(check_documents=0)
    kinds = np.zeros(len(text), np.uint8)
    sign(text.slice(0, 2), kinds, config)  # compiles, or loads the compiled kernel
    # Every other document for the peer, so that both languages are in its part.
    part = text.take(list(range(0, min(len(text), 2 * PEER_DOCUMENTS), 2)))
    sizes = [sum(len(t.as_py().encode()) for t in column) / 1e6 for column in (text, part)]
    ours, _ = cpu_seconds(lambda: sign(text, kinds, config), repeat=3)
    theirs, (expected, _) = cpu_seconds(lambda: sign_by_datasketch(part, kinds, config, len(part)))
    equal = float((sign(part, kinds[: len(part)], config)[0] == expected).all(axis=1).mean())
    case = f"{len(text)} documents, {sizes[0]:.1f} MB, {config.num_hashes} hashes of {config.ngram}-grams"
    shared: dict[str, Any] = {
        "bench": "minhash",
        "case": case,
        "device": cpu_name(),
        "command": "openseek bench minhash",
    }
    return [
        Row(
            **shared,
            metric="signature speed",
            value=sizes[0] / ours,
            unit="MB per CPU second",
            peer=f"datasketch update_batch ({len(part)} documents, {sizes[1]:.1f} MB, words split in Python)",
            peer_value=sizes[1] / theirs,
        ),
        Row(**shared, metric="signatures equal to datasketch", value=equal, unit="share"),
    ]
