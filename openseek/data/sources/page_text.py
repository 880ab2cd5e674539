"""HTML to text: an extractor finds the main content, formulas become LaTeX, code keeps its lines.

`openseek bench data_html` prints what each extractor reaches; docs/data.md names the numbers behind the default.
"""

import logging
from collections.abc import Callable
from typing import Any

from openseek.data.sources.html_blocks import Blocks, is_marked
from openseek.data.sources.html_place import put_back


def main_text(page: str, extractor: str = "trafilatura", blocks: bool = True) -> str:
    """The main text of an HTML page; "" when there is none. With `blocks` formulas and code are kept as such."""
    extract = EXTRACTORS[extractor]
    if not blocks or not is_marked(page):
        return extract(page)
    tree = _tree(page)
    if tree is None:
        return extract(page)
    found = Blocks(tree, page)
    text = extract(tree)
    return put_back(text, tree, found) if found.found else text


def _tree(page: str) -> Any:
    """The parsed page, as trafilatura would parse it; None when it is none."""
    from trafilatura.utils import load_html

    return load_html(page)


def _trafilatura(page: Any) -> str:
    """Trafilatura's own rules without its fallbacks, in the setting that keeps more."""
    from trafilatura import extract

    # It warns of every page without text; we count them as dropped.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    return extract(page, fast=True, favor_recall=True, include_comments=False, include_tables=True) or ""


def _resiliparse(page: Any) -> str:
    """Resiliparse's main content: about ten times as fast, with more of what surrounds an article."""
    from resiliparse.extract.html2text import extract_plain_text

    if not isinstance(page, str):
        from lxml.html import tostring

        page = tostring(page, encoding="unicode")
    return extract_plain_text(page, main_content=True, alt_texts=False, list_bullets=False)


EXTRACTORS: dict[str, Callable[[Any], str]] = {"trafilatura": _trafilatura, "resiliparse": _resiliparse}


def prepare(extractor: str) -> None:
    """Import what an extractor needs, before the first page's time begins."""
    main_text("<html><body><p>A paragraph.</p><pre>x = 1</pre></body></html>", extractor)
