"""Runs a page's Python examples, and holds what each gives against its comments `# → value` and `# raises Error: text`."""

import ast
import contextlib
import re
import tokenize
from io import StringIO
from pathlib import Path

import pytest
from pages import Example, examples

PROMISE = re.compile(r"# → (.*)$")
REFUSAL = re.compile(r"# raises (\w+): (.*)$")


def snippets(page: Path) -> list[Example]:
    """The page's Python examples that are no files."""
    return [each for each in examples(page) if each.language == "python" and not each.file]


def run(text: str, line: int, names: dict, page: Path) -> None:
    """Runs an example that begins at a line of a page, statement by statement, with these names in sight."""
    tree = ast.parse("\n" * (line - 1) + text)
    _step(tree.body, {number + line - 1: comment for number, comment in _comments(text).items()}, names, page)


def _comments(text: str) -> dict[int, str]:
    """The comments of an example, by line."""
    tokens = tokenize.generate_tokens(StringIO(text).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def _step(statements: list, comments: dict[int, str], names: dict, page: Path) -> None:
    for statement in statements:
        comment = comments.get(statement.end_lineno, "")
        if isinstance(statement, ast.With):
            _enter(statement, comments, names, page)
        elif refusal := REFUSAL.search(comment):
            with pytest.raises(Exception) as caught:
                exec(compile(ast.Module([statement], []), str(page), "exec"), names)
            assert (type(caught.value).__name__, str(caught.value).splitlines()[0]) == refusal.groups()
        elif isinstance(statement, ast.Expr) and (promise := PROMISE.search(comment)):
            value = eval(compile(ast.Expression(statement.value), str(page), "eval"), names)
            assert repr(value) == promise[1], f"{page.name}:{statement.lineno}"
        else:
            exec(compile(ast.Module([statement], []), str(page), "exec"), names)


def _enter(statement: ast.With, comments: dict[int, str], names: dict, page: Path) -> None:
    """A `with`, entered here so that what its block promises is looked at too."""
    with contextlib.ExitStack() as stack:
        for item in statement.items:
            manager = eval(compile(ast.Expression(item.context_expr), str(page), "eval"), names)
            value = stack.enter_context(manager)
            if isinstance(item.optional_vars, ast.Name):
                names[item.optional_vars.id] = value
        _step(statement.body, comments, names, page)
