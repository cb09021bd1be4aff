"""The order of the tests: files that take longest come first, those that need no host fill the gaps at the end."""

import pytest

# What asserts beside the test files.
pytest.register_assert_rewrite(
    "tests.e2e.canary",
    "tests.e2e.clients",
    "tests.e2e.deployment",
    "tests.e2e.vault_access",
    "tests.faults.proof",
)

# The first two are the first deploys, one of each worker's host: what comes after finds it deployed.
LONGEST = (
    "test_canary.py",
    "test_make.py",
    "test_convergence.py",
    "test_faults.py",
    "test_rebuild.py",
    "test_sudo.py",
    "test_secrets.py",
    "test_takeover.py",
    "test_external_vault.py",
    "test_bad_image.py",
    "test_lock_out.py",
    "test_reboot.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts by file; within a file all stays as it is."""

    def place(item: pytest.Item) -> int:
        if item.path.parent.name != "e2e":
            return len(LONGEST) + 1
        return LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST)

    items.sort(key=place)
