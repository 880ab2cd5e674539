"""Sizes that this version cannot serve are refused, and the DeepSpeed config says what would else be assumed."""

import os
import subprocess
import sys

import pytest
import torch

from openseek.parallel.dims import ParallelDims


@pytest.mark.parametrize("name", ["pp", "cp", "ep", "tp"])
def test_other_axes_come_later_and_say_so(name):
    with pytest.raises(ValueError, match=f"parallel.{name}=2 comes with a later version"):
        ParallelDims(**{name: 2})


@pytest.mark.parametrize(("fields", "message"), [({"zero": 3}, "parallel.zero=3"), ({"dp": 0}, "parallel.dp=0")])
def test_other_values_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        ParallelDims(**fields)


def test_the_config_leaves_nothing_to_deepspeeds_defaults():
    config = ParallelDims(dp=2).deepspeed_config(gradient_clipping=0.0, device=torch.device("cuda", 0))
    assert config["gradient_clipping"] == 0.0
    assert config["bf16"]["enabled"] and config["data_types"]["grad_accum_dtype"] == "fp32"
    assert "e_score_correction_bias" in config["data_types"]["keep_in_fp32_modules"]


def test_more_ranks_than_were_started_are_refused(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(ValueError, match="need 2 ranks and 1 were started"):
        ParallelDims(dp=2).start()


def test_the_module_imports_no_torch():
    code = "import sys, openseek.parallel.dims, openseek.train.pretrain; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})
