"""Code of the corpus: it runs, does what its request says, and is called what it was asked to be."""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import random
import re
from collections import Counter
from typing import Any

import pytest

from dgemma_play.training.grammar import shortforms, snippets

# What each task's function gives, or prints, for what; those that draw at random are in the next test.
GIVES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "add": ((2, 3), 5),
    "subtract": ((5, 3), 2),
    "multiply": ((4, 3), 12),
    "divide": ((6, 4), 1.5),
    "larger": ((3, 8), 8),
    "smaller": ((3, 8), 3),
    "average": ((2, 5), 3.5),
    "area": ((2, 5), 10),
    "perimeter": ((2, 5), 14),
    "triangle_area": ((4, 3), 6),
    "swap": ((1, 2), (2, 1)),
    "distance": ((2, 7), 5),
    "is_equal": ((2, 2), True),
    "power": ((2, 5), 32),
    "remainder": ((7, 3), 1),
    "is_divisible": ((9, 3), True),
    "gcd": ((12, 18), 6),
    "double": ((4,), 8),
    "square": ((4,), 16),
    "cube": ((2,), 8),
    "half": ((5,), 2.5),
    "root": ((9,), 3),
    "is_even": ((3,), False),
    "is_odd": ((3,), True),
    "even_or_odd": ((3,), "odd"),
    "is_positive": ((0,), False),
    "is_negative": ((-1,), True),
    "is_prime": ((9,), False),
    "primes": ((7,), [2, 3, 5, 7]),
    "factorial": ((5,), 120),
    "fibonacci": ((10,), 55),
    "fizzbuzz": ((5,), "1\n2\nFizz\n4\nBuzz\n"),
    "countdown": ((3,), "3\n2\n1\n"),
    "absolute": ((-3,), 3),
    "increment": ((3,), 4),
    "decrement": ((3,), 2),
    "count_up": ((3,), "1\n2\n3\n"),
    "sum_up": ((100,), 5050),
    "digit_sum": ((123,), 6),
    "count_digits": ((123,), 3),
    "is_leap": ((1900,), False),
    "to_fahrenheit": ((100,), 212),
    "to_celsius": ((212,), 100),
    "to_minutes": ((2,), 120),
    "to_miles": ((1.609,), 1),
    "circle_area": ((1,), 3.14159),
    "times_table": ((7,), "".join(f"{7 * i}\n" for i in range(1, 11))),
    "stars": ((3,), "***\n"),
    "triangle": ((3,), "*\n**\n***\n"),
    "reverse": (("abc",), "cba"),
    "is_palindrome": (("level",), True),
    "count_words": (("a big dog",), 3),
    "count_vowels": (("banana",), 3),
    "remove_vowels": (("banana",), "bnn"),
    "to_upper": (("abc",), "ABC"),
    "to_lower": (("ABC",), "abc"),
    "capitalize": (("two words",), "Two words"),
    "first_letter": (("abc",), "a"),
    "last_letter": (("abc",), "c"),
    "length": (("abc",), 3),
    "repeat": (("ha",), "haha"),
    "remove_spaces": (("a b c",), "abc"),
    "split_words": (("a b",), ["a", "b"]),
    "longest_word": (("a big horse",), "horse"),
    "is_number": (("12",), True),
    "is_vowel": (("e",), True),
    "letters": (("ab",), "a\nb\n"),
    "initials": (("Ada Lovelace",), "AL"),
    "count_letter": (("banana", "a"), 3),
    "merge": (([1], [2]), [1, 2]),
    "common": (([1, 2], [2, 3]), [2]),
    "pairs": (([1, 2], [3, 4]), [(1, 3), (2, 4)]),
    "contains": (([1, 2], 2), True),
    "count_item": (([1, 2, 1], 1), 2),
    "append": (([1], 2), [1, 2]),
    "find_index": (([4, 5], 5), 1),
    "remove_item": (([1, 2, 1], 1), [2]),
    "total": (([1, 2, 3],), 6),
    "multiply_all": (([2, 3, 4],), 24),
    "mean": (([1, 2],), 1.5),
    "median": (([4, 1, 2, 3],), 2.5),
    "largest": (([1, 5, 3],), 5),
    "smallest": (([4, 1, 3],), 1),
    "second_largest": (([5, 1, 5, 3],), 3),
    "sort": (([2, 3, 1],), [1, 2, 3]),
    "sort_down": (([2, 3, 1],), [3, 2, 1]),
    "unique": (([1, 1, 2],), [1, 2]),
    "has_duplicates": (([1, 1],), True),
    "count": (([1, 1],), 2),
    "double_all": (([1, 2],), [2, 4]),
    "square_all": (([1, 3],), [1, 9]),
    "keep_even": (([1, 2, 4],), [2, 4]),
    "keep_odd": (([1, 2, 3],), [1, 3]),
    "count_even": (([1, 2, 4],), 2),
    "keep_positive": (([-1, 0, 2],), [2]),
    "reverse_list": (([1, 2],), [2, 1]),
    "show": (([1, 2],), "1\n2\n"),
    "is_empty": (([],), True),
    "first_item": (([1, 2],), 1),
    "last_item": (([1, 2],), 2),
    "first_three": (([1, 2, 3, 4],), [1, 2, 3]),
    "join_words": ((["a", "b"],), "a b"),
    "lengths": ((["a", "big"],), [1, 3]),
    "is_sorted": (([1, 3, 2],), False),
    "count_each": (([1, 1, 2],), {1: 2, 2: 1}),
    "greet": (("Ada",), "Hello, Ada!"),
    "goodbye": (("Ada",), "Goodbye, Ada!"),
    "hello": ((), "Hello, world!\n"),
}


def run(code: str, *arguments: Any) -> Any:
    """What the one function of the code returns, or prints."""
    space: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, space)
        (function,) = (value for name, value in space.items() if name != "__builtins__")
        returned = function(*arguments)
    return printed.getvalue() if returned is None else returned


def test_every_task_gives_what_it_says_whatever_its_names() -> None:
    tasks = {task.functions[0]: task for task in snippets.tasks()}
    assert tasks.keys() - GIVES.keys() == {"dice", "pick", "shuffle"}
    for name, (arguments, wanted) in GIVES.items():
        for code in tasks[name].all_codes():
            assert run(code, *arguments) == wanted, code


def test_what_is_drawn_at_random_stays_within_its_bounds() -> None:
    tasks = {task.functions[0]: task.all_codes()[0] for task in snippets.tasks()}
    assert {run(tasks["dice"]) for _ in range(100)} == {1, 2, 3, 4, 5, 6}
    assert {run(tasks["pick"], [1, 2]) for _ in range(50)} == {1, 2}
    assert sorted(run(tasks["shuffle"], [1, 2, 3])) == [1, 2, 3]


def test_a_name_with_as_many_arguments_stands_for_one_task() -> None:
    signatures = [
        (name, task.code.partition("\n")[0].count("{"))
        for task in snippets.tasks()
        for name in task.functions
    ]
    assert [signature for signature, count in Counter(signatures).items() if count > 1] == []


def test_code_whose_name_or_first_line_is_given_has_them() -> None:
    rng = random.Random(0)
    code = [shortforms.code(rng) for _ in range(1500)]
    lines = [(e.prompt, e.answer.partition("\n")[0]) for e in code]
    given = [(prompt, line) for prompt, line in lines if "def " in prompt and "(" in prompt]
    assert len(given) > 50
    assert [(prompt, line) for prompt, line in given if line not in prompt] == []
    named = [(re.search(r"(?:called|named) (\w+) that ", prompt), line) for prompt, line in lines]
    named = [(found[1], line) for found, line in named if found]
    assert len(named) > 50
    assert [(name, line) for name, line in named if not line.startswith(f"def {name}(")] == []


def test_a_function_calls_only_itself_and_names_each_argument_once() -> None:
    rng = random.Random(0)
    for task in snippets.tasks():
        codes = task.all_codes() + [
            task.code_with(name, snippets.argument_names(), rng) for name in task.functions
        ]
        for code in codes:
            (function,) = ast.parse(code).body
            assert isinstance(function, ast.FunctionDef)
            names = [argument.arg for argument in function.args.args]
            assert len(set(names)) == len(names), code
            used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
            unknown = used - {*names, function.name, *dir(builtins), "random"}
            stored = {
                n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
            assert unknown <= stored, code
            assert (function.name in used) == task.calls_itself(), code


@pytest.mark.parametrize(
    ("result", "deed"),
    [
        ("the sum of two numbers", "takes two numbers and returns their sum"),
        ("largest number in a list", "takes a list and returns its largest number"),
        ("words joined by spaces", None),
        ("how often a letter appears in a word", None),
        ("length of every word in a list", None),
        ("a random item of a list", None),
        ("all even numbers of a list", None),
        ("a check for duplicates in a list", None),
        ("the highest of two numbers", None),
        ("a star pattern in the shape of a pyramid", None),
    ],
)
def test_a_result_can_be_told_as_a_deed(result: str, deed: str | None) -> None:
    assert snippets.as_deed(result) == deed
