import pytest


def pytest_collection_modifyitems(config, items):
    """Tests of the built pages run only when asked for, `pytest -m rendered`, whatever else -m says."""
    rendered = [item for item in items if item.get_closest_marker("rendered")]
    if rendered and "rendered" not in config.option.markexpr:
        items[:] = [item for item in items if item not in rendered]
        config.hook.pytest_deselected(items=rendered)


@pytest.fixture(scope="session")
def book(pytestconfig):
    return pytestconfig.rootpath / "book"
