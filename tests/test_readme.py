"""What the README shows is what there is."""

import re

import pytest

from models.__main__ import STAGES
from tests.conftest import REPOSITORY
from workflow.settings import check

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_extractor_is_the_worked_example_of_the_docs():
    """Which test_features_check runs as printed."""
    shown = re.search(r"## An extractor in ten.*?```python\n(.*?)```", README, re.DOTALL)[1]
    assert f"```python\n{shown}```" in (REPOSITORY / "docs" / "extractors.md").read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in shown.splitlines()) <= 10


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(link):
    assert (REPOSITORY / link).exists()


def test_models_options_and_stages_that_are_named_exist():
    import yaml

    config = check(yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8")))
    named = set(re.findall(r"`(r\w*cma\w*)`", README))
    assert {"rcma", "rjcma_published"} <= named <= set(config.models)
    assert config.models["rcma"].recursions == 3
    assert config.models["rjcma_published"].recursions == 2
    assert not any(config.models[name].separate_targets for name in named if name != "rjcma_published")
    assert set(re.findall(r"python -m models (\w+)", README)) <= set(STAGES)
    assert set(re.findall(r"results/(\w+)_report", README)) <= {*config.corpora, "mine"}
