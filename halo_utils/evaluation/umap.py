"""UMAP (McInnes et al. 2018) for some thousand proteins: exact neighbours, the published objective, no compiler.

The reference implementation needs 200 MB of compiler and half a minute before its first point, more than the map of a
notebook is worth. Two dimensions; the same seed gives the same map.
"""

import numpy as np
from scipy import sparse
from scipy.optimize import curve_fit
from scipy.sparse.linalg import eigsh
from sklearn.neighbors import NearestNeighbors

NEGATIVES = 5  # pairs pushed apart for every pair pulled together
LARGEST_STEP = 4.0  # in either coordinate, as in the reference implementation


def fuzzy_graph(vectors: np.ndarray, neighbours: int) -> sparse.coo_matrix:
    """Return the weights of the neighbour graph, symmetric [N, N]; ``neighbours`` counts the protein itself.

    Each protein sees its nearest one with weight 1 and the others with ``exp(-(d - rho) / sigma)``, sigma such that its
    weights add up to log2(neighbours); two directed weights are joined as ``a + b - ab``.
    """
    distance, index = NearestNeighbors(n_neighbors=neighbours - 1).fit(vectors).kneighbors()
    beyond = distance - distance[:, :1]  # [N, k - 1]
    low, high = np.zeros(len(vectors)), np.full(len(vectors), max(float(beyond.max()), 1e-12) * 100)
    for _ in range(64):
        sigma = (low + high) / 2
        much = np.exp(-beyond / sigma[:, None]).sum(axis=1) > np.log2(neighbours)
        low, high = np.where(much, low, sigma), np.where(much, sigma, high)
    weight, rows = np.exp(-beyond / sigma[:, None]), np.repeat(np.arange(len(vectors)), neighbours - 1)
    directed = sparse.csr_matrix((weight.ravel(), (rows, index.ravel())), shape=(len(vectors),) * 2)
    return (directed + directed.T - directed.multiply(directed.T)).tocoo()


def curve(min_dist: float) -> tuple[float, float]:
    """Return a and b of ``1 / (1 + a d^2b)``, closest to 1 up to ``min_dist`` and ``exp(min_dist - d)`` beyond."""
    d = np.linspace(0, 3, 300)
    target = np.where(d < min_dist, 1.0, np.exp(min_dist - d))
    (a, b), _ = curve_fit(lambda x, a, b: 1 / (1 + a * x ** (2 * b)), d, target)
    return float(a), float(b)


def umap_2d(
    vectors: np.ndarray, neighbours: int = 15, min_dist: float = 0.5, epochs: int = 300, seed: int = 0
) -> np.ndarray:
    """Return a place in the plane for every protein, [N, 2], from vectors [N, D].

    Connected proteins attract and random ones repel each other, under the cross-entropy of both graphs, in steps that
    get smaller; an edge of weight w takes part in a share w of the epochs.
    """
    graph, (a, b), rng = (
        fuzzy_graph(vectors, min(neighbours, len(vectors))),
        curve(min_dist),
        np.random.default_rng(seed),
    )
    place, share = _first_places(graph, rng), graph.data / graph.data.max()
    edges = np.flatnonzero(share >= 1 / epochs)
    head, tail, share = graph.row[edges], graph.col[edges], share[edges]
    for epoch in range(epochs):
        due = np.flatnonzero(np.floor(share * (epoch + 1)) > np.floor(share * epoch))
        i, j, step = head[due], tail[due], np.zeros_like(place)
        apart = place[i] - place[j]
        squared = (apart**2).sum(axis=1, keepdims=True).clip(1e-12)
        pull = -2 * a * b * squared ** (b - 1) / (1 + a * squared**b)
        _add(step, i, pull * apart)
        _add(step, j, -pull * apart)
        i, j = np.repeat(i, NEGATIVES), rng.integers(len(place), size=len(due) * NEGATIVES)
        apart = place[i] - place[j]
        squared = (apart**2).sum(axis=1, keepdims=True)
        _add(step, i, np.where((i != j)[:, None], 2 * b / ((0.001 + squared) * (1 + a * squared**b)) * apart, 0.0))
        place = place + (1 - epoch / epochs) * step
    return place


def _add(step: np.ndarray, rows: np.ndarray, parts: np.ndarray) -> None:
    """Add clipped parts [M, 2] to the rows of ``step`` [N, 2]."""
    parts = parts.clip(-LARGEST_STEP, LARGEST_STEP)
    for axis in range(2):
        step[:, axis] += np.bincount(rows, parts[:, axis], minlength=len(step))


def _first_places(graph: sparse.coo_matrix, rng: np.random.Generator) -> np.ndarray:
    """Return the spectral layout, up to 10 from the middle, with a little noise, [N, 2]."""
    degree = np.asarray(graph.sum(axis=1)).ravel()
    normalised = sparse.diags(degree**-0.5) @ graph @ sparse.diags(degree**-0.5)
    values, layout = eigsh(normalised.tocsr(), k=3, which="LA", v0=np.ones(len(degree)))
    layout = layout[:, np.argsort(-values)[1:]]
    layout = layout * np.sign(layout[np.abs(layout).argmax(axis=0), [0, 1]])  # the sign of an eigenvector is free
    return 10 * layout / np.abs(layout).max() + rng.normal(scale=1e-4, size=layout.shape)
