"""Whether the operator knows every setting that a real RabbitMQ does: as its own schemas say, those of plug-ins, too."""

import re

import pytest

import image
from localcluster import images
from readiness.api.dataservice import DataService
from readiness.dataservices.order import Order
from readiness.dataservices.rabbitmq import RABBITMQ
from readiness.dataservices.rabbitmq.users import CREDENTIALS
from sandbox import rootfs

pytestmark = pytest.mark.slow


def test_every_setting_of_the_schemas_is_known() -> None:
    root = rootfs(images.debian_layer(image.SUITE, ("rabbitmq-server",)))
    schemas = list(root.glob("usr/lib/rabbitmq/lib/*/plugins/*/priv/schema/*.schema"))
    text = "\n".join(each.read_text(errors="replace") for each in schemas)
    text = re.sub(r"^%%.*$", "", text, flags=re.MULTILINE)
    names = sorted(set(re.findall(r'\{\s*mapping\s*,\s*"([^"]+)"', text)))
    assert len(names) > 900

    assert unknown(names) == []
    assert unknown(["no_such_setting", "channel_max"]) == ["no_such_setting"]


def unknown(names: list[str]) -> list[str]:
    """Those that a policy would be refused for, though they are not the operator's to make."""
    found: list[str] = []
    known = {each.key: each.key for each in CREDENTIALS}
    for at in range(0, len(names), 50):
        config = [{"name": each.replace("$", ""), "value": "x"} for each in names[at : at + 50]]
        service = DataService.model_validate({"name": "jobs", "rabbitmq": {"config": config}})
        order = Order("shop", "shop", service, "rabbitmq", "op", "op", 3, known)
        found += [re.findall(r"config\[([^]]+)\]", refusal.message)[0] for refusal in RABBITMQ.problems(order) if refusal.reason == "UnknownSetting"]  # fmt: skip
    return found
