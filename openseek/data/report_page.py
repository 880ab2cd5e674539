"""A data report as one HTML page that needs nothing else, and as a short Markdown text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from openseek.data.clusters import Cluster
from openseek.data.report import ALARM, Example, RuleSummary, Summary
from openseek.data.report_figures import BROKEN, KEPT, values, waterfall

ROWS = 200
MARKDOWN_CLUSTERS = 5
STYLE = f"""
body {{ font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.2rem; margin-top: 2.2rem; }}
h3 {{ font-size: 1rem; margin: 1.6rem 0 .3rem; }}
table {{ border-collapse: collapse; margin: .6rem 0; }}
th, td {{ padding: .15rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid #e3e6ea; }}
.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.alarm {{ background: #fdecea; }} p.alarm {{ border-left: 4px solid {BROKEN}; padding: .4rem .8rem; }}
.kept {{ color: {KEPT}; }} .broken {{ color: {BROKEN}; }} .other {{ color: #7a838f; }}
.excerpt {{ font-size: .85rem; overflow-wrap: anywhere; }}
code {{ font-size: .85em; }} svg {{ max-width: 100%; height: auto; }}
section {{ break-inside: avoid; }}
mark {{ background: #d7f0dc; color: inherit; }}
.pair {{ width: 100%; table-layout: fixed; margin: .2rem 0; }} .pair td {{ border: 0; }}
"""


def page(
    title: str,
    summary: Summary,
    facts: Mapping[str, Any],
    alarms: Mapping[str, str],
    clusters: Sequence[Cluster] = (),
) -> str:
    """The whole page; equal input gives equal bytes."""
    counts = _totals(facts)
    parts = [
        f"<h1>{escape(title)}: {counts['in']:,} in, {counts['kept']:,} kept</h1>",
        _table(["", "documents", "share"], [[n, c, _share(c, counts["in"])] for n, c in counts.items()]),
        *(f'<p class="alarm"><strong>Alarm:</strong> {escape(line)}.</p>' for line in alarms.values()),
        "<h2>What each rule takes</h2>",
        waterfall(counts["in"], _losses(summary, facts), counts["kept"]),
        _rules(summary),
    ]
    if clusters:
        parts += ["<h2>Largest clusters</h2>", _clusters(clusters)]
    for kind, groups in sorted(summary.groups.items(), key=lambda item: _order(item[0])):
        parts += [f"<h2>By {escape(kind)}</h2>", _groups(kind, groups, alarms)]
    if summary.quarantine:
        parts += ["<h2>Quarantine</h2>", _quarantine(summary)]
    drawn = [_rule(name, rule) for name, rule in summary.rules.items()]
    if any(drawn):
        parts += ["<h2>Rule by rule</h2>", _legend(summary), *drawn]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def markdown(
    title: str,
    summary: Summary,
    facts: Mapping[str, Any],
    alarms: Mapping[str, str],
    clusters: Sequence[Cluster] = (),
) -> str:
    """Counts, alarms and the rules that took most, for a terminal or a dashboard."""
    counts = _totals(facts)
    lines = [f"# {_plain(title)}", "", "| | documents | share |", "|---|---:|---:|"]
    lines += [f"| {name} | {count:,} | {_share(count, counts['in'])} |" for name, count in counts.items()]
    lines += ["", *(f"**Alarm:** {_plain(line)}." for line in alarms.values()), ""]
    lines += ["| first broken rule | documents |", "|---|---:|"]
    losses = sorted(_losses(summary, facts), key=lambda item: -item[1])
    lines += [f"| {_plain(name)} | {count:,} |" for name, count in losses[:ROWS]]
    lines += ["", "| source | kept | dropped | quarantined | lost |", "|---|---:|---:|---:|---:|"]
    for name, (kept, dropped, bad) in list(summary.groups.get("source", {}).items())[:ROWS]:
        lost = _share(dropped + bad, kept + dropped + bad)
        lines.append(f"| {_plain(name)} | {kept:,} | {dropped:,} | {bad:,} | {lost} |")
    if clusters:
        lines += ["", "| largest clusters: stays | gone for it | first words |", "|---|---:|---|"]
    for found in clusters[:MARKDOWN_CLUSTERS]:
        lines.append(f"| {_plain(found.partner)} | {found.documents:,} | {_plain(found.text)} |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """A name inside a Markdown table."""
    return escape(text.replace("|", "/").replace("\n", " "), quote=False)


def _totals(facts: Mapping[str, Any]) -> dict[str, int]:
    dropped = sum(facts["dropped"].values())
    named = {"in": facts["rows_in"], "kept": facts["rows_out"], "dropped": dropped}
    return {**named, "quarantined": facts["quarantined"]}


def _losses(summary: Summary, facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What each rule took first, in the order of the rules, and what was quarantined."""
    taken = facts["dropped"]
    losses = [("quarantined", facts["quarantined"])] if facts["quarantined"] else []
    return losses + [(name, taken[name]) for name in summary.rules if taken.get(name)]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f'<td class="n">{value:,}</td>'
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    number = isinstance(value, float) or text.endswith("%")
    return f'<td class="n">{text}</td>' if number else f"<td>{escape(text)}</td>"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]], marked: Sequence[int] = ()) -> str:
    numeric = [
        all(isinstance(row[i], int | float) or str(row[i]).endswith("%") for row in rows) for i in range(len(head))
    ]
    cells = "".join(
        f'<th class="n">{escape(h)}</th>' if n else f"<th>{escape(h)}</th>" for h, n in zip(head, numeric, strict=True)
    )
    lines = [f"<tr>{cells}</tr>"]
    for place, row in enumerate(rows):
        mark = ' class="alarm"' if place in marked else ""
        lines.append(f"<tr{mark}>{''.join(map(_cell, row))}</tr>")
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _rules(summary: Summary) -> str:
    """Every rule, those that nobody broke too."""
    known = any(rule.looked_at for rule in summary.rules.values())
    head = ["rule", "limit", *(["looked at"] if known else []), "broken by", "first", "only"]
    rows = []
    for name, rule in summary.rules.items():
        seen = [rule.looked_at] if known else []
        rows.append([name, _limit(rule), *seen, rule.broken, rule.first, rule.only])
    note = (
        "<p><em>First</em>: documents that broke this rule before any other. <em>Only</em>: documents that broke no "
        "other rule, so that a milder limit would keep them.</p>"
    )
    return _table(head, rows) + note if rows else "<p>No document broke a rule.</p>"


def _limit(rule: RuleSummary) -> str:
    if rule.limit is None:
        return ""
    return f"{ {'<': '≥ ', '>': '≤ '}.get(rule.side, '') }{rule.limit:g}"


def _clusters(clusters: Sequence[Cluster]) -> str:
    """The documents that stay for the most others."""
    rows = []
    for found in clusters:
        members = ", ".join(f"{name} {count:,}" for name, count in found.members.items())
        rows.append([found.documents, found.partner, found.source, members, found.text])
    return _table(["gone for it", "stays", "its source", "sources of those that went", "its first words"], rows)


def _order(kind: str) -> int:
    return ["source", "language", "licence", "file"].index(kind)


def _groups(kind: str, groups: Mapping[str, list[int]], alarms: Mapping[str, str]) -> str:
    """Outcomes by name, the greatest losses of files first; sources that are an alarm are marked."""
    names = sorted(groups)
    if kind == "file":
        names.sort(key=lambda name: -sum(groups[name][1:]))
    rows, marked = [], []
    for name in names[:ROWS]:
        kept, dropped, bad = groups[name]
        whole = kept + dropped + bad
        if kind == "source" and name in alarms:
            marked.append(len(rows))
        state = ["ALARM" if name in alarms else ""] if kind == "source" else []
        rows.append([name or "unknown", whole, kept, dropped, bad, _share(dropped + bad, whole) or "0.0%", *state])
    head = [kind, "in", "kept", "dropped", "quarantined", "lost", *([""] if kind == "source" else [])]
    more = f"<p>{len(names) - ROWS:,} more are not shown.</p>" if len(names) > ROWS else ""
    note = ""
    if kind == "source":
        note = f"<p>A source that loses more than {ALARM:.0%}, or far more than the others, is an alarm.</p>"
    if kind == "licence":
        note = "<p>Of documents that were read.</p>"
    return _table(head, rows, marked) + more + note


def _quarantine(summary: Summary) -> str:
    rows = []
    for reason, found in sorted(summary.quarantine.items(), key=lambda item: (-item[1]["count"], item[0]))[:ROWS]:
        places = "; ".join(f"{file} at {position}" for file, position in found["examples"])
        rows.append([reason, found["count"], places])
    return _table(["reason", "records", "for example"], rows)


def _legend(summary: Summary) -> str:
    known = any(rule.looked_at for rule in summary.rules.values())
    if not known:
        return '<p>Values of the documents that <span class="broken">go</span>, and the limit.</p>'
    return (
        '<p>Above the axis, documents that keep the rule: <span class="kept">■ they stay</span>, <span class="other">■ '
        'another rule drops them</span>. Below it, on a scale of its own: <span class="broken">■ documents that break '
        "the rule</span>. Counts stand on a logarithmic axis, shares from 0 to 1.</p>"
    )


def _rule(name: str, rule: RuleSummary) -> str:
    """One rule: its values, the languages that it hits, documents on both sides of its limit."""
    picture = values(name, rule)
    if not picture and not rule.failed:
        return ""
    parts = [f'<h3 id="{escape(name)}">{escape(name)}</h3>', picture]
    hit = {language: (s, b) for language, (s, b) in rule.languages.items() if b}
    if len(rule.languages) > 1 and hit:
        shown = sorted(hit.items(), key=lambda item: (-item[1][1], item[0]))[:8]
        texts = [f"{escape(language)} {b:,} of {s:,} ({_share(b, s)})" for language, (s, b) in shown]
        parts.append(f"<p>Broken by language: {'; '.join(texts)}.</p>")
    for heading, examples in (("keep it", rule.passed), ("break it", rule.failed)):
        if examples:
            parts.append(_examples(heading, examples))
    return "<section>" + "\n".join(parts) + "</section>"


def _examples(heading: str, examples: Sequence[Example]) -> str:
    lines = []
    for example in examples:
        value = "" if example["value"] is None else f"{example['value']:.6g}"
        more = [example.get("detail"), f"instead of it: {example['partner']}" if example.get("partner") else None]
        notes = "; ".join(filter(None, more))
        where = f"<code>{escape(example['id'])}</code> {escape(example.get('url') or '')}"
        text = f'<br><span class="excerpt">{escape(example.get("text") or "")}</span>'
        if example.get("pieces"):
            text = _pair(example)
        lines.append(f'<tr><td class="n">{value}</td><td>{where} {escape(notes)}{text}</td></tr>')
    return (
        f"<table><tr><th>value</th><th>documents that {heading}, nearest to the limit</th></tr>\n"
        + "\n".join(lines)
        + "</table>"
    )


def _pair(example: Example) -> str:
    """An example beside the document that stays in its place; what they share is marked."""
    columns = ["", ""]
    for equal, *texts in example["pieces"]:
        for side, text in enumerate(texts):
            shown = escape(text)
            columns[side] += (f"<mark>{shown}</mark> " if equal else f"{shown} ") if shown else ""
    cells = "".join(f'<td class="excerpt">{column.strip()}</td>' for column in columns)
    head = "<tr><th>gone</th><th>stays; what both have is marked</th></tr>"
    return f'<table class="pair">{head}<tr>{cells}</tr></table>'
