"""The tensors of a checkpoint folder one at a time, by their names in the Hugging Face layout, FP8 made float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from openseek.model.fp8_blocks import SCALE_SUFFIX, dequantise, is_float8
from openseek.model.hf_config import fp8_block, read_json


class CheckpointReader:
    """Opens model.safetensors, or the shards that model.safetensors.index.json names; nothing is read before `read`.

    Raises ValueError for a missing file or tensor, and for scales without their weight.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.block = fp8_block(read_json(directory))
        """(rows, columns) that one scale of an FP8 weight covers; None where config.json tells of no FP8."""
        self._handles: dict[str, Any] = {}
        self._files = self._find()
        self.names = [name for name in self._files if not name.endswith(SCALE_SUFFIX)]
        """Every tensor but the scales, file by file."""
        alone = [name for name in self._files if name.removesuffix(SCALE_SUFFIX) not in self._files]
        if alone:
            raise ValueError(f"{directory} holds the scales {alone[0]} without {alone[0].removesuffix(SCALE_SUFFIX)}")

    def read(self, name: str) -> Tensor:
        """One tensor as it is stored; an FP8 weight as float32, its scales multiplied in.

        Raises ValueError that names the tensor: FP8 without scales or block size, or scales of another type.
        """
        tensor = self._stored(name)
        scale = name + SCALE_SUFFIX
        if not is_float8(tensor.dtype):
            if scale in self._files:
                raise ValueError(f"{self.directory}: {name} is {tensor.dtype} and yet has scales: the file is damaged")
            return tensor
        if scale not in self._files:
            raise ValueError(f"{self.directory}: {name} is FP8 and {scale} is missing: its numbers mean nothing alone")
        if self.block is None:
            raise ValueError(f"{self.directory}: {name} is FP8, but config.json has no quantization_config")
        try:
            return dequantise(tensor, self._stored(scale), self.block)
        except ValueError as error:
            raise ValueError(f"{self.directory}: {name}: {error}") from error

    def _stored(self, name: str) -> Tensor:
        return self._open(self._files[name]).get_tensor(name)

    def _open(self, file: str) -> Any:
        from safetensors import safe_open

        if file not in self._handles:
            if not (self.directory / file).is_file():
                raise ValueError(f"{self.directory / file} is missing: the checkpoint is not complete")
            self._handles[file] = safe_open(self.directory / file, framework="pt")
        return self._handles[file]

    def _find(self) -> dict[str, str]:
        """Name of every tensor -> its file, the tensors of a file together."""
        index = self.directory / "model.safetensors.index.json"
        if not index.is_file():
            return dict.fromkeys(self._open("model.safetensors").keys(), "model.safetensors")
        named: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        found = {name: file for file in sorted(set(named.values())) for name in self._open(file).keys()}  # noqa: SIM118
        for name, file in named.items():
            if found.get(name) != file:
                raise ValueError(f"{self.directory / file} does not hold {name}, which {index.name} looks for there")
        return found
