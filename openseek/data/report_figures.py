"""The pictures of a data report as SVG text: what each rule takes away, and where its values lie beside the limit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from html import escape

from openseek.data import histogram
from openseek.data.report import RuleSummary

KEPT, OTHER, BROKEN, INK, TRACK = "#3b75af", "#b9c1cc", "#c8453c", "#222222", "#eef1f4"
WIDTH = 720
FONT = 'font-family="system-ui, sans-serif" font-size="12"'
ROW, LABELS, NUMBERS = 20, 260, 110
UP, DOWN, MARGIN = 92, 46, 14


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" role="img" {FONT}>'
    )
    return "\n".join([head, f"<title>{escape(title)}</title>", *parts, "</svg>"])


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def waterfall(rows_in: int, losses: Sequence[tuple[str, int]], kept: int) -> str:
    """From all documents to those kept: one bar for what each loss takes, in order."""
    span = WIDTH - LABELS - NUMBERS
    scale = span / max(rows_in, 1)
    lines = [("documents in", 0, rows_in, OTHER)]
    left = rows_in
    for name, count in losses:
        lines.append((name, left - count, left, BROKEN))
        left -= count
    lines.append(("kept", 0, kept, KEPT))
    parts = []
    for place, (name, start, stop, colour) in enumerate(lines):
        y = place * ROW
        parts.append(_rectangle(LABELS, y + 3, span, ROW - 6, TRACK))
        # What is there is seen, however little of the whole it is.
        width = max((stop - start) * scale, 1.0 if stop > start else 0.0)
        parts.append(_rectangle(min(LABELS + start * scale, LABELS + span - width), y + 3, width, ROW - 6, colour))
        parts.append(_text(LABELS - 8, y + 14, name, "end"))
        number = f"{stop - start:,}" if colour != BROKEN else f"−{stop - start:,}"
        share = f"{(stop - start) / max(rows_in, 1):.1%}"
        parts.append(_text(WIDTH - 52, y + 14, number, "end"))
        parts.append(_text(WIDTH, y + 14, share, "end", "#666666"))
    return _svg(len(lines) * ROW, parts, "documents taken away by each rule, in order")


class Axis:
    """Where values lie from left to right: the bins that matter, and zero beside a logarithmic axis."""

    def __init__(self, filled: set[int], limit: float | None) -> None:
        self.share = histogram.is_share(limit)
        self.borders: list[float] = histogram.edges(self.share).tolist()
        self.last = len(self.borders) - 1
        self.zero = False
        if self.share:
            self.low, self.high = 0, self.last
        else:
            marked = {min(int(self._bins(limit)), self.last - 1)} if limit else set()
            wanted = (filled | marked) - {0} or {histogram.ONE}
            self.zero = 0 in filled or limit == 0
            self.low, self.high = max(min(wanted) - 1, 1), min(max(wanted) + 2, self.last)
        self.width = (WIDTH - 2 * MARGIN) / (self.high - self.low + 2 * self.zero)

    def place(self, value: float) -> float:
        """The x of a value."""
        return self.of_bin(self._bins(value))

    def of_bin(self, number: float) -> float:
        """The x of a bin's left side."""
        if self.zero and number < 1:
            return MARGIN
        return MARGIN + (number - self.low + 2 * self.zero) * self.width

    def _bins(self, value: float) -> float:
        """Where a value lies, counted in bins."""
        if value >= self.borders[-1]:
            return float(self.last)
        number = max(bisect_right(self.borders, value) - 1, 0)
        inside = (value - self.borders[number]) / (self.borders[number + 1] - self.borders[number])
        return number + max(inside, 0.0)

    def ticks(self) -> list[tuple[float, str]]:
        """(x, label): tenths of a share, powers of ten of a count."""
        if self.share:
            tenth = histogram.SHARE_BINS // 10
            return [(self.of_bin(n), f"{self.borders[n]:g}") for n in range(0, self.last + 1, tenth)]
        ones = range(1, self.last + 1, histogram.STEPS_A_DECADE)
        found = [(self.of_bin(n), f"{self.borders[n]:,g}") for n in ones if self.low <= n <= self.high]
        return [(MARGIN + self.width / 2, "0")] * self.zero + found


def values(name: str, rule: RuleSummary) -> str:
    """A rule's values: above the axis of documents that keep it, below of those that break it; two scales."""
    filled = {int(n) for bins in (rule.kept, rule.other, rule.breaking) for n in bins}
    if not filled:
        return ""
    axis, ground = Axis(filled, rule.limit), UP + 16
    top = max(rule.kept.get(str(n), 0) + rule.other.get(str(n), 0) for n in filled)
    deepest = max(rule.breaking.values(), default=0)
    width = max(axis.width - 1, 1)
    parts = [f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{ground}" y2="{ground}" stroke="{INK}"/>']
    for number in sorted(filled):
        x, y = axis.of_bin(number), float(ground)
        for bins, colour in ((rule.kept, KEPT), (rule.other, OTHER)):
            if count := bins.get(str(number), 0):
                height = max(UP * count / top, 1.0)
                y -= height
                parts.append(_rectangle(x, y, width, height, colour))
        if count := rule.breaking.get(str(number), 0):
            parts.append(_rectangle(x, ground, width, max(DOWN * count / deepest, 1.0), BROKEN))
    low = ground + DOWN
    for x, label in axis.ticks():
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low}" y2="{low + 4}" stroke="{INK}"/>')
        parts.append(_text(x, low + 17, label, "middle"))
    if rule.limit is not None:
        x = axis.place(rule.limit)
        parts.append(f'<path d="M{x:.1f} 8V{low}" stroke="{INK}" stroke-dasharray="4 3" fill="none"/>')
        sign = {"<": "at least ", ">": "at most "}.get(rule.side, "limit ")
        anchor, shift = ("end", -5) if x > WIDTH / 2 else ("start", 5)
        parts.append(_text(x + shift, 14, f"{sign}{rule.limit:g}", anchor))
    note = f"tallest bar above {top:,}, below {deepest:,}"
    parts.append(_text(WIDTH - MARGIN, low + 32, note, "end", "#666666"))
    return _svg(low + 38, parts, f"values of {name}")
