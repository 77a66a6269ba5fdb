"""Order and loops of a network: plain graph algorithms on names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def evaluation_order(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Nodes in an order that respects every edge (Kahn), ties in the order given.

    Raises ValueError whose argument is the list of nodes on a loop, if there is one.
    """
    edges = list(edges)
    waiting = {node: sum(target == node for _, target in edges) for node in nodes}
    order: list[str] = []
    while waiting:
        ready = [node for node, count in waiting.items() if count == 0]
        if not ready:
            raise ValueError(find_loop(list(waiting), edges))
        for node in ready:
            del waiting[node]
            order.append(node)
            for source, target in edges:
                if source == node and target in waiting:
                    waiting[target] -= 1
    return order


def start_steps(
    nodes: Iterable[str], edges: Iterable[tuple[str, str, int]], fixed: Iterable[str]
) -> dict[str, int]:
    """The step at which each node handles logical step 0, so that nothing has to be foreseen.

    edges: (source, target, delay); a delay below 0 looks ahead. fixed: nodes that start at 0, which
    all nodes do where no delay is negative. Raises ValueError whose argument is a list of nodes,
    where a loop looks ahead further than it is late.
    """
    starts = dict.fromkeys(nodes, 0)
    edges, fixed = list(edges), set(fixed)
    came_from: dict[str, str] = {}
    changed = ""
    for _ in range(len(starts) + 1):
        changed = ""
        for source, target, delay in edges:
            if target not in fixed and starts[target] < starts[source] - delay:
                starts[target], came_from[target] = starts[source] - delay, source
                changed = target
        if not changed:
            return starts
    node, seen = changed, list[str]()
    while node not in seen:
        seen.append(node)
        node = came_from[node]
    raise ValueError(seen[seen.index(node) :][::-1])


def find_loop(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """The nodes of some loop among ``nodes``, in order; empty if there is none."""
    inside = set(nodes)
    successors = {node: [t for s, t in edges if s == node and t in inside] for node in nodes}
    finished: set[str] = set()
    for start in nodes:
        path: list[str] = []
        stack = [(start, iter(successors[start]))] if start not in finished else []
        path = [start] if stack else []
        while stack:
            node, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                finished.add(node)
                stack.pop()
                path.pop()
            elif following in path:
                return path[path.index(following) :]
            elif following not in finished:
                stack.append((following, iter(successors[following])))
                path.append(following)
    return []


def back_edges(roots: Sequence[str], edges: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Edges that close a loop, as a depth-first walk from the roots meets them.

    Without them the graph has no loop. Which edge of a loop is the closing one follows from where
    the walk enters the loop: data come from the roots, so it is the edge that leads back.
    """
    edges = list(edges)
    successors: dict[str, list[str]] = {}
    for source, target in edges:
        successors.setdefault(source, []).append(target)
    closing: set[tuple[str, str]] = set()
    finished: set[str] = set()
    for root in (*roots, *successors):
        if root in finished:
            continue
        path, stack = [root], [iter(successors.get(root, ()))]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                finished.add(path.pop())
                stack.pop()
            elif following in path:
                closing.add((path[-1], following))
            elif following not in finished:
                path.append(following)
                stack.append(iter(successors.get(following, ())))
    return closing


def by_distance(roots: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """What some path from the roots leads to, the roots included, the fewest edges away first."""
    successors: dict[str, list[str]] = {}
    for source, target in edges:
        successors.setdefault(source, []).append(target)
    found = dict.fromkeys(roots)
    queue = list(found)
    for node in queue:
        for target in successors.get(node, ()):
            if target not in found:
                found[target] = None
                queue.append(target)
    return queue


def reachable(starts: Iterable[str], edges: Iterable[tuple[str, str]]) -> set[str]:
    """Every node that some path from the starts leads to, the starts included."""
    edges = list(edges)
    found = set(starts)
    frontier = list(found)
    while frontier:
        node = frontier.pop()
        for source, target in edges:
            if source == node and target not in found:
                found.add(target)
                frontier.append(target)
    return found
