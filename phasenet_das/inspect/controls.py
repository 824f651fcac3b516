"""The controls of the inspector in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from phasenet_das.errors import MissingPackageError, PhaseNetDASError

if TYPE_CHECKING:
    from phasenet_das.inspect.inspector import PickInspector

MODES: Final = ("look", "add P", "add S", "move", "delete", "reject", "keep", "line", "box", "lasso")


def make_controls(inspector: PickInspector, save_to: str) -> Any:  # noqa: ANN401 - a type of an optional package
    """Make slider, buttons and fields that steer an inspector."""
    try:
        import ipywidgets
    except ImportError as error:
        raise MissingPackageError(
            "the controls of the inspector need ipywidgets. Install it with:\n"
            "    pip install 'phasenet-das[notebooks]'"
        ) from error
    threshold = ipywidgets.FloatSlider(
        inspector.editor.min_score,
        min=0.0,
        max=1.0,
        step=0.01,
        description="min score",
        continuous_update=False,
    )
    mode = ipywidgets.ToggleButtons(options=MODES, value=inspector.mode, style={"button_width": "64px"})
    channel = ipywidgets.BoundedIntText(inspector.channel, min=0, max=2_000_000, description="channel")
    phase = ipywidgets.ToggleButtons(options=("P", "S"), value="P", style={"button_width": "32px"})
    within = ipywidgets.BoundedFloatText(
        inspector.inspection.within_s, min=0.01, max=60.0, step=0.05, description="reach (s)"
    )
    save, path = ipywidgets.Button(description="save labels"), ipywidgets.Text(save_to)
    said = ipywidgets.HTML()

    def tell() -> None:
        visible = inspector.editor.visible
        kept = int((visible["event_index"] >= 0).sum())
        said.value = f"{len(visible)} picks, {kept} of an event, {inspector.editor.num_edits} corrections"

    def on_save(_: object) -> None:
        try:
            said.value = (
                f"{len(inspector.editor.labels())} labels saved in {inspector.editor.save(path.value)}"
            )
        except (PhaseNetDASError, OSError) as error:
            said.value = f"not saved: {error}"

    def on_place(button: Any) -> None:  # noqa: ANN401
        inspector.open(inspector.inspection.number + (1 if button.description == "next" else -1))
        tell()

    for widget, change in (
        (threshold, inspector.set_min_score),
        (channel, inspector.show_channel),
        (mode, partial(setattr, inspector, "mode")),
        (phase, partial(setattr, inspector.inspection, "phase")),
        (within, partial(setattr, inspector.inspection, "within_s")),
    ):
        widget.observe(partial(_pass_on, change, tell), "value")
    places = _buttons(ipywidgets, ("previous", "next"), on_place)
    save.on_click(on_save)
    tell()
    return ipywidgets.VBox(
        [
            ipywidgets.HBox([*places, threshold, channel]),
            ipywidgets.HBox([mode, phase, within]),
            _actions(ipywidgets, inspector, said),
            ipywidgets.HBox([path, save]),
            said,
        ]
    )


def _pass_on(change: Callable[[Any], object], tell: Callable[[], None], event: Any) -> None:  # noqa: ANN401
    """Hand the new value of a field to the inspector."""
    change(event["new"])
    tell()


def _actions(ipywidgets: Any, inspector: PickInspector, said: Any) -> Any:  # noqa: ANN401
    """Make a button for each action, which says what was done."""

    def on_action(button: Any) -> None:  # noqa: ANN401
        try:
            said.value = inspector.act(button.description)
        except PhaseNetDASError as error:
            said.value = str(error)

    row = ipywidgets.Layout(flex_flow="row wrap")
    return ipywidgets.HBox(_buttons(ipywidgets, inspector.inspection.actions, on_action), layout=row)


def _buttons(ipywidgets: Any, names: Iterable[str], on_click: Callable[[Any], None]) -> list[Any]:  # noqa: ANN401
    made = [ipywidgets.Button(description=name, layout=ipywidgets.Layout(width="auto")) for name in names]
    for button in made:
        button.on_click(on_click)
    return made
