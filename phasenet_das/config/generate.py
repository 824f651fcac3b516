"""The JSON schema, the commented default file and the table of settings, made from the models."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from phasenet_das.config.config import Config
from phasenet_das.config.section import PATH


def json_schema() -> str:
    """Return the JSON schema of the settings, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def default_yaml() -> str:
    """Return a YAML file with each setting at its default, below its description and unit."""
    head = "# yaml-language-server: $schema=schema.json\n# Every setting at its default. Generated.\n"
    return head + "\n".join(_section_yaml(Config, 0)) + "\n"


def settings_tables(model: type[BaseModel], name: str = "") -> str:
    """Return a Markdown table for each section: setting, default, unit, meaning."""
    rows, sections = [], []
    for key, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            sections.append(settings_tables(kind, f"{name}.{key}" if name else key))
            continue
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        default = info.get_default(call_default_factory=True)
        shown = "" if default is None else f"`{default!r}`".replace("|", "\\|")
        meaning = re.sub(r"([|\[\]])", r"\\\1", info.description or "")
        rows.append(f"| `{key}` | {shown} | {extra.get('unit', '')} | {meaning} |")
    head = [f"## `{name}`" if name else "## At the top", (model.__doc__ or "").strip().splitlines()[0], ""]
    table = ["| setting | default | unit | meaning |", "|---|---|---|---|", *rows, ""] if rows else []
    return "\n".join([*head, *table, *sections])


def write_generated(folder: Path) -> None:
    """Write ``schema.json`` and ``default.yaml``."""
    (folder / "schema.json").write_text(json_schema())
    (folder / "default.yaml").write_text(default_yaml())


def _section_yaml(model: type[BaseModel], depth: int) -> list[str]:
    indent, lines = "  " * depth, []
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            title = (info.annotation.__doc__ or "").strip().splitlines()[0]
            lines += [
                "",
                f"{indent}# {title}",
                f"{indent}{name}:",
                *_section_yaml(info.annotation, depth + 1),
            ]
        else:
            default = info.get_default(call_default_factory=True)
            # a path that is stated counts from the file, and a default path from the current folder
            off = "# " if default and info.json_schema_extra == PATH else ""
            lines += [*_comment(info, indent), f"{indent}{off}{name}: {_flow(default)}"]
    return lines


def _comment(info: FieldInfo, indent: str) -> list[str]:
    extra = info.json_schema_extra
    unit = f" [{extra['unit']}]" if isinstance(extra, dict) and "unit" in extra else ""
    return textwrap.wrap(
        f"{info.description}{unit}", 100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )


def _flow(value: Any) -> str:  # noqa: ANN401 - any YAML scalar or list
    if isinstance(value, tuple):
        value = [item.model_dump() if isinstance(item, BaseModel) else item for item in value]
    return yaml.safe_dump(value, default_flow_style=True).replace("\n...", "").strip()
