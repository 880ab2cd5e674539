"""Makes the small verifiable task: neighbours, sums and comparisons of digits, in English and Chinese.

Every question goes by a hash to exactly one of three files: chat rows to warm a model up (sft), problems to reward it
on (rl), and problems that neither sees (benchmarks). Questions are short on purpose: no run of 13 words or characters
is shared by two of them, so decontamination by 13-grams keeps the files apart without emptying them.

    python samples/make_arithmetic.py
"""

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent

AFTER = ("What comes after {a}?", "{a} + 1 = ?", "{a}后面的数是几？", "计算：{a} + 1")
BEFORE = ("What comes before {a}?", "{a} - 1 = ?", "{a}前面的数是几？", "计算：{a} - 1")
SUMS = ("What is {a} plus {b}?", "{a} + {b} = ?", "{a}加{b}等于几？", "计算：{a} + {b}")
LARGER = ("Which is larger, {a} or {b}?", "The larger of {a} and {b}?", "{a}和{b}哪个大？", "{a}、{b}中较大的数？")
SMALLER = ("Which is smaller, {a} or {b}?", "The smaller of {a} and {b}?", "{a}和{b}哪个小？", "{a}、{b}中较小的数？")


def problems() -> Iterator[tuple[str, str]]:
    """All (question, answer) pairs, in a fixed order; every answer is one digit."""
    for a in range(10):
        for template in AFTER if a < 9 else ():
            yield template.format(a=a), str(a + 1)
        for template in BEFORE if a > 0 else ():
            yield template.format(a=a), str(a - 1)
        for b in range(10):
            # Sums with 0 or 1 would repeat the questions above.
            for template in SUMS if b > 1 and a + b < 10 else ():
                yield template.format(a=a, b=b), str(a + b)
            for template in LARGER if a != b else ():
                yield template.format(a=a, b=b), str(max(a, b))
            for template in SMALLER if a != b else ():
                yield template.format(a=a, b=b), str(min(a, b))


def part_of(question: str) -> str:
    """sft (45 %), rl (40 %) or benchmarks, by the question's hash alone."""
    share = hashlib.sha256(question.encode()).digest()[0] / 256
    return "sft" if share < 0.45 else "rl" if share < 0.85 else "benchmarks"


def main() -> None:
    """Write the three files; the same bytes every time."""
    parts: dict[str, list[tuple[str, str]]] = {"sft": [], "rl": [], "benchmarks": []}
    for question, answer in problems():
        parts[part_of(question)].append((question, answer))
    for rows in parts.values():
        rows.sort(key=lambda row: hashlib.sha256(row[0].encode()).digest()[1:])
    chats = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in parts.pop("sft")
    ]
    (HERE / "sft").mkdir(exist_ok=True)
    with open(HERE / "sft" / "arithmetic.jsonl.gz", "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(_lines(chats))
    for part, rows in parts.items():
        (HERE / part).mkdir(exist_ok=True)
        (HERE / part / "arithmetic.jsonl").write_bytes(_lines([{"question": q, "answer": a} for q, a in rows]))
    print(f"{len(chats)} chat rows, " + ", ".join(f"{len(rows)} problems for {part}" for part, rows in parts.items()))


def _lines(rows: Sequence[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


if __name__ == "__main__":
    main()
