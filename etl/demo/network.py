"""The road network (路网): classes, names and one connected graph out of the coverage's edges."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
from scipy.spatial import cKDTree

from etl.demo.blocks import BORDER, CANAL, LOCAL, STREET, TRACK, TRUNK, Blocks, segment_keys
from etl.demo.frame import table
from etl.demo.outline import GRID_M
from etl.demo.profile import CountyProfile
from etl.demo.roads import WIDTH_M, Planned, joined
from etl.demo.villages import Villages

# How much longer a metre feels, by line kind: through traffic keeps to roads.
_EFFORT = {TRUNK: 0.75, LOCAL: 1.0, STREET: 2.2, TRACK: 4.0, CANAL: 4.0, BORDER: 4.0}
_SURFACE = {
    "national": "asphalt",
    "provincial": "asphalt",
    "county": "asphalt",
    "township": "concrete",
    "village": "concrete",
    "track": "earth",
}


@dataclass(frozen=True)
class Network:
    """Road graph: nodes (m, 2) metres; roads as Terrain wants them."""

    nodes: np.ndarray
    roads: gpd.GeoDataFrame


def build_network(
    profile: CountyProfile,
    villages: Villages,
    blocks: Blocks,
    planned: Planned,
    trunks: list[dict[str, object]],
    *,
    settled: np.ndarray,
    wild: np.ndarray,
) -> Network:
    """Classify edges, join what is apart, let expressways pass over everything but their interchanges.

    Parameters
    ----------
    settled, wild : (b,) bool, blocks with houses and blocks under woodland (no tracks between two wild ones).
    """
    kind = blocks.edge_kind.copy()
    left, right = _sides(blocks)

    def beside(flag: np.ndarray) -> np.ndarray:
        return np.asarray(((left >= 0) & flag[left]) | ((right >= 0) & flag[right]))

    kind[(kind == STREET) & ~beside(settled)] = TRACK
    trunk = np.where(blocks.edge_source >= 0, planned.trunk[np.maximum(blocks.edge_source, 0)], -1)
    trunk[kind != TRUNK] = -1
    fast = np.isin(trunk, [k for k, t in enumerate(trunks) if t["expressway"]])
    use = (np.isin(kind, (TRUNK, LOCAL, STREET)) | ((kind == TRACK) & beside(~wild))) & ~fast
    ends = shapely.get_coordinates(shapely.get_point(blocks.edge, [[0], [-1]]).T.ravel()).reshape(-1, 2, 2)
    cm = np.rint(ends / GRID_M).astype(np.int64).reshape(-1, 2)
    unique, number = np.unique(cm, axis=0, return_inverse=True)
    node = number.reshape(-1, 2)
    use = _join(node, kind, use, shapely.length(blocks.edge), len(unique))
    rows = np.flatnonzero(use)
    label, ref, name = _classes(villages, unique * GRID_M, node[rows], kind[rows], shapely.length(blocks.edge[rows]))
    width = np.array([WIDTH_M[c] for c in label])
    for i, t in zip(np.flatnonzero(trunk[rows] >= 0), trunk[rows][trunk[rows] >= 0], strict=True):
        label[i], ref[i], name[i] = trunks[t]["road_class"], trunks[t]["ref"], trunks[t]["name"]
        width[i] = trunks[t]["width_m"]
    lines, first, second = blocks.edge[rows], node[rows, 0], node[rows, 1]
    extra_xy, over = _expressways(blocks, planned, trunks, trunk, fast, node, unique, rows)
    roads = table(
        {
            "class": [*label, *(o[0] for o in over)],
            "ref": [*ref, *(o[1] for o in over)],
            "name": [*name, *(o[2] for o in over)],
            "from_node": np.array([*first, *(o[3] for o in over)], dtype=np.int64),
            "to_node": np.array([*second, *(o[4] for o in over)], dtype=np.int64),
            "oneway": np.zeros(len(lines) + len(over), dtype=bool),
            "surface": [*(_SURFACE[c] for c in label), *("asphalt" for _ in over)],
            "width_m": np.array([*width, *(o[5] for o in over)], dtype=float),
        },
        np.array([*lines, *(o[6] for o in over)], dtype=object),
        srid=profile.metric_srid,
    )
    return _compact(np.vstack([unique * GRID_M, np.array(extra_xy).reshape(-1, 2)]), roads)


def _sides(blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """The one or two blocks (e,) that each edge borders, -1 for outside."""
    key, owner, _ = segment_keys(blocks.geometry)
    edge_key, edge_owner, _ = segment_keys(blocks.edge)
    first = np.concatenate([[True], np.diff(edge_owner) > 0])
    wanted = edge_key[first]
    _, number = np.unique(np.vstack([wanted, key]), axis=0, return_inverse=True)
    number = number.ravel()
    low, high = np.full(number.max() + 1, len(blocks)), np.full(number.max() + 1, -1)
    np.minimum.at(low, number[len(wanted) :], owner)
    np.maximum.at(high, number[len(wanted) :], owner)
    left, right = low[number[: len(wanted)]], high[number[: len(wanted)]]
    return np.where(left == len(blocks), -1, left), right


def _join(node: np.ndarray, kind: np.ndarray, use: np.ndarray, length: np.ndarray, size: int) -> np.ndarray:
    """Take in the shortest field edges that make one component; what still hangs apart is left out."""
    part = joined(size, node[use, 0], node[use, 1])
    spare = ~use & np.isin(kind, (TRACK, CANAL, BORDER))
    a, b = part[node[spare, 0]], part[node[spare, 1]]
    cross = a != b
    rows = np.flatnonzero(spare)[cross]
    # A dead-end track is no reason for a new road: only components with a road edge count, by weight of edges.
    keep = np.zeros(len(kind), dtype=bool)
    order = np.lexsort((rows, length[rows]))
    low, high = np.minimum(a[cross], b[cross])[order], np.maximum(a[cross], b[cross])[order]
    _, once = np.unique(low.astype(np.int64) * size + high, return_index=True)
    picked = rows[order][once]
    tree = minimum_spanning_tree(
        coo_matrix((length[picked] + 1.0, (low[once], high[once])), shape=(part.max() + 1,) * 2).tocsr()
    ).tocoo()
    chosen = {(min(i, j), max(i, j)) for i, j in zip(tree.row.tolist(), tree.col.tolist(), strict=True)}
    for k, i, j in zip(picked.tolist(), low[once].tolist(), high[once].tolist(), strict=True):
        keep[k] = (i, j) in chosen
    use = use | keep
    part = joined(size, node[use, 0], node[use, 1])
    main = np.bincount(part[node[use, 0]], weights=length[use]).argmax()
    return np.asarray(use & (part[node[:, 0]] == main))


def _classes(
    villages: Villages, xy: np.ndarray, node: np.ndarray, kind: np.ndarray, length: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class, ref and name of each edge: county roads join seats, township roads carry several villages to theirs."""
    label = np.where(kind == TRUNK, "provincial", np.where(np.isin(kind, (LOCAL, STREET)), "village", "track"))
    label = label.astype(object)
    ref, name = np.full(len(kind), None, dtype=object), np.full(len(kind), None, dtype=object)
    effort = length * np.array([_EFFORT.get(k, 4.0) for k in range(TRACK + 1)])[kind]
    used = np.unique(node)
    local = np.searchsorted(used, node)
    n = len(used)
    order = np.lexsort((effort, local.max(axis=1), local.min(axis=1)))
    flat = local.min(axis=1)[order].astype(np.int64) * n + local.max(axis=1)[order]
    _, first = np.unique(flat, return_index=True)
    rows = order[first]  # of parallel edges the cheapest
    lo, hi = local.min(axis=1)[rows], local.max(axis=1)[rows]
    row_of = dict(zip((lo.astype(np.int64) * n + hi).tolist(), rows.tolist(), strict=True))
    graph = csr_matrix((effort[rows], (lo, hi)), shape=(n, n))
    at = cKDTree(xy[used]).query(villages.seed)[1]
    seats = at[villages.seat]
    far, back = dijkstra(graph, directed=False, indices=seats, return_predecessors=True)

    def path(t: int, end: int) -> list[int]:
        edges, here = [], end
        while back[t, here] >= 0:
            there = int(back[t, here])
            edges.append(row_of[min(here, there) * n + max(here, there)])
            here = there
        return edges

    carried = np.zeros(len(kind), dtype=int)
    home = np.full(len(kind), -1)
    for v, own in enumerate(villages.township):
        rows_v = path(int(own), int(at[v]))
        carried[rows_v] += 1
        home[rows_v] = own
    busy = (carried >= 2) & (kind == LOCAL)
    label[busy] = "township"
    for i in map(int, np.flatnonzero(busy)):
        ref[i] = f"Y{int(home[i]) + 1:02d}0"
        name[i] = f"乡道{ref[i]}（示意）"
    number = 301
    for t in range(len(seats)):
        for o in map(int, np.argsort(far[t][seats], kind="stable")[1:4]):
            if o < t and t in np.argsort(far[o][seats], kind="stable")[1:4]:
                continue
            rows_t = [i for i in path(t, int(seats[o])) if kind[i] in (LOCAL, STREET)]
            fresh = [i for i in rows_t if label[i] != "county"]
            for i in fresh:
                label[i], ref[i] = "county", f"X{number}"
                name[i] = f"{villages.township_name[t][0]}{villages.township_name[o][0]}线（示意）"
            number += bool(fresh)
    return label, ref, name


def _expressways(
    blocks: Blocks,
    planned: Planned,
    trunks: list[dict[str, object]],
    trunk: np.ndarray,
    fast: np.ndarray,
    node: np.ndarray,
    unique: np.ndarray,
    slow_rows: np.ndarray,
) -> tuple[list[np.ndarray], list[tuple[object, ...]]]:
    """Expressway pieces between interchanges. Its other nodes are its own: village roads pass underneath."""
    meets = set(node[slow_rows[trunk[slow_rows] >= 0]].ravel().tolist())
    extra: list[np.ndarray] = []
    pieces: list[tuple[object, ...]] = []
    for k, t in enumerate(trunks):
        rows = np.flatnonzero(fast & (trunk == k))
        if not len(rows):
            continue
        line = planned.line[np.flatnonzero(planned.trunk == k)[0]]
        at = shapely.line_locate_point(line, shapely.line_interpolate_point(blocks.edge[rows], 0.5, normalized=True))
        rows = rows[np.argsort(at, kind="stable")]
        heads = shapely.line_locate_point(line, shapely.points(unique[node[rows]] * GRID_M))
        turned = heads[:, 0] > heads[:, 1]
        chain = np.concatenate(
            [shapely.get_coordinates(e)[:: -1 if f else 1] for e, f in zip(blocks.edge[rows], turned, strict=True)]
        )
        stop_node = np.concatenate(
            [[np.where(turned, node[rows, 1], node[rows, 0])[0]], np.where(turned, node[rows, 0], node[rows, 1])]
        )
        length = np.array([shapely.get_num_coordinates(e) for e in blocks.edge[rows]])
        stop_at = np.concatenate([[0], np.cumsum(length) - 1])
        if not meets.intersection(stop_node.tolist()):
            continue  # no way on or off inside the county: it would be an island in the graph
        stops = [0, *(i for i in range(1, len(stop_node) - 1) if int(stop_node[i]) in meets), len(stop_node) - 1]
        ids = []
        for i in stops:
            if int(stop_node[i]) in meets:
                ids.append(int(stop_node[i]))
            else:
                extra.append(unique[stop_node[i]] * GRID_M)
                ids.append(len(unique) + len(extra) - 1)
        for i, j, a, b in zip(stops[:-1], stops[1:], ids[:-1], ids[1:], strict=True):
            xy = chain[stop_at[i] : stop_at[j] + 1]
            xy = xy[np.concatenate([[True], np.any(np.diff(xy, axis=0) != 0, axis=1)])]
            pieces.append((t["road_class"], t["ref"], t["name"], a, b, t["width_m"], shapely.LineString(xy)))
    return extra, pieces


def _compact(nodes: np.ndarray, roads: gpd.GeoDataFrame) -> Network:
    """Number the nodes in use 0..m-1; loops of one edge are left out."""
    roads = roads[roads["from_node"] != roads["to_node"]].reset_index(drop=True)
    used, number = np.unique(roads[["from_node", "to_node"]].to_numpy(dtype=np.int64), return_inverse=True)
    number = number.reshape(-1, 2)
    roads["from_node"], roads["to_node"] = number[:, 0], number[:, 1]
    return Network(nodes[used], roads)
