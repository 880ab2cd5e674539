"""The decorator of functions that kernels call by the million."""

from typing import Any

from numba import njit

_OPTIONS: Any = {"nogil": True, "cache": True, "_nrt": False}

inner = njit(**_OPTIONS)
"""Compiled without counting references to its arrays, which its caller holds: each count is an atomic operation.

Such a function cannot allocate an array, nor iterate over one other than by index; numba refuses it at compile time.
"""
inner_fast = njit(**_OPTIONS, fastmath=True)
"""The same, where sums of floats may be taken in any order."""
inlined = njit(**_OPTIONS, inline="always")
"""The same, put into its caller: a call passes seven numbers for each array."""
