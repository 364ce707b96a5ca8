"""What the options of a plug are, for tests that hold the manual and the configuration against it."""

import json


def described(registry, name: str) -> list[tuple[str, str, str]]:
    """(name, default, description) of each option of a plug."""
    fields = registry.load(name).Config.__pydantic_fields__
    default = {key: field.get_default(call_default_factory=True) for key, field in fields.items()}
    return [
        (key, "required" if field.is_required() else json.dumps(default[key]), field.description or "")
        for key, field in fields.items()
    ]
