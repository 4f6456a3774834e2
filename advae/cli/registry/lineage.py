"""The lineage of an entry as a tree: each ancestor is expanded once, and the depth is limited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.errors import AdvaeError

if TYPE_CHECKING:
    from rich.tree import Tree

    from advae.registry import Registry

DEEPEST = 20
"""Largest depth of a tree; entries trained by advae have a depth of four. A longer lineage is listed, not drawn."""


@dataclass(frozen=True)
class Step:
    """An ancestor in the tree."""

    depth: int
    """Number of steps from the entry."""
    id: str
    """Id of the ancestor."""
    what: str = ""
    """One line on it; empty where it cannot be read."""
    problem: str | None = None
    """Reason why it cannot be read; None where it can."""
    repeated: bool = False
    """Whether it is shown with its own ancestors above."""
    cut: bool = False
    """Whether its own ancestors are not shown."""


def list_steps(registry: Registry, id_: str) -> Iterator[Step]:
    """Yield an entry and its ancestors, each before its own parents."""
    seen: set[str] = set()
    waiting = [(0, id_)]
    while waiting:
        depth, current = waiting.pop()
        if current in seen:
            yield Step(depth, current, repeated=True)
            continue
        seen.add(current)
        try:
            entry = registry.read_summary(current)
        except AdvaeError as error:
            yield Step(depth, current, problem=str(error))
            continue
        cut = depth == DEEPEST and bool(entry.parents)
        yield Step(depth, current, entry.what, cut=cut)
        if not cut:
            waiting += [(depth + 1, parent) for parent in reversed(entry.parents)]


def build_tree(steps: Iterable[Step]) -> dict[str, Any]:
    """Return the steps as a tree of ids for programs."""
    way: list[dict[str, Any]] = []
    for step in steps:
        node: dict[str, Any] = {"id": step.id}
        if step.problem is not None:
            node["problem"] = step.problem
        elif step.repeated or step.cut:
            node["repeated" if step.repeated else "left_out"] = True
        else:
            node["parents"] = []
        del way[step.depth :]
        if way:
            way[-1]["parents"].append(node)
        way.append(node)
    return way[0]


def draw_tree(steps: Iterable[Step]) -> Tree:
    """Return the steps as a tree for people."""
    from rich.text import Text
    from rich.tree import Tree

    way: list[Tree] = []
    for step in steps:
        remark = "(above)" if step.repeated else step.problem or step.what
        more = "; --json lists its ancestors" if step.cut else ""
        node = Tree(Text(f"{step.id}  {remark}{more}"))
        del way[step.depth :]
        if way:
            way[-1].children.append(node)
        way.append(node)
    return way[0]
