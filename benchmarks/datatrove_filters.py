"""datatrove's four filters of English text, rule by rule, run in the peers' environment."""

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers import REPOSITORY, peer

SCRIPT = r'''
sys.path.insert(0, arguments["repository"])
import unicodedata, warnings
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_sentences, split_into_words
from benchmarks.reference_rules import LIMITS, breaks, measure

warnings.simplefilter("ignore")
off = dict.fromkeys(("min_doc_words", "max_doc_words", "min_avg_word_length", "max_avg_word_length",
    "max_symbol_word_ratio", "max_bullet_lines_ratio", "max_ellipsis_lines_ratio", "max_non_alpha_words_ratio",
    "min_stop_words"))
quality = {"gopher_min_words": ("min_doc_words", 50), "gopher_max_words": ("max_doc_words", 100000),
    "gopher_min_mean_word_length": ("min_avg_word_length", 3),
    "gopher_max_mean_word_length": ("max_avg_word_length", 10), "gopher_hash_ratio": ("max_symbol_word_ratio", 0.1),
    "gopher_bullet_lines": ("max_bullet_lines_ratio", 0.9), "gopher_ellipsis_lines": ("max_ellipsis_lines_ratio", 0.3),
    "gopher_alpha_words": ("max_non_alpha_words_ratio", 0.8), "gopher_stop_words": ("min_stop_words", 2)}
rules = {rule: GopherQualityFilter(**(off | {field: limit})) for rule, (field, limit) in quality.items()}
none = {"dup_line_frac": None, "dup_para_frac": None, "dup_line_char_frac": None, "dup_para_char_frac": None,
    "top_n_grams": (), "dup_n_grams": ()}
for rule, field, limit in (("lines", "dup_line_frac", 0.3), ("line_characters", "dup_line_char_frac", 0.2),
        ("paragraphs", "dup_para_frac", 0.3), ("paragraph_characters", "dup_para_char_frac", 0.2)):
    rules["repetition_" + rule] = GopherRepetitionFilter(**(none | {field: limit}))
for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16)):
    rules[f"repetition_top_{n}gram"] = GopherRepetitionFilter(**(none | {"top_n_grams": ((n, limit),)}))
for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
    rules[f"repetition_duplicate_{n}gram"] = GopherRepetitionFilter(**(none | {"dup_n_grams": ((n, limit),)}))
loose = {"line_punct_thr": -1, "short_line_thr": 9, "char_duplicates_ratio": 9, "new_line_ratio": 10**9}
for rule, field, limit in (("punctuated_lines", "line_punct_thr", 0.12), ("short_lines", "short_line_thr", 0.67),
        ("duplicate_characters", "char_duplicates_ratio", 0.01), ("newlines_per_word", "new_line_ratio", 0.3)):
    rules["fineweb_" + rule] = FineWebQualityFilter(**(loose | {field: limit}))
bare = {"min_num_sentences": -1, "filter_lorem_ipsum": False, "filter_curly_bracket": False}
for rule, field, limit in (("min_sentences", "min_num_sentences", 5), ("lorem_ipsum", "filter_lorem_ipsum", True),
        ("curly_bracket", "filter_curly_bracket", True)):
    rules["c4_" + rule] = C4QualityFilter(**(bare | {field: limit}))

def broken(rule, text):
    """Whether the document breaks the rule; None where datatrove cannot say, for want of a word to divide by."""
    try:
        verdict = rules[rule].filter(Document(text=text, id="0"))
    except (ZeroDivisionError, IndexError):
        return None
    if rule.startswith("gopher_") and verdict is True and not split_into_words(text):
        return None
    if isinstance(verdict, tuple) and rule == "gopher_hash_ratio":
        return verdict[1] == "gopher_too_many_hashes"
    return verdict is not True

def ellipsis(text, words):
    # One field limits hashes and ellipses, and the filter stops at hashes: then its own expression is taken.
    verdict = rules["gopher_hash_ratio"].filter(Document(text=text, id="0"))
    if verdict is True or verdict[1] != "gopher_too_many_hashes":
        return verdict is not True
    return (text.count("...") + text.count("\u2026")) / len(words) > 0.1

def judge(text):
    found = {rule: broken(rule, text) for rule in rules}
    words = split_into_words(text)
    found["gopher_ellipsis_ratio"] = ellipsis(text, words) if words else None
    values = measure(text, words, lambda line: len(split_into_sentences(line)), PUNCTUATION_SET.__contains__,
        TERMINAL_PUNCTUATION.__contains__)
    return {"broken": found, "values": values, "by_reference": {r: breaks(r, v) for r, v in values.items()}}

texts = json.load(open(arguments["texts"], encoding="utf-8"))
for rule in rules:
    broken(rule, "Warm up. The caches and the language are loaded here.")
result = {}
if arguments["judge"]:
    result["judged"] = [judge(text) for text in texts]
    filters = []
else:
    filters = [GopherRepetitionFilter(), GopherQualityFilter(), FineWebQualityFilter(), C4QualityFilter()]
begin, size = spent(), 0
for text in texts:
    for step in filters:
        step.filter(Document(text=text, id="0"))
result["seconds"] = spent() - begin
json.dump(result, open(arguments["out"], "w"))
print("{}")
'''


def datatrove(texts: list[str], *, judge: bool) -> dict[str, Any] | None:
    """`judged`: per text what is broken, values, and the reference's decisions; else CPU `seconds` of the four filters.

    None where the peers are not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "texts.json"), Path(folder, "out.json")
        source.write_text(json.dumps(texts))
        arguments = {"repository": str(REPOSITORY), "texts": str(source), "out": str(out), "judge": judge}
        return None if peer(SCRIPT, arguments) is None else json.loads(out.read_text())
