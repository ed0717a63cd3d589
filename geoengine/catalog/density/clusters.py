"""Cells that hang together."""

from __future__ import annotations

import numpy as np

from geoengine.catalog.density.lattice import Lattice
from geoengine.core.columns import Bools, Floats, Longs


def clusters(lattice: Lattice, keys: Longs, is_across_edges: bool) -> Longs:
    """Which cluster each cell belongs to.

    Parameters
    ----------
    keys : int64, shape (N,)
        Cells, ascending, no two the same.
    is_across_edges : bool
        Whether cells must share an edge; else a corner is enough.

    Returns
    -------
    cluster : int64, shape (N,)
        The position of the first cell of its cluster.

    Notes
    -----
    Every round hangs the later of two touching trees under the earlier, then flattens: as many
    rounds as the logarithm of the longest chain, not as its length.
    """
    here, there = _touching(lattice, keys, is_across_edges)
    root = np.arange(len(keys))
    while True:
        a, b = root[here], root[there]
        apart = a != b
        if not apart.any():
            return root
        here, there, a, b = here[apart], there[apart], a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        root = _flat(root)


def sums(cluster: Longs, amounts: Floats | Bools) -> Floats:
    """What all cells of its cluster amount to, for each cell; shape (N,)."""
    total = np.bincount(cluster, amounts, len(cluster)).astype(np.float64)
    return total[cluster]


def _touching(lattice: Lattice, keys: Longs, is_across_edges: bool) -> tuple[Longs, Longs]:
    """Pairs of positions of neighbours, each pair once."""
    around = lattice.neighbours(keys)
    if is_across_edges:
        around = around[:, : lattice.edges]
    flat = around.ravel()
    there = np.minimum(np.searchsorted(keys, flat), len(keys) - 1) if len(keys) else flat
    here = np.repeat(np.arange(len(keys)), around.shape[1])
    is_pair = keys[there] == flat if len(keys) else np.zeros(0, bool)
    is_pair &= here < there
    return here[is_pair], there[is_pair]


def _flat(root: Longs) -> Longs:
    """Every position directly under the first of its tree."""
    while True:
        above = root[root]
        if (above == root).all():
            return root
        root = above
