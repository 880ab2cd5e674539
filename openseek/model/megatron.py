"""Megatron-core's checkpoint in one table: its names, and how each tensor is made of those in the Hugging Face layout.

Matrices are cut over tensor-parallel ranks by rows (column parallel) or columns (row parallel); a gated pair is cut
before it is stacked; an expert belongs to one expert-parallel rank. Planning only: no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from openseek.model.config import ModelConfig
from openseek.model.megatron_layout import Chunk, Sizes, Split
from openseek.model.placement import Placed, Shape, cut, rows_of, run, stack, uncut
from openseek.model.tensor_names import EMBEDDING, HEAD, expected_tensors

WORD_EMBEDDINGS, OUTPUT_LAYER = "embedding.word_embeddings.weight", "output_layer.weight"
Spec = Literal["te", "local"]
Whole = tuple[str, Shape]


@dataclass(frozen=True)
class Names:
    """What differs between the names of Megatron-core's module specs and versions."""

    fused_norms: bool = True
    """A norm lies with the matrix behind it, as layer_norm_weight (Transformer Engine)."""
    grouped_experts: bool = True
    """Experts as linear_fc1.weight{k} (grouped matrix product) instead of local_experts.{k}.linear_fc1.weight."""
    mtp_layer: str = "mtp_model_layer"
    """The decoder layer inside a multi-token prediction block; transformer_layer in versions before 0.17."""
    cut_down: bool = False
    """The down projections of latent attention are cut over the tensor-parallel ranks; else each holds them whole."""
    fused_down: bool = False
    """Both down projections are one matrix, linear_qkv_down_proj."""


def names_of_spec(spec: Spec, mtp_layer: str, cut_down: bool | None) -> Names:
    """The names that a spec of Megatron-core reads; its local spec cuts the down projections, unless told otherwise."""
    te = spec == "te"
    return Names(te, te, mtp_layer, cut_down=not te if cut_down is None else cut_down)


def names_found(shapes: Mapping[str, Shape], config: ModelConfig) -> Names:
    """The same of tensors that were found: name of each (of all files together) -> its shape in some file."""

    def any_has(part: str) -> bool:
        return any(part in name for name in shapes)

    latent = {"linear_q_down_proj": config.q_lora_rank, "linear_kv_down_proj": config.kv_lora_rank + config.rotary_dim}
    latent["linear_qkv_down_proj"] = (config.q_lora_rank or 0) + config.kv_lora_rank + config.rotary_dim
    rows = {n.split(".")[-2]: shape[0] for n, shape in shapes.items() if n.endswith("down_proj.weight")}
    return Names(
        fused_norms=any_has(".layer_norm_weight"),
        grouped_experts=any_has(".mlp.experts.linear_fc1.weight"),
        mtp_layer="transformer_layer" if any_has(".transformer_layer.") else "mtp_model_layer",
        cut_down=any(rows[name] < full for name, full in latent.items() if full and name in rows),
        fused_down=any_has("linear_qkv_down_proj"),
    )


@dataclass(frozen=True)
class Row:
    """One line of the table. `{}` stands for the number of an expert: of all in `hf`, of its rank's in Megatron's."""

    hf: tuple[str, ...]
    """Ends of HF names below the layer, in the order in which they are stacked."""
    mcore: str
    """Megatron's name below the layer."""
    cut: str
    """Key of CUTS."""
    te: str = ""
    """Transformer Engine's name where it is another: a norm that lies with its matrix, or grouped experts."""


BLOCK = (
    Row(("post_attention_layernorm.weight",), "pre_mlp_layernorm.weight", "whole", "mlp.linear_fc1.layer_norm_weight"),
    Row(("mlp.gate_proj.weight", "mlp.up_proj.weight"), "mlp.linear_fc1.weight", "gated"),
    Row(("mlp.down_proj.weight",), "mlp.linear_fc2.weight", "row"),
    Row(("mlp.gate.weight",), "mlp.router.weight", "whole"),
    Row(("mlp.gate.e_score_correction_bias",), "mlp.router.expert_bias", "whole"),
    Row(
        ("mlp.experts.{}.gate_proj.weight", "mlp.experts.{}.up_proj.weight"),
        "mlp.experts.local_experts.{}.linear_fc1.weight",
        "gated",
        "mlp.experts.linear_fc1.weight{}",
    ),
    Row(
        ("mlp.experts.{}.down_proj.weight",),
        "mlp.experts.local_experts.{}.linear_fc2.weight",
        "row",
        "mlp.experts.linear_fc2.weight{}",
    ),
    Row(
        ("mlp.shared_experts.gate_proj.weight", "mlp.shared_experts.up_proj.weight"),
        "mlp.shared_experts.linear_fc1.weight",
        "gated",
    ),
    Row(("mlp.shared_experts.down_proj.weight",), "mlp.shared_experts.linear_fc2.weight", "row"),
)
DOWN = (
    Row(("self_attn.q_a_proj.weight",), "self_attention.linear_q_down_proj.weight", "down"),
    Row(("self_attn.kv_a_proj_with_mqa.weight",), "self_attention.linear_kv_down_proj.weight", "down"),
)
FUSED_DOWN = Row((*DOWN[0].hf, *DOWN[1].hf), "self_attention.linear_qkv_down_proj.weight", "down")
MLA = (
    Row(("input_layernorm.weight",), "input_layernorm.weight", "whole"),
    Row(("self_attn.q_proj.weight",), "self_attention.linear_q_proj.weight", "column"),
    Row(
        ("self_attn.q_a_layernorm.weight",),
        "self_attention.q_layernorm.weight",
        "whole",
        "self_attention.linear_q_up_proj.layer_norm_weight",
    ),
    Row(("self_attn.q_b_proj.weight",), "self_attention.linear_q_up_proj.weight", "column"),
    Row(
        ("self_attn.kv_a_layernorm.weight",),
        "self_attention.kv_layernorm.weight",
        "whole",
        "self_attention.linear_kv_up_proj.layer_norm_weight",
    ),
    Row(("self_attn.kv_b_proj.weight",), "self_attention.linear_kv_up_proj.weight", "column"),
    Row(("self_attn.o_proj.weight",), "self_attention.linear_proj.weight", "row"),
)
QKV = ("q_proj", "k_proj", "v_proj")
GQA = (
    Row(
        ("input_layernorm.weight",),
        "input_layernorm.weight",
        "whole",
        "self_attention.linear_qkv.layer_norm_weight",
    ),
    Row(tuple(f"self_attn.{n}.weight" for n in QKV), "self_attention.linear_qkv.weight", "heads"),
    Row(tuple(f"self_attn.{n}.bias" for n in QKV), "self_attention.linear_qkv.bias", "heads"),
    Row(("self_attn.q_norm.weight",), "self_attention.q_layernorm.weight", "whole"),
    Row(("self_attn.k_norm.weight",), "self_attention.k_layernorm.weight", "whole"),
    Row(("self_attn.o_proj.weight",), "self_attention.linear_proj.weight", "row"),
)
MTP = (
    Row(("enorm.weight",), "enorm.weight", "whole"),
    Row(("hnorm.weight",), "hnorm.weight", "whole"),
    Row(("eh_proj.weight",), "eh_proj.weight", "column"),
    Row(("shared_head.norm.weight",), "final_layernorm.weight", "whole"),
)


def _column(wholes: list[Whole], number: int, of: int, groups: int) -> Placed:
    return stack(cut(name, shape, 0, number, of) for name, shape in wholes)


def _heads(wholes: list[Whole], number: int, of: int, groups: int) -> Placed:
    """Query heads of a group, then its key and its value head; group after group, cut into equal runs of rows."""
    fused = stack(cut(name, shape, 0, group, groups) for group in range(groups) for name, shape in wholes)
    size, rest = divmod(fused.shape[0], of)
    if rest:
        raise ValueError(f"{wholes[0][0]} with keys and values has {fused.shape[0]} rows, not divisible by tp={of}")
    return rows_of(fused, number * size, (number + 1) * size)


CUTS: dict[str, Callable[[list[Whole], int, int, int], Placed]] = {
    "whole": lambda wholes, number, of, groups: stack(uncut(*each) for each in wholes),
    "column": _column,
    # Each half is cut by itself: a rank holds its rows of gate above its rows of up.
    "gated": _column,
    "row": lambda wholes, number, of, groups: cut(*wholes[0], 1, number, of),
    "heads": _heads,
}
"""How wholes make the `number`-th of `of` ranks' tensor; `groups`: of query heads."""


@dataclass(frozen=True)
class Megatron:
    """A Megatron checkpoint of one model: sizes, layout and names."""

    config: ModelConfig
    """The model, vocab_size without padding."""
    sizes: Sizes
    split: Split
    names: Names
    vocab_rows: int
    """Rows of the padded embedding, all ranks together."""

    def __post_init__(self) -> None:
        config, sizes = self.config, self.sizes
        if self.vocab_rows % sizes.tp or self.vocab_rows < config.vocab_size:
            raise ValueError(f"{self.vocab_rows} padded rows do not hold {config.vocab_size} over tp={sizes.tp} ranks")
        if config.n_routed_experts % sizes.ep:
            raise ValueError(f"ep={sizes.ep} does not divide n_routed_experts={config.n_routed_experts}")
        if config.attention == "mla" and config.num_attention_heads % sizes.tp:
            raise ValueError(f"tp={sizes.tp} does not divide num_attention_heads={config.num_attention_heads}")
        if config.attention == "mla" and not config.rope_interleave:
            raise ValueError("rope_interleave=False: Megatron's latent attention turns interleaved pairs only")

    def files(self) -> Iterator[tuple[str, dict[str, dict[str, Placed]]]]:
        """(folder, {"model" or "model{virtual}": {Megatron's name: what it holds}}) of every file.

        Raises ValueError for tensors that Megatron has no place for and sizes that do not divide.
        """
        sizes = self.sizes
        chunks = self.split.chunks(self.config.num_hidden_layers, self.config.num_nextn_predict_layers, sizes)
        layers = self._layers()
        for stage in range(sizes.pp):
            here = [chunk for chunk in chunks if chunk.stage == stage]
            for tp, ep, etp in sizes.ranks():
                held = {chunk_key(chunk, sizes): dict(self._chunk(chunk, layers, tp, ep, etp)) for chunk in here}
                yield sizes.folder(tp, stage, ep), held

    def _layers(self) -> dict[int, dict[str, Shape]]:
        """Ends of the HF names of each layer -> shape."""
        layers: dict[int, dict[str, Shape]] = {}
        for name, shape in expected_tensors(self.config).items():
            if name.startswith("model.layers."):
                number, _, end = name.removeprefix("model.layers.").partition(".")
                layers.setdefault(int(number), {})[end] = shape
        return layers

    def _chunk(
        self, chunk: Chunk, layers: dict[int, dict[str, Shape]], tp: int, ep: int, etp: int
    ) -> Iterator[tuple[str, Placed]]:
        config = self.config
        if chunk.embedding or chunk.mtp:
            yield WORD_EMBEDDINGS, self._vocabulary(EMBEDDING, tp)
        for local, layer in enumerate(chunk.layers):
            yield from self._layer(layer, layers[layer], f"decoder.layers.{local}", "", tp, ep, etp)
        last = config.num_hidden_layers - 1
        # With multi-token prediction the final norm stays behind the last decoder layer, wherever the loss is.
        if last in chunk.layers if config.num_nextn_predict_layers else chunk.loss:
            yield "decoder.final_layernorm.weight", uncut("model.norm.weight", (config.hidden_size,))
        for depth in chunk.mtp:
            layer = config.num_hidden_layers + depth
            inner = f"{self.names.mtp_layer}."
            yield from self._layer(layer, layers[layer], f"mtp.layers.{depth}", inner, tp, ep, etp)
        if chunk.loss and not config.tie_word_embeddings:
            yield OUTPUT_LAYER, self._vocabulary(HEAD, tp)
        elif chunk.loss and not chunk.embedding:
            # A stage of a tied model that begins elsewhere keeps a copy; beside a copy of the embedding it is not used.
            yield OUTPUT_LAYER, self._vocabulary(EMBEDDING, tp, loose=bool(chunk.mtp))

    def _layer(
        self, layer: int, shapes: dict[str, Shape], place: str, inner: str, tp: int, ep: int, etp: int
    ) -> Iterator[tuple[str, Placed]]:
        """The tensors of one decoder layer or multi-token prediction block on one rank."""
        left = set(shapes)
        present = {row.mcore for row in self._rows() if set(row.hf) <= left}
        for row in self._rows():
            expert = "{}" in row.mcore
            hf = [end.format(0) for end in row.hf]
            if not set(hf) <= left:
                continue
            number, of = (etp, self.sizes.etp) if expert else (tp, self.sizes.tp)
            local = self.config.n_routed_experts // self.sizes.ep if expert else 1
            for k in range(local):
                ends = [end.format(ep * local + k) for end in row.hf]
                wholes = [(f"model.layers.{layer}.{end}", shapes[end]) for end in ends]
                made = self._cut(row, wholes, number, of)
                below = "" if row in MTP else inner
                yield f"{place}.{below}{self._name(row, present).format(k)}", made
            left -= {end.format(k) for end in row.hf for k in range(self.config.n_routed_experts if expert else 1)}
        if left:
            raise ValueError(f"Megatron-core has no place for {', '.join(sorted(left))} of model.layers.{layer}")

    def _rows(self) -> Iterable[Row]:
        attention = GQA if self.config.attention == "gqa" else MLA
        fused = self.names.fused_down and self.config.q_lora_rank is not None
        return (*attention, *((FUSED_DOWN,) if fused else DOWN), *BLOCK, *MTP)

    def _cut(self, row: Row, wholes: list[Whole], number: int, of: int) -> Placed:
        kind = row.cut
        if kind == "down":
            made = CUTS["whole"](wholes, number, of, 1)
            return rows_of(made, *_share(wholes[0][0], made.shape[0], number, of)) if self.names.cut_down else made
        return CUTS[kind](wholes, number, of, self.config.kv_heads)

    def _name(self, row: Row, present: set[str]) -> str:
        """Megatron's name of a row; a norm is fused where the matrix behind it is in this layer."""
        if "{}" in row.te:
            return row.te if self.names.grouped_experts else row.mcore
        carrier = row.te.rpartition(".")[0] + ".weight"
        return row.te if row.te and self.names.fused_norms and carrier in present else row.mcore

    def _vocabulary(self, name: str, tp: int, loose: bool = False) -> Placed:
        """One rank's rows of the embedding or head; those behind the vocabulary are padding."""
        shape = (self.config.vocab_size, self.config.hidden_size)
        rows = self.vocab_rows // self.sizes.tp
        start, stop = (min(row, shape[0]) for row in (tp * rows, (tp + 1) * rows))
        parts = run(name, shape, start, stop).parts if start < stop else ()
        return Placed((rows, shape[1]), parts, loose)


def _share(name: str, size: int, number: int, of: int) -> tuple[int, int]:
    """First and end of the `number`-th of `of` equal shares."""
    if size % of:
        raise ValueError(f"{name} has {size} rows, not divisible by tp={of}: leave the down projections whole")
    return number * size // of, (number + 1) * size // of


def chunk_key(chunk: Chunk, sizes: Sizes) -> str:
    """Key of a model chunk in its file."""
    return f"model{chunk.virtual}" if sizes.vpp > 1 else "model"


def padded_vocab_size(vocab_size: int, divisible_by: int, tp: int) -> int:
    """Rows of the embedding over all ranks: the next multiple of divisible_by * tp."""
    step = divisible_by * tp
    return -(-vocab_size // step) * step


def is_ignored(name: str) -> bool:
    """Whether a tensor of a Megatron checkpoint says nothing about the model: state of FP8 recipes, rotary tables."""
    return name.endswith("_extra_state") or name.endswith(".inv_freq")
