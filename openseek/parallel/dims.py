"""ParallelDims: the one place where sizes become process groups, a device and the DeepSpeed config.

No torch at module level: recipes and `--help` read this module.
"""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    import torch.distributed as dist

# Private names of DeepSpeed are used in train/checkpoint.py and here: they were read and run in this version.
DEEPSPEED_VERSION = "0.19.8"
TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True)
class ParallelDims:
    """Sizes of the parallel axes. This version spreads over data only; the other sizes must be 1."""

    pp: int = 1
    """Pipeline stages."""
    dp: int = 1
    """Data-parallel ranks: each computes its share of every global batch."""
    cp: int = 1
    """Ranks that share one sequence."""
    ep: int = 1
    """Ranks that share the routed experts; divides dp."""
    tp: int = 1
    """Ranks that share each matrix."""
    zero: int = 1
    """ZeRO stage: 1 divides the optimizer's state over the data-parallel ranks."""

    def __post_init__(self) -> None:
        if self.dp < 1:
            raise ValueError(f"parallel.dp={self.dp} must be at least 1")
        for name in ("pp", "cp", "ep", "tp"):
            if getattr(self, name) != 1:
                raise ValueError(
                    f"parallel.{name}={getattr(self, name)} comes with a later version: this one spreads over data "
                    f"only. Set parallel.{name}=1 and raise parallel.dp"
                )
        if self.zero != 1:
            raise ValueError(f"parallel.zero={self.zero} comes with a later version: set parallel.zero=1")

    @property
    def world_size(self) -> int:
        """Processes of a run."""
        return self.pp * self.dp * self.cp * self.tp

    def start(self) -> Ranks:
        """Join the process groups of this run, as RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say, or alone.

        Alone (no RANK in the environment) is for one rank only and uses no port. Raises ValueError when the environment
        counts other ranks than these sizes.
        """
        import torch
        import torch.distributed as dist
        from torch._C._distributed_c10d import HashStore

        if not torch.cuda.is_available():
            os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else DeepSpeed warns that it found nothing better
            # DeepSpeed decorates optimizers that we do not use with torch.compile: five seconds of imports for nothing.
            os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
        os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed insists on it
        _import_deepspeed()
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world != self.world_size:
            raise ValueError(
                f"the parallel sizes need {self.world_size} ranks and {world} were started: start through "
                "tasks.launch.on_ranks, or set parallel.dp=1 for a plain call"
            )
        rank = int(os.environ.get("RANK", "0"))
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
            torch.cuda.set_device(device)
        if not dist.is_initialized():
            backend = "nccl" if device.type == "cuda" else "gloo"
            if "RANK" in os.environ:
                dist.init_process_group(backend, timeout=TIMEOUT)
            else:
                store = HashStore()
                dist.init_process_group(backend, store=store, rank=0, world_size=1, timeout=TIMEOUT)
        return Ranks(rank, world, device, dist.group.WORLD)

    def deepspeed_config(self, *, gradient_clipping: float, device: torch.device) -> dict[str, Any]:
        """What deepspeed.initialize gets. Batch sizes are 1 since the loop owns accumulation (it calls step itself)."""
        on_gpu = device.type == "cuda"
        return {
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": 1,
            "managed_gradient_accumulation": False,
            "zero_optimization": {"stage": self.zero, "overlap_comm": False},
            "zero_allow_untested_optimizer": True,
            "gradient_clipping": gradient_clipping,  # left out, DeepSpeed would clip at 1.0
            "bf16": {"enabled": on_gpu},
            # without grad_accum_dtype, micro-batches would be summed in bfloat16
            "data_types": {"grad_accum_dtype": "fp32", "keep_in_fp32_modules": ["e_score_correction_bias"]},
            "steps_per_print": None,
        }


@dataclass(frozen=True)
class Ranks:
    """This process among the others."""

    rank: int
    """Global rank."""
    world_size: int
    """Ranks in total."""
    device: torch.device
    """Where this rank computes."""
    data_group: dist.ProcessGroup | None
    """Ranks that hold the same weights and see different data: all of them in this version."""


def _import_deepspeed() -> Any:
    """DeepSpeed, without the compile it would start on a CPU and without the import of mlflow it does not need."""
    withheld = "mlflow" not in sys.modules
    if withheld and "deepspeed" not in sys.modules:
        # Only its autotuner, unused here, imports mlflow (half of DeepSpeed's import time), and does without too.
        sys.modules["mlflow"] = None  # pyright: ignore[reportArgumentType]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it touches parts of torch that are on their way out
            import deepspeed
    finally:
        if withheld:
            sys.modules.pop("mlflow", None)
    if deepspeed.__version__.split("+")[0] != DEEPSPEED_VERSION:
        raise RuntimeError(
            f"deepspeed {deepspeed.__version__} is installed and {DEEPSPEED_VERSION} was checked: "
            f"pip install deepspeed=={DEEPSPEED_VERSION}, or read parallel/dims.py and train/checkpoint.py again"
        )
    # Its shared-memory collectives are compiled on first use: minutes on two cores, an error without a compiler.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.utils.logger.setLevel("WARNING")
    return deepspeed
