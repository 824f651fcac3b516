"""The controls of the inspector in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from phasenet_das.errors import MissingPackageError, PhaseNetDASError

if TYPE_CHECKING:
    from phasenet_das.inspect.inspector import PickInspector

MODES: Final = ("look", "add P", "add S", "move", "delete", "reject", "keep")


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
    undo, save = ipywidgets.Button(description="undo"), ipywidgets.Button(description="save labels")
    path, said = ipywidgets.Text(save_to), ipywidgets.HTML()

    def tell() -> None:
        visible = inspector.editor.visible
        kept = int((visible["event_index"] >= 0).sum())
        said.value = f"{len(visible)} picks, {kept} of an event; {inspector.editor.num_edits} corrections"

    def on_save(_: object) -> None:
        try:
            said.value = (
                f"{len(inspector.editor.labels())} labels saved in {inspector.editor.save(path.value)}"
            )
        except (PhaseNetDASError, OSError) as error:
            said.value = f"not saved: {error}"

    def on_undo(_: object) -> None:
        inspector.undo()
        tell()

    def on_threshold(change: Any) -> None:  # noqa: ANN401
        inspector.set_min_score(change["new"])
        tell()

    def on_channel(change: Any) -> None:  # noqa: ANN401
        inspector.show_channel(change["new"])

    def on_mode(change: Any) -> None:  # noqa: ANN401
        inspector.mode = change["new"]
        tell()

    threshold.observe(on_threshold, "value")
    channel.observe(on_channel, "value")
    mode.observe(on_mode, "value")
    undo.on_click(on_undo)
    save.on_click(on_save)
    tell()
    return ipywidgets.VBox(
        [ipywidgets.HBox([threshold, channel, undo]), mode, ipywidgets.HBox([path, save]), said]
    )
