"""Every pain of those who trade with other bots has a test of its own that bears its number."""

from __future__ import annotations

import ast
import re
from pathlib import Path


def test_every_pain_from_1_to_25_has_its_test() -> None:
    """
    By name, `test_pain_NN_...`, each with a docstring that tells it.
    """
    told: dict[int, list[str]] = {}
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found = re.match(r"test_pain_(\d\d)_", node.name)
                if found:
                    told.setdefault(int(found[1]), []).append(ast.get_docstring(node) or "")
    assert set(range(1, 26)) == told.keys()
    assert [] == [number for number, texts in told.items() if not all(texts)]
