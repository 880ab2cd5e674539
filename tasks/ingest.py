"""ingest: raw files of many sources and formats to documents."""

from functools import partial
from pathlib import Path

from openseek.artifact import Facts
from openseek.data.sources import Ingest
from openseek.raw_files import find
from tasks.report import report_files
from tasks.shards import map_shards
from tasks.task import task


@task(version=2)
def ingest(out: Path, config: Ingest = Ingest()) -> Facts:
    """Read every source's files into documents, a shard a file or part of a large one; bad records are quarantined."""
    from openseek.data.sources.companions import wanted
    from openseek.data.sources.documents import read_file
    from openseek.data.sources.parts import parts
    from openseek.data.sources.suppression import load

    config = config.resolved()
    if config.suppression:
        # A list with a mistake ends the task before anything is read.
        load(config.suppression)
    if not config.sources:
        raise ValueError("Ingest.sources is empty: --set 'sources=[{name: NAME, path: FILE}]', or give a --recipe")
    files, passed_over = [], 0
    for source in config.sources:
        found = find(source.path)
        data = wanted(found, source)
        passed_over += len(found) - len(data)
        for path in data:
            # Before anything is read: a file of an unknown format ends the task at once, not after an hour.
            format = source.format_of(path)
            files += [(source, part) for part in parts(path, format, config.split_bytes)]
    facts = map_shards(out, files, partial(read_file, config=config), title="ingest")
    if passed_over:
        facts["files_passed_over"] = passed_over
    return report_files(out, facts, [(source.name, path.relative) for source, path in files], title="ingest")
