"""A recipe: one frozen dataclass with a config for every step of the lifecycle."""

import dataclasses
from pathlib import Path
from typing import Any

from openseek.recipes.fields import changed

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
