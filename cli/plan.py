"""`openseek plan`: every step of a recipe, what is done, and why the rest is not; of a corpus its counts as well."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.run import plan_table, planned
from tasks.command import assignments
from tasks.where import current

if TYPE_CHECKING:
    from openseek.data.mixture import Mix
    from openseek.recipes.corpus import Corpus, EntryRow, PartRow

UNKNOWN = "unknown"
FILE_WIDTH = 170
TRILLION, BILLION = 1e12, 1e9


def plan(recipe: str = "debug", root: Path | None = None, set: tuple[str, ...] = ()) -> int:  # noqa: A002
    """Show every step of a recipe, what is done, and why the rest is not.

    Of a recipe of a published corpus (pt_1.3t_v0.1, pt_1.3t_v1.0, pt_4t, pt_8t) first its sources: published tokens
    and bytes, what is held of them, the gap in percent, and the tokens and epochs that the mixture wants.

    Args:
        recipe: Name of a recipe, or a YAML file with `base: NAME` and the fields that differ.
        root: Folder that holds the artifacts.
        set: Fields to change, as FIELD=VALUE with a dotted field name.
    """
    from rich.console import Console

    from openseek.recipes import load_recipe

    root = root or current().root
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    loaded = load_recipe(recipe, assignments(set))
    corpus = _corpus(recipe)
    if corpus:
        _show_corpus(console, corpus, loaded.mix, root)
        if loaded.ingest.source and not loaded.ingest.mirror:
            console.print(
                "steps: not listed, since every source's home would be asked for its files: set ingest.mirror=DIR to "
                f"list them here, or ask for `openseek run --recipe {recipe} --dry-run`",
                soft_wrap=True,
            )
            return 0
    console.print(plan_table(planned(loaded, root), root))
    return 0


def _corpus(recipe: str) -> "Corpus | None":
    """The published corpus that a recipe is of, by its name or by the base of its file."""
    from openseek.fields import read_yaml
    from openseek.recipes import CORPORA, RECIPES

    if recipe not in RECIPES:
        recipe = read_yaml(Path(recipe).read_text(encoding="utf-8"))["base"]
    return CORPORA.get(recipe)


def _show_corpus(console: Any, corpus: "Corpus", mix: "Mix", root: Path) -> None:
    from openseek.artifact import is_finished
    from openseek.recipes.corpus import entry_rows, part_rows

    newest = root / "tokenize"
    summary = None
    if is_finished(newest):
        summary = json.loads((newest / "tokens.json").read_text(encoding="utf-8"))
    console.print(f"{corpus.title}: {corpus.stated}.", soft_wrap=True)
    parts = part_rows(corpus, summary)
    notes = list(dict.fromkeys(part.stated for part in corpus.parts))
    held = f"held: {newest.resolve().name}" if summary else f"held below {root}: nothing"
    console.print(_parts_table(parts, held, notes))
    for number, note in enumerate(notes, 1):
        console.print(f"  {number} {note}", soft_wrap=True)
    console.print()
    console.print(_entries_table(entry_rows(corpus, mix, summary), mix))
    for line in _totals(corpus, parts, mix):
        console.print(line, soft_wrap=True, highlight=False)


def _table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in texts:
        table.add_column(column, overflow="fold", min_width=len(column))
    for column in numbers:
        table.add_column(column, justify="right")
    return table


def _parts_table(rows: "Sequence[PartRow]", title: str, notes: list[str]) -> Any:
    """The parts with their counts; `stated` is the number of a note."""
    numbers = ("tokens published", "GB published", "tokens held", "GB held", "gap, tokens", "gap, bytes", "stated")
    table = _table(f"sources; {title}", ("source", "lang", "licence"), numbers)
    for row in rows:
        part = row.part
        table.add_row(
            part.name,
            part.lang,
            part.licence,
            _count(part.tokens),
            UNKNOWN if part.gigabytes is None else f"{part.gigabytes:,.1f}",
            "none" if row.tokens is None else _count(row.tokens),
            _gigabytes(row),
            _gap(row, row.token_gap),
            _gap(row, row.byte_gap),
            str(notes.index(part.stated) + 1),
        )
    return table


def _gigabytes(row: "PartRow") -> str:
    if row.tokens is None:
        return "none"
    return UNKNOWN if row.text_bytes is None else f"{row.text_bytes / BILLION:,.3f}"


def _gap(row: "PartRow", gap: float | None) -> str:
    if row.tokens is None:
        return "nothing held"
    if gap is None:
        return UNKNOWN
    return f"{gap:+.2%}" if gap > -0.9999 else "below -99.99%"


def _epochs(epochs: float) -> str:
    return f"{epochs:,.2f}" if epochs >= 0.01 or not epochs else "under 0.01"


def _entries_table(rows: "Sequence[EntryRow]", mix: "Mix") -> Any:
    stages = [stage.name for stage in mix.stages] or ["weight"]
    numbers = (*stages, "tokens wanted", "published", "epochs of that", "held", "epochs of that")
    title = f"mixture; {_count(mix.train_tokens)} training tokens, before caps"
    table = _table(title, ("source of the mixture",), numbers)
    for row in rows:
        least, most = ("", "") if row.complete else ("at least ", "at most ")
        table.add_row(
            row.name,
            *(f"{weight:.2%}" for weight in row.weights),
            _count(row.wanted),
            f"{least}{_count(row.published)}" if row.published else UNKNOWN,
            UNKNOWN if row.epochs is None else f"{most if row.epochs >= 0.01 else ''}{_epochs(row.epochs)}",
            "none" if row.held is None else _count(row.held),
            _epochs(row.wanted / row.held) if row.held else "none",
        )
    return table


def _totals(corpus: "Corpus", rows: "Sequence[PartRow]", mix: "Mix") -> list[str]:
    """The sums of what is known, and their gaps to the size in the corpus's name."""
    known = [row.part.tokens for row in rows if row.part.tokens is not None]
    gigabytes = [row.part.gigabytes for row in rows if row.part.gigabytes is not None]
    held = sum(row.tokens or 0 for row in rows)
    size = corpus.size
    unknown = f"{len(rows) - len(known)} of {len(rows)} sources have no published token count"
    lines = [
        f"published: {_count(sum(known))} tokens, {sum(known) / size - 1:+.1%} beside the {_count(size)} of its name; "
        f"{unknown}"
        if known
        else f"published: tokens unknown beside the {_count(size)} of its name; {unknown}",
        f"published: {sum(gigabytes):,.1f} GB of {len(gigabytes)} sources; these are sizes of files, often compressed, "
        "while what is held counts as text",
    ]
    if held:
        lines.append(f"held: {_count(held)} tokens, {held / size - 1:+.4%} beside its name")
    return [
        *lines,
        f"the mixture is set to {_count(mix.train_tokens)}, {mix.train_tokens / size - 1:+.1%} beside its name",
    ]


def _count(tokens: float | None) -> str:
    """Tokens in trillions, billions or as they are."""
    if tokens is None:
        return UNKNOWN
    if tokens >= TRILLION:
        return f"{tokens / TRILLION:.3f} T"
    return f"{tokens / BILLION:,.2f} B" if tokens >= BILLION / 100 else f"{tokens:,.0f}"
