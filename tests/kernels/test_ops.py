"""Every op against its reference: outputs and gradients, over its small cases (all cases on a GPU)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kernels import OPS

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
REPOSITORY = Path(__file__).parents[2]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False, cwd=REPOSITORY
    )


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    """What tests/kernels/op_errors.py measures."""
    done = run(str(Path(__file__).with_name("op_errors.py")))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPS)
def test_outputs_and_gradients_equal_the_reference(name, dtype, found):
    cases = {key: value for key, value in found.items() if key.startswith(f"{name} ") and key.endswith(f" {dtype}")}
    assert len(cases) >= sum(case.small for case in OPS[name].cases) > 0
    worst = {key: max(errors.values()) for key, errors in cases.items()}
    assert max(worst.values()) <= OPS[name].tolerance[DTYPES[dtype]], worst


def test_a_broken_kernel_is_noticed(found):
    tolerance = OPS["rms_norm"].tolerance[torch.bfloat16]
    assert found["broken _forward_kernel"]["output"] > 2 * tolerance
    assert found["broken _backward_kernel"]["gradient 0"] > 2 * tolerance


def test_strided_input_and_any_leading_shape(found):
    assert found["strided"]["output"] <= 1e-5
    x, weight = torch.randn(2, 3, 16)[..., ::2], torch.rand(8)
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight
    torch.testing.assert_close(OPS["rms_norm"](x, weight, 1e-6), expected)


def test_kernels_import_and_run_without_triton():
    code = (
        "import importlib.util as u, sys; sys.modules['triton'] = None; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'triton' else find(name, *a)\n"
        "import torch, kernels; print(kernels.rms_norm(torch.ones(2, 4), torch.ones(4)).sum().item())"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(8, rel=1e-4)


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [(["nope"], 2, "no op is named nope; there are: rms_norm"), ([], 1, "needs a GPU and found none")],
)
def test_bench_names_what_is_missing(names, code, message):
    done = run("-m", "kernels.bench", *names, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == code
    assert message in done.stderr
