"""What a tenant's template may be made of, and what it may take: work that is linear in what it is given.

What can multiply is not in the lists below and is refused with its line. What is left is weighed while it is done: each
loop by its items and the size of its body, each filter, slice, comparison and concatenation by what it is given. So
that it can be weighed, the tree is changed before it is compiled: `x | f` becomes `x | weighed | f`.
"""

from collections.abc import Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any  # what templates are given is a tenant's own JSON

from jinja2 import TemplateRuntimeError, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

# Of one rendering: characters, items and loops' steps. A table of five hundred rows takes some ten thousand.
MOST_STEPS = 300_000
MOST_NODES = 5_000
_DEEPEST_LOOPS = 5
# Of what filters are told: the text between two items, the digits after the point.
_LONGEST_ARGUMENT = 40
_GREATEST_ARGUMENT = 1_000
# Products beyond are of no use, and each would be twice as long as the one before.
_GREATEST_FACTOR = 10**15

# No template can name these.
STEPS = "steps taken"
_WEIGHED = "weighed"

_FORMS = frozenset({
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.If, nodes.CondExpr, nodes.For, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand,
    nodes.Filter, nodes.Test, nodes.Keyword, nodes.Call, nodes.Assign, nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul,
    nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.List, nodes.Tuple,
})  # fmt: skip
FILTERS = frozenset({
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "groupby", "int",
    "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace",
    "reverse", "round", "select", "selectattr", "sort", "string", "title", "tojson", "trim", "truncate", "unique",
    "upper",
})  # fmt: skip
METHODS = frozenset(
    {"cycle", "endswith", "get", "items", "keys", "lower", "split", "startswith", "strip", "title", "upper", "values"}
)
OPERATORS = frozenset({"+", "*", "%"})


@pass_context
def weighed(context: Context, value: Any, times: int = 1) -> Any:
    """`value`, once the rendering has been charged `times` of it; what is gone through once becomes a list."""
    if isinstance(value, Iterator | KeysView | ValuesView) or type(value).__name__ == "dict_items":
        value = list(value)
    steps: list[int] = context.parent[STEPS]
    # A loop's body is gone through once for each item, however long the item is.
    _charge(steps, times * len(value) if times > 1 and isinstance(value, Sequence | Mapping) else 1)
    _weigh(steps, value)
    return value


def operated(context: Context, operator: str, left: Any, right: Any) -> None:
    """Charges `left + right`. Raises TemplateRuntimeError where the outcome would be longer than both together."""
    numbers = [each for each in (left, right) if isinstance(each, int | float)]
    if operator != "+" and (len(numbers) < 2 or any(abs(each) > _GREATEST_FACTOR for each in numbers)):
        raise TemplateRuntimeError(f"`{operator}` is for numbers up to {_GREATEST_FACTOR}")
    weighed(context, left)
    weighed(context, right)


def bounded(tree: nodes.Template) -> nodes.Template:
    """The tree that weighs what it does. Raises TemplateSyntaxError that names what is refused and its line."""
    for count, node in enumerate(tree.find_all(nodes.Node)):
        if count > MOST_NODES:
            raise TemplateSyntaxError(f"has more than {MOST_NODES} parts", node.lineno)
        _permit(node)
    _permit_loops(tree, 0)
    found: nodes.Template = _Weighing().visit(tree)
    return found


class _Weighing(NodeTransformer):
    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - named by Jinja
        parts = 2 + sum(1 for each in [*node.body, *([node.test] if node.test else [])]
                        for _ in each.find_all(nodes.Node))  # fmt: skip
        found = self.generic_visit(node)
        node.iter = _weigh_first(node.iter, parts)
        return found

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802 - named by Jinja
        found = self.generic_visit(node)
        if node.node is not None:
            node.node = _weigh_first(node.node)
        return found

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802 - named by Jinja
        found = self.generic_visit(node)
        node.node = _weigh_first(node.node)
        node.args = [_weigh_first(each) for each in node.args]
        return found

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - named by Jinja
        found = self.generic_visit(node)
        node.expr = _weigh_first(node.expr)
        for each in node.ops:
            each.expr = _weigh_first(each.expr)
        return found

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - named by Jinja
        found = self.generic_visit(node)
        called = node.node
        if isinstance(called, nodes.Getattr) and called.attr != "cycle":  # a loop's own
            called.node = _weigh_first(called.node)
        return found

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - named by Jinja
        found = self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _weigh_first(node.node)
        return found

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - named by Jinja
        self.generic_visit(node)
        node.nodes = [_weigh_first(each) for each in node.nodes]
        return node


def _weigh_first(node: nodes.Node, times: int = 1) -> nodes.Expr:
    return nodes.Filter(node, _WEIGHED, [nodes.Const(times)], [], None, None, lineno=node.lineno)


def _weigh(steps: list[int], value: Any) -> None:
    if isinstance(value, str):
        _charge(steps, len(value))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            _charge(steps, 1)
            _weigh(steps, key)
            _weigh(steps, each)
    elif isinstance(value, Sequence):
        for each in value:
            _charge(steps, 1)
            _weigh(steps, each)


def _charge(steps: list[int], count: int) -> None:
    steps[0] += count
    if steps[0] > MOST_STEPS:
        raise TemplateRuntimeError(f"takes more than {MOST_STEPS} steps")


def _permit(node: nodes.Node) -> None:
    match node:
        case nodes.Filter(name=name) if name not in FILTERS:
            _refuse(node, f"the filter `{name}`")
        case nodes.Filter(name=name) if name not in ("d", "default"):
            for each in [*node.args, *(keyword.value for keyword in node.kwargs)]:
                _permit_argument(node, each)
        case nodes.Call(node=nodes.Getattr(attr=attr)) if attr in METHODS:
            pass
        case nodes.Call(node=nodes.Name(name=name)) | nodes.Call(node=nodes.Getattr(attr=name)):
            _refuse(node, f"`{name}(…)`")
        case nodes.For(recursive=True):
            _refuse(node, "a recursive loop")
        case nodes.List() | nodes.Tuple(ctx="load") if any(not isinstance(each, nodes.Const) for each in node.items):
            _refuse(node, "a list of anything but constants")
        case _ if type(node) not in _FORMS or (isinstance(node, nodes.Call) and not _is_method(node)):
            _refuse(node, f"`{type(node).__name__.lower()}`")
    if isinstance(node, nodes.Call | nodes.Filter) and (node.dyn_args is not None or node.dyn_kwargs is not None):
        _refuse(node, "an argument with `*`")


def _is_method(node: nodes.Call) -> bool:
    return isinstance(node.node, nodes.Getattr)


def _permit_argument(node: nodes.Filter, argument: nodes.Node) -> None:
    value = argument.value if isinstance(argument, nodes.Const) else None
    if not isinstance(argument, nodes.Const):
        _refuse(node, f"an argument of the filter `{node.name}` that is no constant")
    elif isinstance(value, str) and len(value) > _LONGEST_ARGUMENT:
        _refuse(node, f"an argument of the filter `{node.name}` that is longer than {_LONGEST_ARGUMENT} characters")
    elif isinstance(value, int | float) and abs(value) > _GREATEST_ARGUMENT:
        _refuse(node, f"an argument of the filter `{node.name}` above {_GREATEST_ARGUMENT}")


def _permit_loops(node: nodes.Node, depth: int) -> None:
    depth += isinstance(node, nodes.For)
    if depth > _DEEPEST_LOOPS:
        _refuse(node, f"a loop in {_DEEPEST_LOOPS} others")
    for each in node.iter_child_nodes():
        _permit_loops(each, depth)


def _refuse(node: nodes.Node, what: str) -> None:
    raise TemplateSyntaxError(f"{what} is not permitted in a template", node.lineno)
