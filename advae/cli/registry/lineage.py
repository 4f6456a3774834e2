"""What an entry rests on, as a tree: each ancestor once, however many ways lead to it, and none of it without end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.errors import AdvaeError

if TYPE_CHECKING:
    from rich.tree import Tree

    from advae.registry import Registry

DEEPEST = 20
"""Steps that a tree goes down; what is trained here goes down four. A longer lineage is listed, not drawn."""


@dataclass(frozen=True)
class Step:
    """An ancestor on one way to it, ``depth`` steps down. what: a line on it; problem: why it cannot be read.

    repeated: it stands higher up with all that it rests on; left_out: it rests on more than is shown.
    """

    depth: int
    id: str
    what: str = ""
    problem: str | None = None
    repeated: bool = False
    left_out: bool = False


def trace(registry: Registry, id_: str) -> Iterator[Step]:
    """Yield an entry and what it rests on, each before its own parents."""
    seen: set[str] = set()
    waiting = [(0, id_)]
    while waiting:
        depth, current = waiting.pop()
        if current in seen:
            yield Step(depth, current, repeated=True)
            continue
        seen.add(current)
        try:
            entry = registry.glance_at(current)
        except AdvaeError as error:
            yield Step(depth, current, problem=str(error))
            continue
        cut = depth == DEEPEST and bool(entry.parents)
        yield Step(depth, current, entry.what, left_out=cut)
        if not cut:
            waiting += [(depth + 1, parent) for parent in reversed(entry.parents)]


def build_tree(steps: Iterable[Step]) -> dict[str, Any]:
    """Return the steps as a tree of ids for programs."""
    way: list[dict[str, Any]] = []
    for step in steps:
        node: dict[str, Any] = {"id": step.id}
        if step.problem is not None:
            node["problem"] = step.problem
        elif step.repeated or step.left_out:
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
        more = ", and on more, which --json lists" if step.left_out else ""
        node = Tree(Text(f"{step.id}  {remark}{more}"))
        del way[step.depth :]
        if way:
            way[-1].children.append(node)
        way.append(node)
    return way[0]
