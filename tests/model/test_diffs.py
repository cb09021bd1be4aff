"""Diffs: what people read of two texts, and of secrets no more than names."""

from tasks.model.diffs import Names, names, unified


def test_a_text_that_differs_is_shown_as_diff_does() -> None:
    assert unified("/etc/a", "1\n2\n", "1\n3\n") == (
        "--- /etc/a",
        "+++ /etc/a",
        "@@ -1,2 +1,2 @@",
        " 1",
        "-2",
        "+3",
    )
    assert unified("/etc/a", "1\n", "1\n") == ()


def test_what_comes_and_goes_is_told_from_what_is_empty() -> None:
    assert unified("/etc/a", None, "1\n")[:2] == ("--- /dev/null", "+++ /etc/a")
    assert unified("/etc/a", "1\n", None)[:2] == ("--- /etc/a", "+++ /dev/null")


def test_variables_are_named_by_what_becomes_of_them() -> None:
    found = names({"A": "1", "B": "2", "C": "3"}, {"B": "2", "C": "4", "D": "5"})
    assert found == Names(("D",), ("A",), ("C",))
    assert found.lines == ("added: D", "removed: A", "changed: C")
