"""The bill of materials of a mixture: what training will see of each source, licence and language.

A source is drawn from evenly, so the licences and languages of what is seen are those of what is held. Of one that is
drawn from by quality this is an estimate, which its warnings say: token shards do not tell licences by bucket.
"""

from collections.abc import Mapping
from typing import Any

from openseek.data.mixture_plan import Plan
from openseek.data.mixture_sources import UNKNOWN, Held

RESTRICTED = {
    UNKNOWN: "of unknown licence",
    "nc": "not for commercial use (nc)",
    "nd": "not to be changed (nd): no derived works",
    "terms": "under their source's own terms of use (terms)",
}
"""Licence classes that a person should know of before a model is trained or released -> what to say."""


def bill_of_materials(plan: Plan, held: Mapping[str, Held]) -> dict[str, Any]:
    """{train_tokens, sources: [...], licences, languages, warnings}, as mixture.json holds it.

    A source's row: source, kind, languages, licences (shares of its tokens), held_tokens, held_bytes, weight (as asked
    for), share (of the tokens seen), seen_tokens, epochs. Totals: {seen_tokens, share} of each licence and language.
    """
    rows = []
    for name, share in plan.got.items():
        source, seen = held[name], share * plan.train_tokens
        rows.append(
            {
                "source": name,
                "kind": next(iter(source.kinds), UNKNOWN),
                "languages": source.languages,
                "licences": source.licences,
                "documents": source.documents,
                "held_tokens": source.tokens,
                "held_bytes": source.text_bytes,
                "weight": plan.asked[name],
                "share": share,
                "seen_tokens": round(seen),
                "epochs": round(seen / source.tokens, 6),
            }
        )
    licences = _totals(rows, "licences", plan.train_tokens)
    return {
        "train_tokens": plan.train_tokens,
        "sources": rows,
        "licences": licences,
        "languages": _totals(rows, "languages", plan.train_tokens),
        "warnings": [*_warnings(rows, licences), *plan.notes],
    }


def _totals(rows: list[dict[str, Any]], key: str, train_tokens: int) -> dict[str, dict[str, float]]:
    """What is seen of each value of a source's shares, the most first."""
    shares: dict[str, float] = {}
    for row in rows:
        for value, part in row[key].items():
            shares[value] = shares.get(value, 0.0) + row["share"] * part
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return {value: {"seen_tokens": round(share * train_tokens), "share": share} for value, share in ordered}


def _warnings(rows: list[dict[str, Any]], licences: Mapping[str, Mapping[str, float]]) -> list[str]:
    found = []
    for licence, words in RESTRICTED.items():
        if licence in licences:
            sources = ", ".join(row["source"] for row in rows if licence in row["licences"] and row["share"])
            found.append(f"{licences[licence]['share']:.2%} of the tokens are {words}: {sources}")
    return found


def markdown(bill: Mapping[str, Any]) -> str:
    """The bill as a page of Markdown."""
    lines = ["# Bill of materials", "", f"{bill['train_tokens']:,} training tokens.", ""]
    lines += _table(
        ("source", "kind", "language", "licence", "tokens held", "weight", "tokens seen", "epochs", "share"),
        [
            (
                row["source"],
                row["kind"],
                _parts(row["languages"]),
                _parts(row["licences"]),
                f"{row['held_tokens']:,}",
                f"{row['weight']:.4%}",
                f"{row['seen_tokens']:,}",
                f"{row['epochs']:.3f}",
                f"{row['share']:.4%}",
            )
            for row in bill["sources"]
        ],
        first_number=4,
    )
    for title, key in (("Licences", "licences"), ("Languages", "languages")):
        lines += ["", f"## {title}", ""]
        totals = [(name, f"{t['seen_tokens']:,}", f"{t['share']:.4%}") for name, t in bill[key].items()]
        lines += _table((key.removesuffix("s"), "tokens seen", "share"), totals, first_number=1)
    lines += ["", "## Warnings", "", *(f"- {warning}" for warning in bill["warnings"] or ["none"])]
    return "\n".join(lines) + "\n"


def _parts(shares: Mapping[str, float]) -> str:
    """`by 80 %, unknown 20 %`; a single one without its share."""
    if len(shares) == 1:
        return next(iter(shares))
    return ", ".join(f"{value} {share:.1%}" for value, share in shares.items())


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]], first_number: int) -> list[str]:
    rule = ["---"] * first_number + ["---:"] * (len(columns) - first_number)
    cells = [[cell.replace("|", "/") for cell in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in ([*columns], rule, *cells)]
