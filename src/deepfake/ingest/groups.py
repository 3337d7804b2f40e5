"""Groups: pictures that must share a split, because a source says so or because they look alike.

A group is a connected part of the graph whose edges are declared kinship (identity, parent photo,
clip) and perceptual hashes that differ in few bits. Look-alikes are found without a comparison of all
pairs (Manku, Jain and Das Sarma, "Detecting near-duplicates for web crawling", WWW 2007). The 64 bits are
divided into d + 2 bands (d + 3 for larger d). Two hashes that differ in at most d bits are equal in at
least two (three) bands, by the pigeonhole principle. A sort by every choice of that many bands brings such
pairs together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, combinations, count

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_BITS = 64


def join_groups(frame: pd.DataFrame, distance: int) -> pd.DataFrame:
    """Fill `group`: the smallest declared name in the cluster, or "phash/" and its smallest hash.

    Names depend only on the set of pictures, not on the order of rows. Rejected rows count too: if the
    same bytes are in two declared groups, these become one. A picture that does not decode and has no
    declared group is a group of its own.

    Args:
        frame: columns image_id, phash (16 hex digits or null) and declared_group (text or null).
        distance: largest Hamming distance, 0 to 16 bits, of two pictures that look alike.

    Returns:
        The frame with `group` set.
    """
    look_of, looks = pd.factorize(frame["phash"], sort=True)
    declared_of, declared = pd.factorize(frame["declared_group"], sort=True)
    both = (look_of >= 0) & (declared_of >= 0)
    kin = np.unique(np.stack([look_of[both], len(looks) + declared_of[both]], axis=1), axis=0)
    alike = near_pairs(hash_values(looks), distance)
    cluster = _connected(len(looks) + len(declared), chain([kin], alike))
    names = np.array([*(f"phash/{look}" for look in looks), *declared], object)
    # The first node in this order names its cluster: declared names come first, then hashes, each sorted.
    order = np.r_[len(looks) : len(names), 0 : len(looks)]
    _, first = np.unique(cluster[order], return_index=True)
    node = np.where(look_of >= 0, look_of, len(looks) + declared_of)
    known = (look_of >= 0) | (declared_of >= 0)
    group = "phash/" + frame["image_id"].to_numpy(object)
    group[known] = names[order[first[cluster[node[known]]]]]
    return frame.assign(group=group)


def hash_values(phash: Iterable[str]) -> np.ndarray:
    """Hashes of 16 hexadecimal digits as uint64 [n]."""
    return np.array([int(digits, 16) for digits in phash], np.uint64)


def near_pairs(hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """All pairs of hashes that differ in at most `distance` bits, in parts. A pair may come twice or more.

    Memory grows with the number of hashes, not with the number of pairs. The caller gives each hash once.

    Args:
        hashes: uint64 [n].

    Yields:
        int64 [at most n, 2], positions in `hashes`.
    """
    for mask in _masks(distance):
        kept = hashes & mask
        order = np.argsort(kept)
        ordered, key = hashes[order], kept[order]
        left = np.arange(len(order) - 1)
        for step in count(1):
            left = left[left + step < len(order)]
            left = left[key[left] == key[left + step]]
            if not len(left):
                break
            near = left[np.bitwise_count(ordered[left] ^ ordered[left + step]) <= distance]
            if len(near):
                yield np.stack([order[near], order[near + step]], axis=1)


def _masks(distance: int) -> Iterator[np.uint64]:
    """The bits of every choice of bands in which two near hashes may be equal."""
    agreeing = 2 if distance <= 4 else 3  # few hashes share a key then, even of a million
    bands = distance + agreeing
    # Neighbouring bits of a DCT hash are similar. In one band they would make too many keys equal.
    bits = [sum(1 << bit for bit in range(band, _BITS, bands)) for band in range(bands)]
    for chosen in combinations(bits, agreeing):
        yield np.uint64(sum(chosen))


def _connected(nodes: int, edges: Iterable[np.ndarray]) -> np.ndarray:
    """Label of every node: equal if a path joins the nodes; int [nodes], labels 0, 1, ..."""
    labels = np.arange(nodes)
    waiting: list[np.ndarray] = []
    size = 0
    for part in edges:
        waiting.append(part)
        size += len(part)
        # Many look-alikes have very many pairs. So edges are merged as soon as they outnumber the nodes.
        if size > nodes:
            labels, waiting, size = _fold(labels, waiting), [], 0
    return _fold(labels, waiting) if size else labels


def _fold(labels: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    left, right = labels[np.concatenate(edges)].T
    shape = (len(labels), len(labels))
    graph = coo_array((np.ones(len(left), bool), (left, right)), shape=shape)
    joined = connected_components(graph, directed=False)[1]
    return np.asarray(joined[labels])
