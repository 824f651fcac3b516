"""Named weights: bundled models, SeisBench's PhaseNet files, or a folder of one's own.

A folder holds ``model.safetensors``, ``config.json`` (architecture, sampling rate, normalisation,
phases, provenance, sha256) and ``README.md`` (the model card). SeisBench's files are read directly
from its cache; the optional package is used only to download them.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gamma.errors import nearest_name
from phasenet_das.errors import MissingPackageError, WeightsError
from phasenet_das.models.calibration import PickCalibration
from phasenet_das.models.eqnet import EQNet
from phasenet_das.models.names import BUNDLED, SEISBENCH, list_weights, seisbench_folder
from phasenet_das.models.phasenet import PhaseNet
from phasenet_das.models.phasenet_das import PhaseNetDAS
from phasenet_das.tables import atomic_path
from phasenet_das.tables.provenance import file_sha256

log = logging.getLogger(__name__)

_ARCHITECTURES: dict[str, type[torch.nn.Module]] = {
    "eqnet": EQNet,
    "phasenet": PhaseNet,
    "phasenet-das": PhaseNetDAS,
}
NORMALIZATIONS = {
    "eqnet": ("none",),
    "phasenet": ("std", "peak"),
    "phasenet-das": ("moving", "moving-array"),
}
_CONFIG = (
    "architecture", "model_args", "sampling_rate_hz", "phases", "component_order", "normalization",
    "window_samples", "provenance", "sha256", "calibration",
)  # fmt: skip
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
_TRAINING_LENGTH = {"original": 3000}
_SEISBENCH_LENGTH = 3001
_EQNET_LENGTH = 3072
_STATES = ("model_ema", "model", "state_dict")


@dataclass(frozen=True)
class Weights:
    """A network with all that is needed to use it.

    Attributes
    ----------
    name : str
        The name it was asked for by.
    architecture : str
        Key of the network's class: ``phasenet``, ``phasenet-das`` or ``eqnet``.
    model : torch.nn.Module
        In evaluation mode, on the CPU.
    sampling_rate_hz : float
        Rate of the training data.
    phases : str
        One letter a class, in the order of the output: ``N``, ``P``, ``S``.
    component_order : str
        One letter an input component, such as ``ENZ``; ``1`` for a fibre channel.
    normalization : str
        ``std`` (demean, divide by the population standard deviation) or ``peak`` (by the largest
        absolute value), per component and window; ``moving`` or ``moving-array``
        (:func:`phasenet_das.picking.normalization.moving_normalization` per channel or array),
        ``none`` for a network that does it itself.
    window_samples : int
        Length of the training windows; of the normalisation's window for ``moving``.
    sha256 : str
        Digest of the weight file.
    provenance : dict
        Where the weights come from: licence, citation, training data.
    calibration : PickCalibration or None
        What a score is worth, where that was measured.
    """

    name: str
    architecture: str
    model: torch.nn.Module
    sampling_rate_hz: float
    phases: str
    component_order: str
    normalization: str
    window_samples: int
    sha256: str
    provenance: dict[str, Any] = field(default_factory=dict)
    calibration: PickCalibration | None = None

    @property
    def weights_id(self) -> str:
        """Name and first digits of the digest: what tables record."""
        return f"{self.name}@{self.sha256[:12]}"

    @property
    def sees_scales(self) -> bool:
        """Whether a recording is shown to it at several rates (:mod:`phasenet_das.picking.multirate`)."""
        return self.architecture == "phasenet-das" and self.provenance.get("rates") != "model"

    @property
    def trained_rate_hz(self) -> tuple[float, float] | None:
        """Rates of the recordings that it was trained for, Hz; None where it does not say."""
        return self._trained("trained_rate_hz")

    @property
    def trained_dx_m(self) -> tuple[float, float] | None:
        """Distances of neighbouring rows that it was trained for, m; None where it does not say."""
        return self._trained("trained_dx_m")

    def _trained(self, name: str) -> tuple[float, float] | None:
        found = self.provenance.get(name)
        return None if found is None else (float(found[0]), float(found[1]))


def build_model(architecture: str, model_args: Mapping[str, Any] | None = None) -> torch.nn.Module:
    """Build a network with random weights.

    Parameters
    ----------
    architecture : str
        ``phasenet``, ``phasenet-das`` or ``eqnet``.
    model_args : mapping, optional
        Arguments of the network's class.

    Returns
    -------
    torch.nn.Module
        In training mode, on the CPU.

    Raises
    ------
    WeightsError
        There is no such architecture, or it does not take these arguments.
    """
    if architecture not in _ARCHITECTURES:
        hint = nearest_name(architecture, list(_ARCHITECTURES))
        raise WeightsError(
            f"architecture '{architecture}': expected one of {', '.join(_ARCHITECTURES)}.{hint}"
        )
    try:
        return _ARCHITECTURES[architecture](**(model_args or {}))
    except TypeError as error:
        raise WeightsError(f"architecture '{architecture}': {error}") from error


def load_weights(name: str | Path, *, sha256: str | None = None) -> Weights:
    """Load weights by name.

    Parameters
    ----------
    name : str or pathlib.Path
        A bundled model, ``seisbench:NAME`` (any PhaseNet weights of SeisBench: the local cache
        first, then a download through the optional package), a folder, or a published PhaseNet-DAS
        checkpoint (a file of PyTorch, the network of :class:`phasenet_das.models.eqnet.EQNet`).
    sha256 : str, optional
        The digest that the weight file must have.

    Raises
    ------
    WeightsError
        The name is unknown, a file is missing or damaged, or the tensors do not fit the network.
    MissingPackageError
        A download is needed and the optional package ``seisbench`` is not installed.
    """
    text = str(name)
    if text.startswith(SEISBENCH):
        weights = _load_seisbench(text)
    elif os.sep not in text and (BUNDLED / text / "config.json").is_file():
        weights = _load_folder(BUNDLED / text, text)
    elif Path(name).is_dir():
        weights = _load_folder(Path(name), Path(name).name)
    elif Path(name).is_file():
        weights = _load_checkpoint(Path(name))
    else:
        hint = nearest_name(text, [*list_weights(), "seisbench:original"])
        raise WeightsError(
            f"'{text}': neither a bundled model nor a folder.{hint} Expected the name of a bundled "
            "model, 'seisbench:NAME', a folder with model.safetensors and config.json, or a checkpoint file."
        )
    if sha256 is not None and weights.sha256 != sha256:
        raise WeightsError(
            f"'{text}': sha256 is {weights.sha256}, expected {sha256}: another version of the weights?"
        )
    log.info("weights %s (%s, %g Hz)", weights.weights_id, weights.architecture, weights.sampling_rate_hz)
    return weights


def save_weights(
    folder: str | Path,
    model: torch.nn.Module,
    *,
    architecture: str,
    model_args: Mapping[str, Any],
    sampling_rate_hz: float,
    phases: str,
    component_order: str,
    normalization: str,
    window_samples: int,
    provenance: Mapping[str, Any],
    calibration: PickCalibration | None = None,
) -> Path:
    """Write a model folder: ``model.safetensors`` and ``config.json`` with its digest.

    Parameters
    ----------
    folder : str or pathlib.Path
        Made when missing.
    architecture, model_args : str, mapping
        Key and arguments of the network's class.
    sampling_rate_hz, phases, component_order, normalization, window_samples
        See :class:`Weights`.
    provenance : mapping
        Licence, citation, training data, metrics.
    """
    folder = Path(folder)
    with atomic_path(folder / "model.safetensors") as temporary:
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, temporary)
    config = {
        "architecture": architecture,
        "model_args": dict(model_args),
        "sampling_rate_hz": sampling_rate_hz,
        "phases": phases,
        "component_order": component_order,
        "normalization": normalization,
        "window_samples": window_samples,
        "provenance": dict(provenance),
        "sha256": file_sha256(folder / "model.safetensors"),
    }
    if calibration is not None:
        config["calibration"] = calibration.to_json()
    with atomic_path(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return folder


def set_calibration(folder: str | Path, calibration: PickCalibration) -> Path:
    """Put a calibration into a model folder, in place of the one it has.

    Returns
    -------
    pathlib.Path
        Its ``config.json``; the weights and their digest stay.

    Raises
    ------
    WeightsError
        The folder has no readable ``config.json``.
    """
    path = Path(folder) / "config.json"
    config = {**_read_json(path), "calibration": calibration.to_json()}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return path


def _load_folder(folder: Path, name: str) -> Weights:
    file, config_file = folder / "model.safetensors", folder / "config.json"
    absent = [path.name for path in (file, config_file) if not path.exists()]
    if absent:
        pickles = [path for path in sorted(folder.iterdir()) if path.suffix in _PICKLES]
        mend = f" A checkpoint of PhaseNet-DAS is named by its file: {pickles[0]}." if pickles else ""
        raise WeightsError(f"{folder}: no {' and no '.join(absent)}. A model folder holds both.{mend}")
    config = _read_json(config_file)
    unknown = next((key for key in config if key not in _CONFIG), None)
    if unknown is not None:
        raise WeightsError(
            f"{config_file}: unknown key '{unknown}'.{nearest_name(unknown, _CONFIG)} The tensors are "
            "those of model.safetensors beside it, and no other file is read. Delete the key."
        )
    digest = file_sha256(file)
    if config.get("sha256") != digest:
        raise WeightsError(
            f"{file}: sha256 is {digest}, config.json says {config.get('sha256')}: the file is damaged or "
            "was replaced. Copy the folder again."
        )
    try:
        state = load_file(file)
        network = build_model(config["architecture"], config["model_args"])
        fields = {
            key: config[key] for key in ("sampling_rate_hz", "phases", "component_order", "window_samples")
        }
        normalization = _known_normalization(
            config["architecture"], config["normalization"], str(config_file)
        )
    except (KeyError, TypeError, SafetensorError) as error:
        raise WeightsError(f"{folder}: cannot be used: {error!r}. See the model folder's format.") from error
    _fill(network, state, str(file))
    return Weights(
        name=name,
        architecture=config["architecture"],
        model=network,
        normalization=normalization,
        sha256=digest,
        provenance=config.get("provenance", {}),
        calibration=_calibration(config, str(config_file)),
        **fields,
    )


def _calibration(config: Mapping[str, Any], where: str) -> PickCalibration | None:
    found = config.get("calibration")
    return None if found is None else PickCalibration.from_json(found, where)


def _load_checkpoint(file: Path) -> Weights:
    """Load a published PhaseNet-DAS checkpoint: a state dict, by itself or within what a training saved."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        raise WeightsError(
            f"{file}: not a checkpoint of PyTorch that holds tensors only ({type(error).__name__}). Other "
            "objects can run code and are not loaded. For a network that was trained here, name its folder."
        ) from error
    state = next((content[key] for key in _STATES if isinstance(content, dict) and key in content), content)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(
            f"{file}: no state dict of tensors, neither by itself nor as {', '.join(_STATES)}."
        )
    network = EQNet()
    named = {key.removeprefix("module."): value for key, value in state.items()}
    try:
        _fill(network, named, str(file))
    except WeightsError as error:
        raise WeightsError(
            f"{error}. A file is taken for a published PhaseNet-DAS-v1 checkpoint (architecture eqnet, "
            "10.7 million parameters). Later versions have another shape. Networks trained here are given "
            "by their folder."
        ) from error
    return Weights(
        name=file.stem,
        architecture="eqnet",
        model=network,
        sampling_rate_hz=100.0,
        phases="NPS",
        component_order="1",
        normalization="none",
        window_samples=_EQNET_LENGTH,
        sha256=file_sha256(file),
        provenance={"file": file.name, "citation": "Zhu et al. 2023, doi:10.1038/s41467-023-43355-3"},
    )


def _load_seisbench(text: str) -> Weights:
    name = text.removeprefix(SEISBENCH)
    if not re.fullmatch(r"[\w.-]+", name):
        raise WeightsError(f"'{text}': expected a name after {SEISBENCH}, such as {SEISBENCH}original.")
    file = _find_seisbench(name) or _download_seisbench(name)
    config = _read_json(file.with_name(file.name.replace(".pt.v", ".json.v")))
    args = dict(config.get("model_args", {}))
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(
            f"{file}: cannot be read as torch weights ({error}). Delete it and try again."
        ) from error
    if "inc.weight" not in state:
        raise WeightsError(f"{file}: not the weights of a PhaseNet: no tensor 'inc.weight'.")
    phases = args.get("phases", "NPS")
    if sorted(phases) != sorted("NPS"):
        raise WeightsError(f"{file}: classes '{phases}'. Only models of noise, P and S are understood.")
    filters, components = state["inc.weight"].shape[:2]
    window_samples = _TRAINING_LENGTH.get(name, _SEISBENCH_LENGTH)
    network = PhaseNet(components, len(phases), filters, window_samples)
    _fill(network, state, str(file))
    return Weights(
        name=text,
        architecture="phasenet",
        model=network,
        sampling_rate_hz=float(args.get("sampling_rate", 100)),
        phases=phases,
        component_order=args.get("component_order", "ZNE"),
        normalization=_known_normalization("phasenet", args.get("norm", "std"), str(file)),
        window_samples=window_samples,
        sha256=file_sha256(file),
        provenance={"file": file.name, "docstring": config.get("docstring", "")},
    )


def _find_seisbench(name: str) -> Path | None:
    """Newest version of a weight file in SeisBench's cache."""
    files = seisbench_folder().glob(f"{name}.pt.v*")
    return max(files, key=lambda path: (len(path.suffix), path.suffix), default=None)


def _download_seisbench(name: str) -> Path:
    where = seisbench_folder()
    mend = (
        "Take a bundled network (--weights phasenet-das, or phasenet). Or "
        f"put {name}.pt.v1 and {name}.json.v1 into {where}, point SEISBENCH_CACHE_ROOT at a cache that has "
        "them, or go online with the package installed: pip install 'phasenet-das[seisbench]'."
    )
    try:
        import seisbench.models
    except ImportError as error:
        raise MissingPackageError(
            f"'{SEISBENCH}{name}' is not in the cache and the package seisbench is not installed. {mend}"
        ) from error
    log.info("downloading %s%s", SEISBENCH, name)
    try:
        seisbench.models.PhaseNet.from_pretrained(name)
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"'{SEISBENCH}{name}' could not be downloaded ({error}). {mend}") from error
    file = _find_seisbench(name)
    if file is None:
        raise WeightsError(f"'{SEISBENCH}{name}': downloaded, but not found in {where}. {mend}")
    return file


def _known_normalization(architecture: str, name: str, where: str) -> str:
    known = NORMALIZATIONS[architecture]
    if name not in known:
        raise WeightsError(
            f"{where}: normalisation '{name}'. Understood for {architecture}: {', '.join(known)}."
        )
    return name


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{path}: cannot be read ({error}). It must stand beside the weights.") from error


def _fill(network: torch.nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Load tensors into a network, naming every tensor that does not fit."""
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    wrong = [
        f"{key}: found {found.get(key, 'nothing')}, expected {expected.get(key, 'nothing')}"
        for key in sorted({*expected, *found})
        if expected.get(key) != found.get(key)
    ]
    if wrong:
        raise WeightsError(
            f"{where}: {len(wrong)} tensor(s) do not fit {type(network).__name__}: {'; '.join(wrong[:5])}"
        )
    network.load_state_dict(dict(state))
    network.eval()
