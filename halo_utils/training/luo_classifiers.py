"""The classifiers of Luo et al. 2024 on vectors of single-label proteins: SMOTE, random forest, perceptron."""

from collections.abc import Callable

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

# Their training set: 1,847 proteins of the nucleus; every other location is raised to 1,500.
RAISED = 1500 / 1847  # of the largest location
NEIGHBOURS = 5  # SMOTE's own (Chawla et al. 2002), as in imbalanced-learn
FOLDS = 5
LAYERS = (802, 401, 200, 100)  # of their perceptron
PROTOCOLS = ("inside the fold", "released_code")


def smote(x: np.ndarray, classes: np.ndarray, raised: float = RAISED, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return proteins [B', D] and classes [B'], the given ones first, then made-up ones of the smaller classes.

    Every class gets ``raised`` times as many as the largest has, at least. A made-up protein lies at a random place
    between one of its class and one of that one's five nearest there (Chawla et al. 2002). A class of one is repeated.
    """
    rng, parts, made = np.random.default_rng([seed, 30]), [x], [classes]
    names, counts = np.unique(classes, return_counts=True)
    for name, count in zip(names, counts, strict=True):
        if (missing := int(raised * counts.max()) - count) <= 0:
            continue
        own, first = x[classes == name], rng.integers(count, size=missing)
        if count > 1:
            near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, count - 1)).fit(own).kneighbors(return_distance=False)
            second = near[first, rng.integers(near.shape[1], size=missing)]
        else:
            second = first
        parts.append(own[first] + rng.random((missing, 1)) * (own[second] - own[first]))
        made.append(np.full(missing, name))
    return np.concatenate(parts).astype(x.dtype), np.concatenate(made)


def forest(seed: int = 0) -> RandomForestClassifier:
    """Return their random forest: 136 trees of depth 18, at least 6 proteins to split."""
    shape = {"n_estimators": 136, "max_depth": 18, "min_samples_split": 6, "max_features": "sqrt"}
    return RandomForestClassifier(class_weight="balanced", random_state=seed, **shape)


def perceptron(seed: int = 0, layers: tuple[int, ...] = LAYERS) -> MLPClassifier:
    """Return their perceptron for 80 epochs; the rate is Adam's own, theirs of 1e-5 wants batch norm."""
    return MLPClassifier(layers, batch_size=32, max_iter=80, early_stopping=True, random_state=seed)


def learn(
    make: Callable[[int], ClassifierMixin], x: np.ndarray, classes: np.ndarray, queries: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Return probabilities [M, K] of ``queries`` [M, D]; scaling and SMOTE see the training proteins x [B, D] alone.

    K is the largest of ``classes`` [B] and one; a location without a training protein gets 0.
    """
    scaler = StandardScaler().fit(x)
    model = make(seed).fit(*smote(scaler.transform(x), classes, seed=seed))
    found = np.zeros((len(queries), int(classes.max()) + 1))
    found[:, model.classes_] = model.predict_proba(scaler.transform(queries))
    return found


def cross_validated(
    make: Callable[[int], ClassifierMixin], x: np.ndarray, classes: np.ndarray, protocol: str, seed: int = 0
) -> float:
    """Return the accuracy in five folds of B proteins; locations with fewer proteins than folds are left out.

    ``inside the fold``: scaling and SMOTE see what the fold trains on. ``released_code``: both see everything first, so
    that made-up proteins are tested on, and real ones have made-up neighbours in training.
    """
    kept = np.bincount(classes)[classes] >= FOLDS
    x, classes, right = x[kept], classes[kept], []
    if protocol == "released_code":
        x, classes = smote(StandardScaler().fit_transform(x), classes, seed=seed)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, classes):
        if protocol == "released_code":
            predicted = make(seed).fit(x[train], classes[train]).predict(x[test])
        else:
            predicted = learn(make, x[train], classes[train], x[test], seed).argmax(axis=1)
        right.append(predicted == classes[test])
    return float(np.concatenate(right).mean())
