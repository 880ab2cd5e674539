"""Where Megatron-core keeps what: layers on pipeline stages and their virtual stages, ranks and the folders they write.

Plain values, no tensor. A *unit* is a letter of Megatron's layout strings: E embedding, t decoder layer, m
multi-token prediction block, L loss (final norm and head); a *chunk* is what one virtual stage of one rank holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import lcm

UNITS = {"E": "embedding", "t": "decoder layer", "m": "multi-token prediction block", "L": "loss"}


@dataclass(frozen=True)
class Sizes:
    """Ranks of each kind of parallelism that the files depend on."""

    tp: int = 1
    """Tensor parallel: attention, dense and shared feed-forward, embedding and head are cut over these."""
    pp: int = 1
    """Pipeline stages."""
    ep: int = 1
    """Expert parallel: each holds a contiguous block of the routed experts."""
    etp: int = 1
    """Expert tensor parallel: the routed experts' matrices are cut over these."""
    vpp: int = 1
    """Virtual stages (model chunks) a pipeline rank."""

    def __post_init__(self) -> None:
        for name in ("tp", "pp", "ep", "etp", "vpp"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.vpp > 1 and self.pp == 1:
            raise ValueError(f"vpp={self.vpp} needs pipeline stages to interleave: give pp of at least 2, or vpp=1")
        self.ranks()

    def ranks(self) -> list[tuple[int, int, int]]:
        """(tp, ep, etp) of each file of one stage, in order of the rank that writes it.

        Rank r of a stage is attention rank r % tp and expert rank (r // etp) % ep, r % etp: the two grids lie over the
        same ranks (order tp-cp-ep-dp-pp). Raises ValueError where two ranks would write one file with other content.
        """
        found: dict[tuple[int, int], int] = {}
        for rank in range(lcm(self.tp, self.etp * self.ep)):
            tp, ep, etp = rank % self.tp, rank // self.etp % self.ep, rank % self.etp
            if found.setdefault((tp, ep), etp) != etp:
                raise ValueError(
                    f"etp={self.etp} does not divide tp={self.tp}: the file names of ckpt_format torch carry no expert "
                    "tensor rank, so two ranks would write the same file; give etp that divides tp"
                )
        return [(tp, ep, etp) for (tp, ep), etp in found.items()]

    def folder(self, tp: int, pp: int, ep: int) -> str:
        """Name of the folder of one rank's file."""
        name = f"mp_rank_{tp:02d}"
        name += f"_{pp:03d}" if self.pp > 1 else ""
        return name + (f"_{ep:03d}" if self.ep > 1 else "")


@dataclass(frozen=True)
class Chunk:
    """What one virtual stage of one pipeline rank holds."""

    stage: int
    """Pipeline rank."""
    virtual: int
    """Virtual stage: the content of key `model` or `model{virtual}`."""
    layers: tuple[int, ...]
    """Decoder layers by their number in the whole model; the first is layer 0 of the chunk."""
    mtp: tuple[int, ...]
    """Multi-token prediction blocks by depth, from 0."""
    embedding: bool
    """Whether the model begins here."""
    loss: bool
    """Whether final norm and head are here."""


def expanded(layout: str) -> list[str]:
    """The units of each chunk that a layout string names, such as "Et*3|(tt|)*29,m|L".

    `x*n` repeats a unit, `(...)*n` a group that may span chunks, `|` ends a chunk, commas and spaces say nothing.
    """

    def repeat(found: re.Match[str]) -> str:
        return unrolled(found[1] or found[3]) * int(found[2] or found[4])

    def unrolled(text: str) -> str:
        return re.sub(r"\(([^()]+)\)\*(\d+)|([^()*])\*(\d+)", repeat, text) if "*" in text else text

    chunks = unrolled(re.sub(r"[,\s]", "", layout)).split("|")
    if unknown := sorted({unit for chunk in chunks for unit in chunk} - set(UNITS)):
        told = ", ".join(f"{unit} {name}" for unit, name in UNITS.items())
        raise ValueError(f"layout {layout!r} has {' '.join(unknown)}: use {told}, x*n, (...)*n and | between stages")
    return chunks


def layout_string(chunks: list[str]) -> str:
    """The layout string of the units of each chunk, runs of one unit shortened."""
    return "|".join(re.sub(r"(.)\1+", lambda run: f"{run[1]}*{len(run[0])}", chunk) for chunk in chunks)


@dataclass(frozen=True)
class Split:
    """How the layers are dealt out to the pipeline's stages."""

    layout: str = ""
    """Megatron's layout string, or the layers of each stage as a list of numbers ("13,14"); empty: even."""
    first: int = 0
    """Layers of the first stage (decoder_first_pipeline_num_layers); 0: as the others."""
    last: int = 0
    """Layers of the last stage (decoder_last_pipeline_num_layers); 0: as the others."""
    account_for_embedding: bool = False
    """Count the embedding as one layer of the first stage."""
    account_for_loss: bool = False
    """Count the loss as one layer of the last stage."""

    def __post_init__(self) -> None:
        if min(self.first, self.last) < 0:
            raise ValueError(f"first={self.first}, last={self.last} must not be negative")
        accounted = self.account_for_embedding or self.account_for_loss
        if sum((bool(self.layout), bool(self.first or self.last), accounted)) > 1:
            raise ValueError(
                "give one of layout, first and last, or account_for_embedding and account_for_loss: each alone says "
                "how many layers a stage has"
            )

    def units(self, num_layers: int, num_mtp: int, sizes: Sizes) -> list[str]:
        """Units of each chunk, virtual stage by virtual stage, all pipeline ranks of one before the next.

        Raises ValueError with the remedy for a split that Megatron could not build.
        """
        if self.layout and not re.fullmatch(r"[\d,\s]+", self.layout):
            units = expanded(self.layout)
        else:
            counts = self._counts(num_layers, sizes)
            units = ["t" * count for count in counts]
            units[0] = "E" + units[0]
            units[-1] += "m" * num_mtp + "L"
        _check(units, num_layers, num_mtp, sizes)
        return units

    def chunks(self, num_layers: int, num_mtp: int, sizes: Sizes) -> list[Chunk]:
        """The same as values: the chunks by virtual stage, then pipeline rank."""
        found, layer, depth = [], 0, 0
        for index, units in enumerate(self.units(num_layers, num_mtp, sizes)):
            layers, mtp = units.count("t"), units.count("m")
            found.append(
                Chunk(
                    stage=index % sizes.pp,
                    virtual=index // sizes.pp,
                    layers=tuple(range(layer, layer + layers)),
                    mtp=tuple(range(depth, depth + mtp)),
                    embedding="E" in units,
                    loss="L" in units,
                )
            )
            layer, depth = layer + layers, depth + mtp
        return found

    def _counts(self, num_layers: int, sizes: Sizes) -> list[int]:
        """Decoder layers of each chunk."""
        if self.layout:
            stages = [int(number) for number in re.findall(r"\d+", self.layout)]
            if len(stages) == sizes.pp * sizes.vpp:
                return stages
            if len(stages) != sizes.pp:
                raise ValueError(
                    f"layout {self.layout!r} names {len(stages)} stages: give pp={sizes.pp} numbers"
                    + (f", or {sizes.pp * sizes.vpp}, one for each virtual stage" if sizes.vpp > 1 else "")
                )
        else:
            stages = self._even(num_layers, sizes.pp)
        if rest := [count for count in stages if count % sizes.vpp]:
            raise ValueError(
                f"{rest[0]} layers of a stage do not divide into vpp={sizes.vpp} virtual stages: give another vpp, or "
                "a layout string"
            )
        counts = [count // sizes.vpp for _ in range(sizes.vpp) for count in stages]
        counts[0] -= self.account_for_embedding
        counts[-1] -= self.account_for_loss
        if min(counts) < 0:
            raise ValueError(
                "account_for_embedding or account_for_loss leaves a stage with -1 layers: use fewer stages"
            )
        return counts

    def _even(self, num_layers: int, pp: int) -> list[int]:
        """Layers of each pipeline rank, embedding and loss counted where they are accounted for."""
        if pp == 1 and (self.first or self.last):
            raise ValueError(f"first={self.first}, last={self.last} need more than one stage: give pp of at least 2")
        total = num_layers + self.account_for_embedding + self.account_for_loss - self.first - self.last
        free = pp - bool(self.first) - bool(self.last)
        if total < 0 or (total if free == 0 else total % free):
            given = f" after first={self.first} and last={self.last}" if self.first or self.last else ""
            raise ValueError(
                f"{total} layers{given} do not divide evenly over {free} of pp={pp} stages: give first or last, or a "
                'layout with the layers of each stage, such as "13,14"'
            )
        middle = total // free if free else 0
        stages = [middle] * pp
        if self.first:
            stages[0] = self.first
        if self.last:
            stages[-1] = self.last
        return stages


def _check(units: list[str], num_layers: int, num_mtp: int, sizes: Sizes) -> None:
    """Megatron's own conditions on a layout."""
    line, shown = "".join(units), layout_string(units)
    wrong = ""
    if len(units) != sizes.pp * sizes.vpp:
        wrong = f"has {len(units)} stages, not pp*vpp={sizes.pp}*{sizes.vpp}"
    elif line.count("t") != num_layers:
        wrong = f"has {line.count('t')} decoder layers, and the model {num_layers}"
    elif line.count("m") != num_mtp:
        wrong = f"has {line.count('m')} multi-token prediction blocks, and the model {num_mtp}"
    elif not re.fullmatch(r"Et*m*L", line):
        wrong = "must begin with E, end with L, and have m after all t"
    elif num_mtp and not any(chunk.count("m") == num_mtp for chunk in units):
        wrong = "must keep all m on one stage"
    elif any("m" in chunk for chunk in units[: sizes.pp * (sizes.vpp - 1)]):
        wrong = "must have m on the last virtual stage of its rank"
    if wrong:
        raise ValueError(f"layout {shown!r} {wrong}: give a layout that does")
