"""One change in the text of a program: the mistakes that a person makes, one at a time.

A number is one more, a sign is another, an operator or a comparison is its neighbour, a function is a similar
one. What is said to people is left alone: messages, annotations and decorators.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator

_EXCHANGED: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_OTHER = {
    "exp": "expm1",
    "expm1": "exp",
    "sqrt": "exp",
    "log1p": "log",
    "phi": "damped_phi",
    "damped_phi": "phi",
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
}


def changes(tree: ast.Module, place: int) -> Iterator[tuple[ast.Module, str]]:
    """The tree with the node at a place (of `ast.walk`) changed, in the one way its kind has, or nothing."""
    node = next(itertools.islice(ast.walk(tree), place, None))
    if (changed := _changed(node)) is not None:
        mutant = copy.deepcopy(tree)
        vars(next(itertools.islice(ast.walk(mutant), place, None))).update(vars(changed))
        yield ast.fix_missing_locations(mutant), change(node)


def change(node: ast.AST) -> str:
    """What `changes` makes of a node, in words; "" for nothing."""
    changed = _changed(node)
    return "" if changed is None else f"{ast.unparse(node)} -> {ast.unparse(changed)}"


def _changed(node: ast.AST) -> ast.AST | None:
    """A node of the same class, changed; its parts may be shared."""
    new = copy.copy(node)
    match new:
        case ast.Constant(value=bool(value)):
            new.value = not value
        case ast.Constant(value=int(value) | float(value)):
            new.value = value + 1
        case ast.UnaryOp(op=ast.USub()):
            new.op = ast.UAdd()
        case ast.UnaryOp(op=ast.Not()):
            new.operand = ast.UnaryOp(ast.Not(), new.operand)
        case ast.BinOp(op=operator) if type(operator) in _EXCHANGED:
            new.op = _EXCHANGED[type(operator)]()
        case ast.BoolOp(op=operator):
            new.op = _EXCHANGED[type(operator)]()
        case ast.Compare(ops=[operator, *rest]) if type(operator) in _EXCHANGED:
            new.ops = [_EXCHANGED[type(operator)](), *rest]
        case ast.Call(func=ast.Name(id=function)) if function in _OTHER:
            new.func = ast.Name(_OTHER[function], ast.Load())
        case ast.Call(func=ast.Attribute(value=owner, attr=function)) if function in _OTHER:
            new.func = ast.Attribute(owner, _OTHER[function], ast.Load())
        case _:
            return None
    return new


def places(tree: ast.Module) -> list[tuple[int, str, str]]:
    """The places of a module that are worth a change, the top-level name that each is in, and the change."""
    numbers = {id(node): place for place, node in enumerate(ast.walk(tree))}
    return sorted(
        (numbers[id(node)], _name(statement), words)
        for statement in tree.body
        for node in _spoken(statement)
        if (words := change(node))
    )


def _name(statement: ast.stmt) -> str:
    """The function, class or constant that a top-level statement defines, a claim's id; "" for others."""
    match statement:
        case ast.FunctionDef(decorator_list=[ast.Call(args=[ast.Constant(value=str(id)), *_])]):
            return id
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return ""


def _spoken(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below this one, but for those that only people read."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            silent = isinstance(child, ast.Raise | ast.Assert | ast.JoinedStr) or (
                isinstance(child, ast.keyword) and child.arg in ("strict", "default", "source")
            )
            if isinstance(child, ast.AST) and not silent:
                yield from _spoken(child)
