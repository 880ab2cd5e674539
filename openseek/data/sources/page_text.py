"""HTML to text: an extractor finds the main content, formulas become LaTeX, code keeps its lines.

`openseek bench data_html` prints what each extractor reaches; docs/data.md names the numbers behind the default.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any

from openseek.data.sources.html_blocks import TAGS, Blocks, is_marked
from openseek.data.sources.html_place import put_back


def main_text(page: str, extractor: str = "trafilatura", blocks: bool = True) -> str:
    """The main text of an HTML page; "" when there is none. With `blocks` formulas and code are kept as such."""
    return _EXTRACTORS[extractor](page, blocks)


def _trafilatura(page: str, blocks: bool) -> str:
    """Trafilatura's own rules without its fallbacks, in the setting that keeps more."""
    load_html = _loader()
    # It warns of every page without text; we count them as dropped.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    tree: Any = load_html(page)
    if tree is None:
        return ""
    if not blocks or (next(tree.iter(*TAGS), None) is None and not is_marked(page)):
        return _extract(tree)
    found = Blocks(tree, page)
    text = _extract(tree)
    return put_back(text, tree, found) if found.found else text


@functools.cache
def _loader() -> Callable[[str], Any]:
    """Trafilatura's parser of pages, made quicker.

    lxml.html asks a Python function for the class of every element it hands out, so that forms and inputs have methods
    of their own. Nobody wants those here, and one class for all takes a tenth off an extraction.
    """
    from lxml import html
    from lxml.etree import ElementDefaultClassLookup
    from trafilatura import utils

    classes: dict[str, Any] = {"element": html.HtmlElement, "comment": html.HtmlComment}
    classes |= {"entity": html.HtmlEntity, "pi": html.HtmlProcessingInstruction}
    utils.HTML_PARSER.set_element_class_lookup(ElementDefaultClassLookup(**classes))
    return utils.load_html


def _extract(tree: Any) -> str:
    from trafilatura import extract

    return extract(tree, fast=True, favor_recall=True, include_comments=False, include_tables=True) or ""


def _resiliparse(page: str, blocks: bool) -> str:
    """Resiliparse's main content: several times as fast, with more of what surrounds an article."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    options: dict[str, Any] = {"main_content": True, "alt_texts": False, "list_bullets": False}
    own = HTMLTree.parse(page)
    if not blocks or own.body is None or (own.body.query_selector(", ".join(TAGS)) is None and not is_marked(page)):
        return extract_plain_text(own, **options)
    from lxml.html import tostring

    tree: Any = _loader()(page)
    found = Blocks(tree, page) if tree is not None else None
    if found is None or not found.found:
        return extract_plain_text(own, **options)
    text = extract_plain_text(str(tostring(tree, encoding="unicode")), **options)
    return put_back(text, tree, found)


_EXTRACTORS: dict[str, Callable[[str, bool], str]] = {"trafilatura": _trafilatura, "resiliparse": _resiliparse}


def prepare(extractor: str) -> None:
    """Import what an extractor needs, before the first page's time begins."""
    main_text("<html><body><p>A paragraph.</p><pre>x = 1</pre></body></html>", extractor)
