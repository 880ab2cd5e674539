"""import_tokens: Megatron token files of another program, where they lie, as what `mix` and `pretrain` read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts, raw_files, write_json
from openseek.data.imported_tokens import ImportTokens, TokenFiles
from tasks.task import task

if TYPE_CHECKING:
    from openseek.data.token_shards import TokenShard

LOOKED_AT = 1000
"""Documents of each file, evenly spread, whose tokens are compared with the tokenizer."""
PLURALS = {"lang": "languages", "licence": "licences", "domain": "domains"}


@task
def import_tokens(out: Path, config: ImportTokens = ImportTokens()) -> Facts:
    """Take Megatron .bin/.idx files and their tokenizer as they are; no token is copied."""
    import numpy as np

    from openseek.data.token_shards import TokenShard
    from openseek.data.tokenizer import add_special_tokens, vocabulary_size
    from openseek.data.tokenizer_files import open_tokenizer

    for name in ("files", "tokenizer"):
        if not getattr(config, name):
            raise ValueError(
                f"import_tokens.{name} is empty: name the token files and the tokenizer they were made with"
            )
    tokenizer, path = open_tokenizer(raw_files(config.tokenizer)[1], config.tokenizer, config.rank_file)
    own = vocabulary_size(tokenizer)
    eod = tokenizer.token_to_id(config.end_of_document)
    if eod is None:
        raise ValueError(
            f"{path} has no token {config.end_of_document!r}: name its own as import_tokens.end_of_document"
        )
    added = add_special_tokens(tokenizer, config.special_tokens)
    tokenizer.save(str(out / "tokenizer.json"))
    sources: dict[str, Any] = {}
    heldout: dict[str, Any] = {"prefixes": [], "documents": 0, "tokens": 0, "sources": {}}
    dtypes = set()
    for files in (*config.files, *config.heldout):
        shard = TokenShard(files.path)
        _check(shard, own, eod, config)
        dtypes.add(shard.dtype)
        entry = heldout if files in config.heldout else sources.setdefault(files.name, _empty())
        _add(entry, files, shard)
    summary = {
        "vocab_size": vocabulary_size(tokenizer),
        "eod": eod,
        "dtype": np.result_type(*dtypes).newbyteorder("=").name,
        "sources": dict(sorted(sources.items())),
        "heldout": heldout,
        "unigram_entropy_nats": None,
    }
    write_json(out / "tokens.json", summary)
    documents = sum(entry["documents"] for entry in (*sources.values(), heldout))
    return {
        "rows_in": documents,
        "rows_out": documents,
        "files": len(config.files) + len(config.heldout),
        "tokens": sum(entry["tokens"] for entry in sources.values()),
        "heldout_tokens": heldout["tokens"],
        "vocab_size": summary["vocab_size"],
        "special_tokens_added": added,
        "tokens_by_sources": {name: entry["tokens"] for name, entry in summary["sources"].items()},
    }


def _empty() -> dict[str, Any]:
    return {"prefixes": [], "documents": 0, "tokens": 0, **{plural: {} for plural in PLURALS.values()}}


def _check(shard: TokenShard, vocab_size: int, eod: int, config: ImportTokens) -> None:
    """ValueError where documents of a file hold other tokens than the tokenizer's, or none of them ends as it says."""
    import numpy as np

    count = len(shard.documents) - 1
    numbers = np.unique(np.linspace(0, count - 1, LOOKED_AT).astype(int)) if count else []
    documents = [ids for ids in map(shard.document, numbers) if len(ids)]
    largest = max((int(ids.max()) for ids in documents), default=0)
    if largest >= vocab_size:
        raise ValueError(
            f"{shard.prefix}.bin holds the token {largest}, and the tokenizer {config.tokenizer} has {vocab_size}: "
            "give the tokenizer that the file was made with"
        )
    if documents and not any(ids[-1] == eod for ids in documents):
        raise ValueError(
            f"no document of {shard.prefix}.bin ends with {config.end_of_document!r} (token {eod}): give its own end "
            "as import_tokens.end_of_document, or make the file with --append-eod"
        )


def _add(entry: dict[str, Any], files: TokenFiles, shard: TokenShard) -> None:
    """Count a file in; by language, licence and domain where its lineage lies beside it."""
    from openseek.data.token_lineage import lineage_of

    entry["prefixes"].append(str(files.path))
    entry["documents"] += len(shard.documents) - 1
    entry["tokens"] += shard.tokens
    lineage = lineage_of(files.path)
    if "languages" in entry and lineage.is_file():
        import pyarrow.parquet as pq

        table = pq.read_table(lineage, columns=[*PLURALS, "tokens"])
        for column, plural in PLURALS.items():
            for row in table.group_by(column).aggregate([("tokens", "sum"), ([], "count_all")]).to_pylist():
                if column != "domain" or row[column]:
                    counted = entry[plural].setdefault(row[column], {"documents": 0, "tokens": 0})
                    counted["documents"] += row["count_all"]
                    counted["tokens"] += row["tokens_sum"]
