"""The mixture as a scikit-learn estimator: arrivals in, labels and posteriors out."""

from __future__ import annotations

import warnings
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, check_is_fitted

from gamma.blocks import Runner
from gamma.config import AssociationConfig
from gamma.mixture import Components, Problem, expect, find_pairs, fit
from gamma.observations import Observations
from gamma.problems import full_picks, receiver_weights
from gamma.receivers import load_receivers
from gamma.search import seed_components
from gamma.setup import Setup, make_setup

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class ArrivalMixture(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Mixture of earthquakes, each the origin of P and S arrivals, in a background of false picks.

    Every row of `X` is a pick: time (s), receiver x, y, z (km east, north, down) and phase (0 P, 1 S).

    `means_init` (n_components, 4) optional.

    Attributes
    ----------
    means_ : numpy.ndarray, shape (n_components, 4)
        Origin time (s), x, y, z (km), by time.
    weights_ : numpy.ndarray, shape (n_components + 1,)
        Shares of picks; the last is the background's. They sum to one.
    scales_ : numpy.ndarray, shape (n_components, 2)
        Scale of P and S residuals (s).
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
        Log posterior (nat) over that of the background alone.
    lower_bounds_ : list of (float, str)
        The bound after every iteration; it falls only at lines that name a change of components.
    n_features_in_ : int
    labels_ : numpy.ndarray of int64, shape (n_samples,)
        Component of every pick, -1 for the background.

    Notes
    -----
    Zhu et al. (2022), doi:10.1029/2021JB023249, with Student-t residuals and a Poisson background.
    """

    def __init__(self, config: AssociationConfig | None = None, means_init: F64 | None = None) -> None:
        self.config = config
        self.means_init = means_init

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:  # noqa: N803, ARG002 - scikit-learn's names
        """Fit the mixture; warns with `ConvergenceWarning` when the iterations did not suffice."""
        arrivals = check_array(X, dtype=np.float64)
        if arrivals.shape[1] != 5:
            raise ValueError(
                f"X: expected columns time_s, x_km, y_km, z_km, phase; found {arrivals.shape[1]}"
            )
        self.n_features_in_ = 5
        setup, problem, order, observations = self._problem(arrivals)
        components = self._start(setup, observations)
        fitted = fit(
            problem,
            components,
            max_iterations=setup.config.max_iterations,
            reach_s=2.0 * setup.grid.window_s,
        )
        if not fitted.converged:
            warnings.warn(
                f"no convergence in max_iterations={setup.config.max_iterations} steps: raise it, or give "
                "better first guesses (means_init)",
                ConvergenceWarning,
                stacklevel=2,
            )
        by_time = np.lexsort(fitted.components.theta.T[::-1])
        self._setup, self._components = setup, fitted.components.take(by_time)
        self.means_ = self._components.theta
        self.scales_ = self._components.sigma_s[:, :2]
        self.converged_, self.n_iter_ = fitted.converged, fitted.n_iter
        self.lower_bounds_ = [(line.bound, line.change) for line in fitted.trace]
        self.lower_bound_ = self.lower_bounds_[-1][0]
        posterior = self._posteriors(problem, order)
        self.weights_ = posterior.mean(axis=0)
        self.labels_ = _label(posterior)
        return self

    def predict_proba(self, X: npt.ArrayLike) -> F64:  # noqa: N803
        """Posterior of every component and, last, of the background, shape (n_samples, n_components + 1)."""
        check_is_fitted(self, "means_")
        _, problem, order, _ = self._problem(check_array(X, dtype=np.float64))
        return self._posteriors(problem, order)

    def predict(self, X: npt.ArrayLike) -> I64:  # noqa: N803
        """Component of every pick, -1 for the background."""
        return _label(self.predict_proba(X))

    def _problem(self, arrivals: F64) -> tuple[Setup, Problem, I64, Observations]:
        places, receiver = np.unique(arrivals[:, 1:4], axis=0, return_inverse=True)
        names = [f"{number:06d}" for number in range(len(places))]
        stations = pd.DataFrame(places, columns=["x_km", "y_km", "z_km"]).assign(station_id=names)
        setup = make_setup(load_receivers(stations), self.config or AssociationConfig())
        slot = 2 * receiver.ravel() + arrivals[:, 4].astype(np.int64)
        rows = np.lexsort((slot, arrivals[:, 0]))
        nothing = np.full(len(rows), np.nan)
        observations = Observations(arrivals[rows, 0], slot[rows], nothing, nothing, rows, 0, len(rows))
        picks = full_picks(setup, observations, receiver_weights(setup))
        problem, order = picks.between(-np.inf, np.inf)
        return setup, problem, rows[order], observations

    def _start(self, setup: Setup, observations: Observations) -> Components:
        picks = full_picks(setup, observations, receiver_weights(setup))
        if self.means_init is None:
            return seed_components(Runner(setup), picks)
        theta = np.asarray(self.means_init, dtype=np.float64).reshape(-1, 4)
        scale = np.full((len(theta), picks.template.num_groups), setup.grid.window_s / 2.0)
        return Components(theta, np.full(len(theta), 10.0), scale)

    def _posteriors(self, problem: Problem, order: I64) -> F64:
        components = self._components
        reach = np.full(components.sigma_s.shape, 2.0 * self._setup.grid.window_s)
        pairs = find_pairs(problem, components, reach)
        now = expect(problem, components, pairs)
        out = np.zeros((len(order), len(components) + 1))
        out[order[pairs.pick], pairs.event] = now.posterior
        out[:, -1] = 1.0 - out[:, :-1].sum(axis=1)
        return out


def _label(posterior: F64) -> I64:
    best = posterior.argmax(axis=1)
    return np.where(best == posterior.shape[1] - 1, -1, best)
