"""Chapters on what the catalog rests on: its rules and velocity, and picks in line that no event takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from phasenet_das.report.elements import MISSING, NO_BREAK, Chapter, Section, Table
from phasenet_das.report.section_figure import section_figure
from phasenet_das.text import number, records

if TYPE_CHECKING:
    from dascore import Patch

MARGIN_S: Final = 10.0  # of a drawing, before the first and after the last pick of its group
_MAX_DRAWN: Final = 3
_MAX_ROWS: Final = 50
_TEXT: Final = frozenset({"Group", "Time (UTC)", "Cable", "Phase", "Channels", "Why it is no event"})


def about_association(association: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Say in plain words which ground and which volume the association assumed."""
    found = association or {}
    facts = []
    if text := (found.get("velocity") or {}).get("text"):
        stated = text.removeprefix("Velocity: ")
        facts.append(("Velocity", f"{stated[:1].upper()}{stated[1:]}{_layers(found)}"))
    settings = found.get("settings") or {}
    lower, upper = (settings.get(f"search_box_{end}_km") for end in ("lower", "upper"))
    if lower and upper:
        (west, south, top), (east, north, bottom) = lower, upper
        sides = f"{east - west:.0f} km from west to east, {north - south:.0f} km from south to north"
        facts.append(("Search box", f"{sides}, depths from {top:g} to {bottom:g} km."))
    if rules := found.get("rules"):
        facts.append(("Rules", f"An event meets {len(rules)} rules. {rules[0]}"))
    return facts


def _layers(association: Mapping[str, Any]) -> str:
    """Name the velocities of the layers, from the top."""
    layers = association["velocity"].get("layers") or []
    return "".join(
        f" {'P' if name == 'vp_km_s' else 'S'} {' / '.join(f'{layer[name]:.1f}' for layer in layers)} km/s."
        for name in ("vp_km_s", "vs_km_s")
        if layers
    )


def rules_chapter(association: Mapping[str, Any] | None) -> Chapter | None:
    """State the velocity of the ground, and what an event must have; None where nothing is known of them."""
    found = association or {}
    velocity, rules = found.get("velocity") or {}, found.get("rules") or []
    if not velocity and not rules:
        return None
    text = [str(velocity["text"])] if velocity.get("text") else []
    if velocity.get("status") == "assumed":
        text.append(
            "No velocity was stated and the picks do not tell it. Distances and positions are uncertain "
            "accordingly. State layers with --layers FILE for better ones."
        )
    if rules:
        text.append("An event must meet every rule of this list.")
    layers = [
        [f"{layer[name]:.1f}" for name in ("depth_km", "vp_km_s", "vs_km_s")]
        for layer in velocity.get("layers") or []
    ]
    header = ["Top of the layer (km)", "P velocity (km/s)", "S velocity (km/s)"]
    tables = [Table(header, layers, set())] if layers else []
    return Chapter("Velocity and rules", text, tables=tables, listing=[str(rule) for rule in rules])


def groups_chapter(
    groups: pd.DataFrame | None, picks: pd.DataFrame, records_of: Mapping[int, Patch]
) -> Chapter | None:
    """List the groups of picks without a location, and draw the largest; None for a run without such a table.

    `records_of`: the waveforms around a group by its ``group_index``; without them only its picks are drawn.
    """
    title = "Arrivals that no event explains"
    if groups is None:
        return None
    if groups.empty:
        return Chapter(title, ["Every run of picks in line along a cable belongs to an event."])
    shown = largest_groups(groups, _MAX_ROWS)
    note = f"The {_MAX_ROWS} largest of {len(groups):,} groups." if len(shown) < len(groups) else ""
    table = Table(
        ["Group", "Time (UTC)", "Cable", "Phase", "Picks", "Channels", "Speed (km/s)", "Why it is no event"],
        [_row(group) for group in records(shown)],
        _TEXT,
        note,
    )
    drawn = records(largest_groups(groups))
    sections = [_draw_group(group, picks, records_of.get(group["group_index"])) for group in drawn]
    counted = f"{count_groups(len(groups))}, with {int(groups['num_picks'].sum()):,} picks."
    meaning = (
        "The picks of a group stand in line along a cable, but no event takes them. A group may be a missed "
        "earthquake, or one of which only one phase was picked. It is not the noise of single channels. The "
        "speed is that of the wave along the cable."
    )
    return Chapter(title, [counted, meaning], tables=[table], sections=sections)


def largest_groups(groups: pd.DataFrame, most: int = _MAX_DRAWN) -> pd.DataFrame:
    """Choose the groups with most picks."""
    ordered = groups.sort_values(["num_picks", "start_time"], ascending=[False, True], kind="stable")
    return ordered.head(most)


def count_groups(count: int) -> str:
    """Count groups in words."""
    return f"{count:,} group{'' if count == 1 else 's'} without a location"


def picks_around(group: Mapping[str, Any], picks: pd.DataFrame) -> pd.DataFrame:
    """Choose the picks of the cable of a group, within its time and a margin."""
    margin = pd.Timedelta(seconds=MARGIN_S)
    within = picks["phase_time"].between(group["start_time"] - margin, group["end_time"] + margin)
    return picks[within & (picks["station_id"] == group["station_id"]) & (picks["channel_index"] >= 0)]


def _draw_group(group: dict[str, Any], picks: pd.DataFrame, patch: Patch | None) -> Section:
    count = group["group_index"] + 1
    start = group["start_time"]
    name = f"Group {count} on {group['station_id']}"
    since = f"the first pick of group {count}"
    figure = section_figure(picks_around(group, picks), patch, start, since, name)
    text = (
        f"{start:%Y-%m-%d %H:%M:%S} UTC: {group['num_picks']:,} picks on channels "
        f"{group['first_channel']} to {group['last_channel']}, among the other picks."
    )
    return Section(f"group-{count}", name, [text], figure)


def _row(group: dict[str, Any]) -> list[str]:
    first, last = group["first_channel"], group["last_channel"]
    return [
        f"G{group['group_index'] + 1}",
        f"{group['start_time']:%Y-%m-%d %H:%M:%S}".replace(" ", NO_BREAK),
        group["station_id"],
        group["phase_type"],
        f"{group['num_picks']:,}",
        f"{group['num_channels']:,} of {first} to {last}".replace(" ", NO_BREAK),
        number(group["apparent_speed_km_s"], ".1f", MISSING),
        group["reason"] or MISSING,
    ]
