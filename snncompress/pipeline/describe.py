"""Describe strategies from their classes: first words, settings, defaults."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snncompress.plugins import Host


@dataclass(frozen=True)
class Setting:
    """Describe one setting; ``default`` is JSON data, none where the setting is required."""

    name: str
    type: str
    required: bool
    default: Any
    description: str

    def row(self) -> tuple[str, str]:
        """Return the name, and the rest as one text."""
        default = "required" if self.required else f"default {json.dumps(self.default, ensure_ascii=False)}"
        return self.name, f"{self.description} [{self.type}; {default}]".lstrip()


@dataclass(frozen=True)
class Group:
    """Describe a type of setting that holds settings of its own, such as ``Training``."""

    type: str
    text: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Description:
    """Describe one component: what it is called, who provides it, what it does, its settings.

    ``groups`` are the types of those settings that are mappings.
    """

    use: str
    plugin: str
    summary: str
    text: str
    settings: tuple[Setting, ...]
    groups: tuple[Group, ...]


def describe(host: Host, kind: str) -> dict[str, Description]:
    """Return a description of every component of a kind, by name."""
    return {use: _description(use, thing, kind, host) for use, thing in sorted(host.catalogue[kind].items())}


def _description(use: str, thing: Any, kind: str, host: Host) -> Description:
    text = inspect.cleandoc(thing.__doc__ or "")
    schema = thing.model_json_schema()
    groups = (
        Group(name, inspect.cleandoc(found.get("description", "")), _settings(found, schema))
        for name, found in schema.get("$defs", {}).items()
        if "properties" in found
    )
    owner = host.owner(kind, use)
    summary = text.split("\n\n")[0].replace("\n", " ")
    return Description(use, owner.name if owner else "", summary, text, _settings(schema, schema), tuple(groups))


def _settings(found: dict[str, Any], schema: dict[str, Any]) -> tuple[Setting, ...]:
    required = found.get("required", ())
    return tuple(
        Setting(
            name=name,
            type=_type(known, schema),
            required=name in required,
            default=known.get("default"),
            description=known.get("description", "").replace("\n", " "),
        )
        for name, known in found.get("properties", {}).items()
        if name != "use"
    )


def _type(found: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in found:
        return str(found["$ref"]).rpartition("/")[2]
    if "enum" in found or "const" in found:
        return " | ".join(map(str, found.get("enum", [found.get("const")])))
    if "anyOf" in found:
        return " | ".join(dict.fromkeys(_type(part, schema) for part in found["anyOf"]))
    if found.get("type") == "array":
        return f"list of {_type(found.get('items', {}), schema)}"
    words = {"integer": "whole number", "string": "text", "boolean": "true or false", "object": "mapping"}
    return words.get(str(found.get("type", "any")), str(found.get("type", "any"))) + _range(found)


def _range(found: dict[str, Any]) -> str:
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    said = [f"{sign} {found[name]:g}" for name, sign in bounds.items() if name in found]
    return f" {', '.join(said)}" if said else ""
