"""ingest: raw files of many sources and formats to documents."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from openseek.artifact import Facts
from openseek.data.sources import Ingest, Source
from openseek.raw_files import RawFile, find
from tasks.report import report_files
from tasks.shards import map_shards
from tasks.task import task


@task(version=2)
def ingest(out: Path, config: Ingest = Ingest()) -> Facts:
    """Read every source's files into documents; bad records are quarantined.

    A shard is a file, a part of a large one, or a number of small ones.
    """
    from openseek.data.sources.companions import wanted
    from openseek.data.sources.documents import read_files
    from openseek.data.sources.parts import bundled, parts
    from openseek.data.sources.suppression import load

    config = config.resolved()
    if config.suppression:
        # A list with a mistake ends the task before anything is read.
        load(config.suppression)
    if not config.sources:
        raise ValueError("Ingest.sources is empty: --set 'sources=[{name: NAME, path: FILE}]', or give a --recipe")
    files: list[tuple[Source, tuple[RawFile, ...]]] = []
    passed_over = 0
    for source in config.sources:
        found = find(source.path)
        data = wanted(found, source)
        passed_over += len(found) - len(data)
        # Before anything is read: a file of an unknown format ends the task at once, not after an hour.
        formats = [source.format_of(path) for path in data]
        pieces = [parts(path, format, config.split_bytes) for path, format in zip(data, formats, strict=True)]
        files += [(source, bundle) for bundle in bundled([part for whole in pieces for part in whole])]
    facts = map_shards(out, files, partial(read_files, config=config), title="ingest")
    if passed_over:
        facts["files_passed_over"] = passed_over
    return report_files(out, facts, [(source.name, _label(bundle)) for source, bundle in files], title="ingest")


def _label(bundle: Sequence[RawFile]) -> str:
    """The file of a shard, or the first and the last of several."""
    first, last = bundle[0].relative, bundle[-1].relative
    return first if len(bundle) == 1 else f"{first} … {last} ({len(bundle)} files)"
