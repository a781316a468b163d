"""Growth of regions over a graph of cells: territories that spread from seeds until their sizes are right."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra


def graph_of(first: np.ndarray, second: np.ndarray, cost: np.ndarray, *, size: int) -> sparse.csr_matrix:
    """Symmetric graph with ``size`` nodes; (e,) node pairs, (e,) positive costs."""
    return sparse.csr_matrix(
        (np.concatenate([cost, cost]), (np.concatenate([first, second]), np.concatenate([second, first]))),
        shape=(size, size),
    )


def grow(
    graph: sparse.csr_matrix, seeds: np.ndarray, *, mass: np.ndarray, target: np.ndarray, rounds: int = 14
) -> np.ndarray:
    """Give every node to one seed so that the mass of each region comes near its target.

    Each seed starts after a head start of its own; regions too heavy start later in the next round. A region is
    always connected, because every node hangs on the shortest path to its seed.

    Parameters
    ----------
    graph : (n, n) costs of going from node to node.
    seeds : (k,) distinct nodes.
    mass : (n,) what is being shared out (area, households).
    target : (k,) wanted mass per region.
    rounds : corrections made; the best round wins.

    Returns
    -------
    (n,) int, 0..k-1, or -1 where no seed can be reached.
    """
    n, k = graph.shape[0], len(seeds)
    coo = graph.tocoo()
    delay = np.zeros(k)
    step = float(np.median(coo.data)) * 2.0 if coo.nnz else 1.0
    best, best_error = np.full(n, -1), np.inf
    for round_ in range(rounds):
        starts = np.arange(n, n + k)
        full = sparse.csr_matrix(
            (
                np.concatenate([coo.data, delay - delay.min() + 1e-3]),
                (np.concatenate([coo.row, starts]), np.concatenate([coo.col, seeds])),
            ),
            shape=(n + k, n + k),
        )
        _, _, origin = dijkstra(full, indices=starts, min_only=True, return_predecessors=True)
        label = np.where(origin[:n] >= n, origin[:n] - n, -1)
        alone = label[seeds] != np.arange(k)
        got = np.bincount(label[label >= 0], weights=mass[label >= 0], minlength=k)
        ratio = np.log(np.maximum(got, target * 0.05) / target)
        error = float(np.abs(ratio).mean() + 10 * alone.sum())
        if error < best_error:
            best, best_error = label, error
        delay = delay + step * np.where(alone, -4.0, ratio) * (1.6 if round_ < rounds // 2 else 0.7)
    # A seed that a neighbour's head start swallowed still owns its own node.
    best = best.copy()
    best[seeds] = np.arange(k)
    return best


def heal(label: np.ndarray, first: np.ndarray, second: np.ndarray, length: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Make every region connected: pieces cut off from their seed go to the neighbour with the longest border.

    Parameters
    ----------
    label : (n,) region of each node, -1 for none yet.
    first, second, length : (e,) neighbouring nodes and the length of their border, metres.
    seeds : (k,) node of each region that stays where it is.

    Returns
    -------
    (n,) int, every region connected as far as the graph is.
    """
    label = label.copy()
    n = len(label)
    for _ in range(50):
        same = label[first] == label[second]
        inner = sparse.csr_matrix((np.ones(same.sum()), (first[same], second[same])), shape=(n, n))
        _, piece = connected_components(inner, directed=False)
        main = np.zeros(piece.max() + 1, dtype=bool)
        main[piece[seeds]] = True
        stray = ~main[piece] | (label < 0)
        if not stray.any():
            return label
        a, b = np.concatenate([first, second]), np.concatenate([second, first])
        edge = stray[a] & ~stray[b]
        if not edge.any():
            return label
        k = int(label.max()) + 1
        key = piece[a[edge]].astype(np.int64) * k + label[b[edge]]
        keys, inverse = np.unique(key, return_inverse=True)
        weight = np.bincount(inverse, weights=np.concatenate([length, length])[edge])
        order = np.lexsort((keys, weight))
        winner = np.full(piece.max() + 1, -1)
        winner[keys[order] // k] = keys[order] % k
        change = stray & (winner[piece] >= 0)
        label[change] = winner[piece[change]]
    return label
